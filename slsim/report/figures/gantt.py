"""Draw rounds as Gantt charts: what each client and the server does, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slsim.recording.kinds import PHASES
from slsim.report.breakdowns import phase_title
from slsim.report.figures.curves import SPREAD, selection
from slsim.report.figures.looks import codec_names
from slsim.report.figures.page import Page, plain
from slsim.report.figures.rounds import phase_colours
from slsim.report.swept import chosen

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_RUNS = 6
ROW_IN = 0.1


def gantt(table: pd.DataFrame, summary: pd.DataFrame | None, run: str | None, width_in: float) -> Figure:
    """The first round of runs, a panel a run and a row a client, from the fastest of those shown to the
    slowest, the server last; rounds of very different lengths have a scale each. `run` is one of them; None
    are all, or of many some of each codec."""
    runs = table[["run", "setting"]].drop_duplicates("run")
    names = [run] if run is not None else _some(runs, summary)
    most = max(table[table["run"] == name]["who"].nunique() for name in names)
    shown = table[table["run"].isin(names)]
    ends_s = shown.groupby("run")["end_s"].max()
    is_shared = bool(ends_s.max() <= SPREAD * ends_s.min())
    sheet = Page(width_in, (0.35 if is_shared else 0.45) + ROW_IN * most, len(names), sharex=is_shared)
    phases = [phase.name for phase in PHASES]
    phases += [phase for phase in dict.fromkeys(table["phase"]) if phase not in phases]
    colours = phase_colours(phases)
    scale, unit = (1.0, "s") if shown["end_s"].max() >= 10 else (1e3, "ms")
    for panel, name in zip(sheet.panels, names, strict=True):
        _rows(panel, shown[shown["run"] == name], colours, scale)
        setting = runs["setting"][runs["run"] == name].iloc[0]
        panel.set_title(plain(setting), loc="left")
    sheet.panels[-1].set_xlabel(f"simulated time of the round ({unit})")
    from matplotlib.patches import Patch

    for phase in phases:
        if (shown["phase"] == phase).any():
            sheet.add(Patch(facecolor=colours[phase], linewidth=0), phase_title(phase))
    count = len(names) if run is not None else len(runs) if summary is None else len(summary)
    return sheet.finish([selection(len(names), count)])


def _some(runs: pd.DataFrame, summary: pd.DataFrame | None) -> list[str]:
    known = dict(zip(summary["setting"], codec_names(summary), strict=True)) if summary is not None else {}
    places = chosen([known.get(setting, "") for setting in runs["setting"]], MOST_RUNS)
    return [str(runs["run"].iloc[place]) for place in places]


def _rows(axes: Axes, table: pd.DataFrame, colours: dict[str, str], scale: float) -> None:
    """A row for each who in the table's order, from above; a bar for each time in a phase."""
    from matplotlib.collections import PolyCollection

    whos = list(dict.fromkeys(table["who"]))
    rows = table["who"].map({who: place for place, who in enumerate(whos)}).to_numpy(np.float64)
    x = scale * table[["start_s", "end_s", "end_s", "start_s"]].to_numpy(np.float64)
    y = rows[:, None] + np.array([-0.41, -0.41, 0.41, 0.41])
    shades = [colours[phase] for phase in table["phase"]]
    axes.add_collection(PolyCollection(list(np.stack([x, y], axis=2)), facecolors=shades, linewidths=0))
    axes.autoscale_view()
    axes.set_yticks(range(len(whos)), labels=[who.removeprefix("client ") for who in whos], fontsize=6)
    axes.set(ylim=(len(whos) - 0.4, -0.6), ylabel="client", xlim=(0, None))
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
