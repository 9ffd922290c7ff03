"""Whether the Python that runs this has a torch and a torchvision that slsim can use, for the Makefile.

    python scripts/shared_torch.py                 prints the option for `python -m venv`, or nothing
    .venv/bin/python scripts/shared_torch.py -c    prints constraints for pip, without those of such a torch

Needs nothing but Python, since it runs before anything is installed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
# torch, and what comes with it: CUDA's libraries and the compiler of its kernels.
OF_TORCH = re.compile(r"(torch|torchvision|triton|nvidia-[\w-]+|cuda-[\w-]+)==")


def lowest() -> dict[str, tuple[int, ...]]:
    """The lowest versions that slsim takes, by package."""
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    found = (re.match(r"(torch|torchvision)>=([0-9.]+)", need) for need in needs)
    return {match[1]: numbers(match[2]) for match in found if match}


def numbers(version: str) -> tuple[int, ...]:
    """The first two numbers of a version: "2.14.1+cpu" is 2 and 14."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def is_shared() -> bool:
    """Whether both are there, new enough, and outside this environment, if this is one."""
    try:
        found = [(metadata.distribution(name), least) for name, least in lowest().items()]
    except metadata.PackageNotFoundError:
        return False
    if any(numbers(package.version) < least for package, least in found):
        return False
    is_environment = sys.prefix != sys.base_prefix
    inside = [Path(sys.prefix) in Path(str(package.locate_file(""))).parents for package, _ in found]
    return not is_environment or not any(inside)


def constraints() -> str:
    """The constraints; where torch is shared, without those on it."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if not (OF_TORCH.match(line) and is_shared()))


if __name__ == "__main__":
    if "-c" in sys.argv:
        sys.stdout.write(constraints())
    elif is_shared() and sys.prefix == sys.base_prefix:  # an environment's packages are not another's
        print("--system-site-packages")
