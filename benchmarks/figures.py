"""How long each figure of a study takes to draw, from a copy of its tables and nothing else.

    python benchmarks/figures.py                                  # the reference results, ten seconds
    python benchmarks/figures.py results/quickstart/replays/*     # others

CPU seconds of one figure after another in one process: drawn at seven inches, written as PDF, PNG and SVG. A
figure that takes 2 s or more is marked, and the exit status is 1. Importing is not counted.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

from slsim.report.figures import draw
from slsim.report.figures.catalogue import KINDS, Tables
from slsim.report.figures.files import FORMATS
from slsim.results import StudyFolder

REFERENCE = Path(__file__).parents[1] / "results" / "reference" / "quickstart"
MOST_S = 2.0


def copied(study: Path, place: Path) -> StudyFolder:
    """A folder with the tables of a study alone."""
    for table in study.glob("*.csv"):
        shutil.copy(table, place)
    return StudyFolder.shown(place)


def measure(folder: StudyFolder) -> dict[str, float]:
    """Seconds of each figure."""
    tables, taken = Tables(folder), {}
    names = [
        name for kind in KINDS if all(map(folder.has_table, kind.needs)) for name in kind.figures(tables)
    ]
    draw(folder, only=names[:1], formats=FORMATS)  # imports
    for name in names:
        began = time.process_time()
        draw(folder, only=[name], formats=FORMATS)
        taken[name] = time.process_time() - began
    return taken


def main() -> int:
    """Print a line a figure."""
    slow = False
    for study in map(Path, sys.argv[1:] or [REFERENCE, *sorted(REFERENCE.glob("replays/*"))]):
        print(study)
        with tempfile.TemporaryDirectory() as place:
            for name, seconds in measure(copied(study, Path(place))).items():
                slow = slow or seconds >= MOST_S
                print(f"  {name:30} {seconds:.2f} s{'  too slow' if seconds >= MOST_S else ''}")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
