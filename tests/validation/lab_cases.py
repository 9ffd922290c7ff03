"""What the tests of the validation share: whether the real thing can run here, and a stand-in for `ip`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from slsim.validation.lab import Lab
from slsim.validation.namespaces import ValidationError

IP = """#!/bin/sh
case "$1 $2" in
    "netns add") echo "$3" >> "{state}" ;;
    "netns list") [ ! -f "{state}" ] || cat "{state}" ;;
    "netns delete") grep -v "^$3\\$" "{state}" > "{state}.new"; mv "{state}.new" "{state}" ;;
esac
"""


def lacking() -> str:
    """What this machine lacks for the real thing, in the command's own words; empty when it lacks nothing."""
    try:
        with Lab(50e6):
            return ""
    except ValidationError as error:
        return str(error)


def command(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`slsim validate-clock` with `options`, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "slsim", "validate-clock", *options],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment or None,
    )


def assert_says_what_it_lacks() -> None:
    """The command's answer where it cannot run: one line, exit status 2."""
    done = command("--quick")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def stand_ins(folder: Path, tc: str = "#!/bin/sh\n") -> Path:
    """A folder for PATH with an `ip` that keeps namespaces in the file `state`, and a `tc`."""
    folder.mkdir()
    for name, script in (("ip", IP.format(state=folder / "state")), ("tc", tc)):
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    return folder
