"""Whole commands: a study with two workers against one, in turn, and against another slsim.

    python benchmarks/workers.py                                      # the quickstart
    python benchmarks/workers.py --turns 5 --set training.epochs=2
    python benchmarks/workers.py --against OTHER/.venv/bin/slsim      # what the command took there

Each turn runs every command once, into a folder of its own. On two cores two workers are the
default. The ratio of two workers to one is marked where it misses its target, and the exit status is 1; so it
is where what was learned differs.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

SCENARIO = Path(__file__).parent.parent / "scenarios" / "quickstart.toml"
TARGET = 0.70  # of the wall time with one worker, on two cores
TABLES = ("runs.csv", "summary.csv", "curves.csv", "breakdown.csv")


def main() -> int:
    """Measure, print, and say whether the target was met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--against", help="The slsim command of another version.")
    arguments = parser.parse_args()
    own = [sys.executable, "-m", "slsim"]
    commands = {f"{count} workers": [*own, "run", "--workers", f"{count}"] for count in (1, 2)}
    if arguments.against:
        commands["against"] = [arguments.against, "run"]
    settings = [word for setting in arguments.settings for word in ("--set", setting)]
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    same = True
    with tempfile.TemporaryDirectory() as temporary:
        for turn in range(arguments.turns):
            folders = {name: Path(temporary, f"{turn} {name}") for name in commands}
            for name, command in commands.items():
                took = timed([*command, str(SCENARIO), "--results", str(folders[name]), *settings])
                seconds[name].append(took)
                print(f"turn {turn + 1}: {name}: {took:.1f} s", flush=True)
            same &= tables(folders["1 workers"]) == tables(folders["2 workers"])
    ratios = [two / one for one, two in zip(seconds["1 workers"], seconds["2 workers"], strict=True)]
    for name, measured in seconds.items():
        print(f"{name}: median {statistics.median(measured):.1f} s")
    ratio = statistics.median(ratios)
    print(f"2 workers ÷ 1: {', '.join(f'{one:.2f}' for one in ratios)}; median {ratio:.2f}, target {TARGET}")
    print("the tables are the same" if same else "THE TABLES DIFFER")
    if ratio > TARGET:
        print("MISSED")
    return int(ratio > TARGET or not same)


def timed(command: Sequence[str]) -> float:
    """Seconds of real time that a command takes."""
    started = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def tables(results: Path) -> dict[str, bytes]:
    """The tables of the one study in a results folder."""
    (study,) = results.iterdir()
    return {name: (study / name).read_bytes() for name in TABLES}


if __name__ == "__main__":
    sys.exit(main())
