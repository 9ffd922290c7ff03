"""When, where, by which command and from which commit something was made: for the reader, nothing is counted
with it."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

GIT_S = 5.0  # of real time that git may take; a commit is not worth more


def circumstances() -> dict[str, Any]:
    """The date (ISO 8601, with the zone), the command line of this process, and the git commit of the working
    directory, where there is one."""
    date = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    command = [Path(sys.argv[0]).name, *sys.argv[1:]] if sys.argv else []
    commit = git_commit(Path.cwd())
    return {"date": date, "command": command, **({"git": commit} if commit else {})}


def git_commit(folder: Path) -> dict[str, Any]:
    """The commit that is checked out in `folder`, and whether files that git tracks are edited (`dirty`);
    empty without git, or outside of a repository."""
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return {}
    edited = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit} | ({} if edited is None else {"dirty": bool(edited)})


def _git(folder: Path, *command: str) -> str | None:
    """What git says; None where it cannot."""
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    arguments = ["git", "-c", "core.fsmonitor=false", *command]
    try:
        done = subprocess.run(
            arguments, cwd=folder, env=quiet, capture_output=True, timeout=GIT_S, check=False, text=True
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@cache
def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """What the processor calls itself: its model on Linux (the board's, on ARM), else what Python knows."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    told = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = told.get("model name") or told.get("model")
    return name if name and not name.isdecimal() else platform.processor() or platform.machine()
