"""Prints the schemes' study as Markdown: what each learned, how much it sent, and when it reached the target.

    python scripts/make_schemes_table.py results/reference/schemes

One table a cut. Accuracies are means over seeds with 95 % intervals by Student's t; differences are of the
same seed. Ratios count all bytes of the training, weights and labels too: those of the uncompressed one ÷
those of this one. Times are medians, over the study's own links and over each replay with two equal links.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from slsim.analysis.statistics import mean_of
from slsim.results import REPLAYS, StudyFolder

CUTS = ("", "shallow", "medium", "deep")  # "": the study has one
NEAR = 0.01  # one point
Setting = dict[Hashable, Any]  # a row of summary.csv
Tables = dict[str, tuple[dict[Any, Setting], pd.DataFrame]]  # by rate: settings by name, runs


def tables_of(study: Path) -> Tables:
    """The study's `summary.csv` and `runs.csv` by the rate of both links, such as "10 Mbps", lowest first."""
    found = {}
    for folder in (study, *(study / REPLAYS).glob("*")):
        summary, runs = (StudyFolder.open(folder).load_table(name) for name in ("summary", "runs"))
        rates = {*runs.get("uplink_bps", []), *runs.get("downlink_bps", [])}
        if len(rates) == 1:
            settings = {one["setting"]: one for one in summary.to_dict("records")}
            found[rates.pop()] = settings, runs[runs.status == "finished"]
    return {f"{rate / 1e6:g} Mbps": found[rate] for rate in sorted(found)}


def rows(tables: Tables, cut: str) -> Iterator[tuple[float, list[str]]]:
    """Of each setting at a cut, how many bytes it saves and its row of the table."""
    first, runs = next(iter(tables.values()))
    for name, setting in first.items():
        own = runs[runs.setting == name]
        if setting.get("model.cut", "") != cut or own.empty:
            continue
        against = runs.set_index("training").loc[own.baseline].set_index(own.index)  # of the same seed
        is_bare = (own.training == own.baseline).all()
        less = mean_of((own.held_accuracy - against.held_accuracy).tolist())
        sent, would = own[["uplink_bytes", "downlink_bytes"]], against[["uplink_bytes", "downlink_bytes"]]
        both = (would.sum(axis=1) / sent.sum(axis=1)).mean()
        up, down = (would / sent).mean()
        called = name.replace(f", cut {cut}", "")
        yield (
            both,
            [
                f"**{called}**" if less.mean >= -NEAR and not is_bare else called,
                _points(setting["held_accuracy"], setting["held_accuracy_low"], "{:.1f}"),
                "" if is_bare else _points(less.mean, less.low, "{:+.1f}"),
                *(f"{ratio:.3g}×" for ratio in (up, down, both)),
                *(_time(settings[name]) for settings, _ in tables.values()),
            ],
        )


def _points(mean: float, low: float, form: str) -> str:
    """A mean in percent and half of its interval, which a single seed has not."""
    half = f" ± {100 * (mean - low):.1f}" if low == low else ""
    return form.format(100 * mean).replace("-", "−") + half


def _time(setting: Setting) -> str:
    """The median over seeds, and how many reached the target if not all did."""
    reached, seeds, median = (setting[key] for key in ("reached", "seeds", "time_to_target_s"))
    some = f" ({reached} of {seeds})" if 0 < reached < seeds else ""
    return (f"{median:.3g} s" if math.isfinite(median) else "not reached") + some


def lines(study: Path) -> Iterator[str]:
    """A table for each cut that the study sweeps."""
    tables = tables_of(study)
    head = ["scheme", "accuracy, %", "against uncompressed, points", "up", "down", "both ways"]
    head += [f"to the target at {rate}" for rate in tables]
    for cut in CUTS:
        table = sorted(rows(tables, cut), key=lambda row: row[0])
        if not table:
            continue
        seeds = max(one["seeds"] for one in next(iter(tables.values()))[0].values())
        yield from ("", f"{f'Cut {cut}, seeds' if cut else 'Seeds'}: {seeds}", "")
        yield f"| {' | '.join(head)} |"
        yield f"|---|{'---:|' * (len(head) - 1)}"
        yield from (f"| {' | '.join(cells)} |" for _, cells in table)


if __name__ == "__main__":
    for line in lines(Path(sys.argv[1])):
        print(line)
