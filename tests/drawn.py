"""Folders with tables of studies that nobody ran, and their figures as text."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
from seeded import at_rates, over_seeds, tables_of

from slsim.report.figures import draw
from slsim.results import StudyFolder


def folder_with(
    path: Path, codecs: list[str], rates: list[str], points: int = 3, seeds: int = 1
) -> StudyFolder:
    """Tables of codecs at rates, each of so many evaluations; the second never reaches the target."""
    folder = StudyFolder.of(path)
    rows: list[dict[str, Any]] = []
    for number, codec in enumerate(codecs):
        never = number == 1 or points < 3
        times = [math.nan if never else 2.0 + number + 0.1 * seed for seed in range(seeds)]
        if len(rates) > 1:
            rows += at_rates(codec, dict.fromkeys(rates, times), rounds_to_target=40.0)
        else:
            rows += over_seeds(codec, times, rounds_to_target=40.0)
    curves: list[dict[str, Any]] = []
    for row in rows:
        number = codecs.index(row["codec"])
        for step in range(1, points + 1):
            point = {"round": 20 * step, "sim_s": 1.0 * step, "uplink_bytes": 1e6 * step * (1 + number)}
            point |= {"epoch": step / 2, "downlink_bytes": 1e6 * step, "training_loss": 1 / step}
            accuracy = 0.2 if number == 1 else 0.3 * step + 0.01 * row["seed"]
            named = {name: row[name] for name in ("run", "setting", "seed")}
            curves.append({**named, **point, "accuracy": accuracy})
    columns = ["run", "setting", "seed", "round", "epoch", "sim_s", "uplink_bytes", "downlink_bytes"]
    tables = tables_of([{**row, "target_accuracy": 0.6} for row in rows])
    folder.save_table("summary", tables.summary)
    folder.save_table("crossovers", tables.crossovers)
    folder.save_table("curves", pd.DataFrame(curves, columns=[*columns, "accuracy", "training_loss"]))
    return folder


def text_of(folder: StudyFolder, name: str) -> str:
    """The figure of this name as SVG, drawn anew."""
    assert draw(folder, only=[name], formats=["svg"]) == [f"{name}.svg"]
    return (folder.figures / f"{name}.svg").read_text()


def changed(folder: StudyFolder, table: str, **columns: Any) -> None:
    """Change columns of a saved table."""
    folder.save_table(table, folder.load_table(table).assign(**columns))
