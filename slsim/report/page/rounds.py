"""Where a round's seconds go, and what links did: tables and bars of a page."""

from __future__ import annotations

import html
import math
import textwrap
from typing import TYPE_CHECKING, Any

from slsim.report.breakdowns import by_setting, phase_title, phases_in
from slsim.report.figures.rounds import phase_colours
from slsim.report.page.cells import MOST_ROWS, Cell, Heading, Table, number, share, some, some_of, word
from slsim.report.scales import Scale
from slsim.report.swept import spread
from slsim.report.terminal import milliseconds
from slsim.units import SIZE

if TYPE_CHECKING:
    import pandas as pd

EDGE = "#8A8A8A"  # around a piece of a bar, which may be nearly white
MOST_BARS, NAME_WIDTH = 24, 18
ROUND_COLUMNS = (
    ("round_s", "mean round", "Mean of all rounds."),
    ("round_median_s", "median", "Half of the rounds were shorter."),
    ("round_p95_s", "95th percentile", "One round of twenty was longer."),
    ("round_longest_s", "longest", "The longest round."),
)


def rounds_table(breakdown: pd.DataFrame) -> Table:
    """How long rounds took, what they waited for most, and how fairly clients shared the links."""
    settings = by_setting(breakdown)
    shown = settings.iloc[spread(len(settings), MOST_ROWS)]
    columns = [one for one in ROUND_COLUMNS if one[0] in shown]
    headings = [
        Heading("setting", is_number=False),
        *(Heading(name, "ms", about) for _, name, about in columns),
    ]
    headings.append(Heading("bottleneck", about="What took most of a round.", is_number=False))
    headings.append(Heading("its share", "%", "Of an average round."))
    has_fairness = "fairness" in shown and shown["fairness"].notna().any()
    if has_fairness:
        about = (
            "Jain's index of the clients' transfer rates: 1 where all have the same, 1/n where one has all."
        )
        headings.append(Heading("fairness", about=about))
    rows = []
    for row in shown.to_dict("records"):
        cells = [word(row["setting"])]
        cells += [number(row[column], milliseconds(row[column])) for column, _, _ in columns]
        cells += [word(row["bottleneck"]), share(row["bottleneck_share"])]
        cells += [number(row["fairness"], _index(row["fairness"]))] if has_fairness else []
        rows.append(cells)
    note = some_of(len(rows), len(settings), "settings", "breakdown.csv")
    return Table("How long rounds took: of each setting the mean over its seeds", headings, rows, note)


def _index(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def links_table(links: pd.DataFrame) -> Table:
    """What links carried and how busy they were, of each setting the mean over its seeds."""
    columns = ["links", "wire_bytes", "utilisation", "utilisation_least", "utilisation_most"]
    present = [name for name in columns if name in links]
    means = links.groupby(["setting", "link"], sort=False)[present].mean().reset_index()
    shown = means.iloc[spread(len(means), MOST_ROWS)]
    scale = Scale.of(means["wire_bytes"], SIZE)
    headings = [
        Heading("setting", is_number=False),
        Heading("link", about="Clients' own links are one row each way.", is_number=False),
        Heading("links", about="How many they are."),
        Heading("utilisation", "%", "Bytes carried ÷ what could have been; the least and the most utilised."),
        Heading(
            "on the wire", scale.unit, "Bytes with headers, of the whole training, all of them together."
        ),
    ]
    rows = [
        [
            word(row["setting"]),
            word(row["link"]),
            number(row["links"], f"{row['links']:,.0f}"),
            _used(row),
            number(row["wire_bytes"], scale.text(row["wire_bytes"])),
        ]
        for row in shown.to_dict("records")
    ]
    return Table("What links did", headings, rows, some_of(len(rows), len(means), "rows", "links.csv"))


def _used(row: Any) -> Cell:
    ends = [f"{100 * row[name]:.1f}" for name in ("utilisation_least", "utilisation_most") if name in row]
    below = "–".join(ends) if len(set(ends)) == 2 else ""
    return number(row["utilisation"], f"{100 * row['utilisation']:.1f}", below)


def bars(breakdown: pd.DataFrame, codecs: dict[str, str]) -> dict[str, Any]:
    """A figure for Plotly: a bar a setting, a piece a phase, in milliseconds; of many settings some of each
    codec. `codecs` are by setting."""
    settings = by_setting(breakdown)
    shown = settings.iloc[some([codecs.get(name, "") for name in settings["setting"]], MOST_BARS)]
    names = [plotly_text("\n".join(textwrap.wrap(str(name), NAME_WIDTH))) for name in shown["setting"]]
    places = list(range(len(shown)))
    data = _pieces(shown, places)
    layout = {
        "barmode": "stack",
        "height": 70 + 34 * len(shown),
        "xaxis": {"title": {"text": "an average round (ms)"}},
        "yaxis": {"tickvals": places, "ticktext": names, "autorange": "reversed", "automargin": True},
        "bargap": 0.3,
    }
    return {
        "data": data,
        "layout": layout,
        "note": some_of(len(shown), len(settings), "settings", "the table"),
    }


def _pieces(shown: pd.DataFrame, places: list[int]) -> list[dict[str, Any]]:
    """The pieces of each phase that takes any time, for Plotly; `phase` is what a legend calls it."""
    colours = phase_colours(phases_in(shown))
    return [
        {
            "type": "bar",
            "orientation": "h",
            "phase": phase_title(phase),
            "name": plotly_text(phase_title(phase)),
            "x": [float(f"{1000 * value:.4g}") for value in shown[column]],
            "y": places,
            "customdata": [plotly_text(name) for name in shown["setting"]],
            "marker": {"color": colours[phase], "line": {"width": 0.5, "color": EDGE}},
            "hovertemplate": "%{customdata}<br>%{x:.3~g} ms",
        }
        for phase, column in phases_in(shown).items()
        if shown[column].any()
    ]


def plotly_text(text: object) -> str:
    """Text that Plotly shows as it is, for it reads some of HTML; a line break stays one."""
    return html.escape(str(text), quote=False).replace("\n", "<br>")
