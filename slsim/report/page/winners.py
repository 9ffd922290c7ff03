"""Who is fastest to the target at a value of the slider, in words, and whether that is significant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from slsim.analysis import AS_STATED, REACHED, SUPPOSED
from slsim.report.answers import crossing
from slsim.report.notes import PERCENT
from slsim.report.page.cells import MOST_ROWS, Heading, Table, some_of, word
from slsim.report.page.material import Slider
from slsim.report.scales import Scale
from slsim.report.swept import spread
from slsim.report.terminal import listed

if TYPE_CHECKING:
    import pandas as pd

EQUAL = 1e-9  # relative: times that differ by less are the same
MOST_LINES = 12  # of groups of settings that are under the same conditions


def winners(summary: pd.DataFrame, slider: Slider | None, value: float, scale: Scale) -> list[str]:
    """Who is fastest at that value, a line for each group of settings under the same conditions."""
    own = summary if slider is None else summary[summary[slider.axis.column].map(float) == value]
    groups = list(own.groupby("conditions", sort=False))
    found = [
        _line(rows, slider, scale, _where(str(conditions), slider) if len(groups) > 1 else "")
        for conditions, rows in groups[:MOST_LINES]
    ]
    return [
        *found,
        *([f"{len(groups) - MOST_LINES} more groups of conditions."] if len(groups) > MOST_LINES else []),
    ]


def _where(conditions: str, slider: Slider | None) -> str:
    """Conditions without the value of the slider."""
    parts = conditions.split(", ")
    rest = [part for part in parts if slider is None or not part.startswith(f"{slider.key}=")]
    return ", ".join(rest)


def _line(rows: pd.DataFrame, slider: Slider | None, scale: Scale, where: str) -> str:
    """ "Fastest: QU (3 bits), 3.26 s; not significantly faster than every other."."""
    prefix = f"{where}: " if where else ""
    there = rows[(rows["target_state"] == REACHED) & np.isfinite(rows["time_to_target_s"])]
    if there.empty:
        return f"{prefix}None reached the target."
    least = there["time_to_target_s"].min()
    best = there[there["best_time"].astype(bool)]
    fastest = best if len(best) == 1 else there[there["time_to_target_s"] <= least * (1 + EQUAL)]
    is_alone = bool(where) and not rows["codec"].duplicated().any()
    called = slider.axis.series if slider else "setting"
    found = list(map(str, fastest["codec" if is_alone else called]))
    names = listed(found) if len(found) > 1 else found[0]
    text = f"{prefix}Fastest: {names}, {scale.text(fastest['time_to_target_s'].min())} {scale.unit}"
    return f"{text}." if rows["codec"].nunique() < 2 else f"{text}; {_proof(rows, best)}."


def _proof(rows: pd.DataFrame, best: Any) -> str:
    seeds = sorted({int(count) for count in rows["seeds"]})
    if seeds[-1] == 1:
        return "one seed does not tell whether significantly"
    count = " to ".join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))
    how = f"paired over {count} seeds, {PERCENT} %"
    if len(best):
        return f"significantly faster than every other codec that reached the target ({how})"
    return f"not significantly faster than every other ({how})"


def paying_table(slider: Slider) -> Table:
    """Up to which value of the slider each series pays, or from which: as devices are stated to cost, and if
    they cost less or more."""
    headings = [
        Heading("setting", is_number=False),
        Heading(
            "pays",
            about="Reaches the target at least 5 % sooner than the baseline; unclear: seeds do not tell.",
            is_number=False,
        ),
        Heading("if devices cost less", about="No fixed costs, codecs in half the time.", is_number=False),
        Heading("if devices cost more", about="Fixed costs and codecs both doubled.", is_number=False),
    ]
    series = list(dict.fromkeys(name for name, _ in slider.crossings))
    rows = [
        [word(series[place]), *(word(_paying(slider, series[place], one)) for one in (AS_STATED, *SUPPOSED))]
        for place in spread(len(series), MOST_ROWS)
    ]
    note = some_of(len(rows), len(series), "rows", "crossovers.csv")
    return Table(f"Where a codec pays, by {slider.axis.title}", headings, rows, note)


def _paying(slider: Slider, series: str, assuming: str) -> str:
    rows = slider.crossings.get((series, assuming), [])
    return "; ".join(crossing(row, slider.axis).replace("\n", " ") for row in rows) or "–"
