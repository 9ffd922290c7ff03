"""Network namespaces through `ip` and `tc`: made, told apart, removed; and what a machine lacks for them.

A namespace's name holds the process that made it and when that process began, so two runs never meet, and
what a killed run left is told from what a living one uses.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from slsim.errors import SlsimError

COMMAND_S = 30.0
_NAME = re.compile(r"slsim-(\d+)-(\d+)-[a-z]+")
_HINTS = {  # what iproute2 says → what it means
    "Operation not permitted": "root may not do that here; a container needs CAP_NET_ADMIN and CAP_SYS_ADMIN",
    "qdisc kind is unknown": "this kernel has no token bucket filter (module sch_tbf)",
    "Unknown device type": "this kernel has no virtual Ethernet pairs (module veth)",
}


class ValidationError(SlsimError):
    """The clock cannot be held against real TCP on this machine."""


def require() -> None:
    """Raises ValidationError that names everything this machine lacks, as far as that shows beforehand."""
    lacking = []
    if sys.platform != "linux":
        lacking.append(f"Linux, found {sys.platform}")
    elif os.geteuid() != 0:
        lacking.append(f"root, found user {os.geteuid()}: run it with sudo")
    programs = [name for name in ("ip", "tc") if shutil.which(name) is None]
    if sys.platform == "linux" and programs:
        lacking.append(f"{' and '.join(programs)}: Debian's package iproute2 has it")
    if lacking:
        raise ValidationError(f"validate-clock needs {'; and it needs '.join(lacking)}")


def run(*command: str) -> str:
    """What an `ip` or `tc` command prints. Raises ValidationError with its own words when it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=COMMAND_S, check=False, start_new_session=True
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ValidationError(f"`{' '.join(command)}` cannot be run: {error}") from error
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
        hint = next((f"{hint}: " for words, hint in _HINTS.items() if words in said), "")
        raise ValidationError(f"{hint}`{' '.join(command)}` said: {said}")
    return done.stdout


def stem(pid: int) -> str:
    """How the names of a process's namespaces begin."""
    return f"slsim-{pid}-{began(pid)}"


def began(pid: int) -> int | None:
    """When a process began, in clock ticks since the machine did; None when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])


def existing() -> list[str]:
    """Every namespace that slsim made and that is still there."""
    names = [line.split()[0] for line in run("ip", "netns", "list").splitlines() if line.strip()]
    return [name for name in names if _NAME.fullmatch(name)]


def leftovers() -> list[str]:
    """Those of `existing` whose process has ended."""
    left = []
    for name in existing():
        match = _NAME.fullmatch(name)
        if match and began(int(match[1])) != int(match[2]):
            left.append(name)
    return left


def remove(namespace: str) -> None:
    """Delete a namespace, with its links, and kill what still runs in it."""
    for pid in run("ip", "netns", "pids", namespace).split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    run("ip", "netns", "delete", namespace)
