"""The tables of `slsim errors` on the terminal: what codecs change and send, and beside which limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from slsim.report.terminal import add_row, say, table, three_figures, times
from slsim.saved import LIMITS, NO_STAGE

if TYPE_CHECKING:
    import pandas as pd

WHAT_LIMITS_ARE = (
    "sent: with the lossless stage that sends least. entropy: by an adaptive coder of what is sent; in "
    "context: one that looks at channel, left and upper neighbour. Gauss: ½ log2(σ²/D), enough for any "
    "source of that variance. D/σ²: squared error ÷ variance. × raw: activations sent up in all epochs ÷ the "
    "raw data, once."
)


def print_errors(console: Console, errors: pd.DataFrame, beaten: Sequence[str]) -> None:
    """Each codec's errors and compression ratios, its limits where the table has some, and where QU beats
    MS."""
    console.print(_ratios(errors))
    for line in beaten or ["QU beats MS nowhere"]:
        say(console, line)
    if set(LIMITS) <= set(errors):
        console.print(_limits(errors))
        console.print(Text(WHAT_LIMITS_ARE), Text(_floor(errors)), sep="\n")


def _ratios(errors: pd.DataFrame) -> Table:
    """Errors and compression ratios, a column a lossless stage."""
    stages = [str(stage) for stage in errors["stage"].unique()]
    shown = _with_headings(
        "Activations of the test images",
        "rel. l2\nerror",
        *("ratio" if stage == NO_STAGE else f"with\n{stage}" for stage in stages),
    )
    for codec, rows in errors.groupby("codec", sort=False):
        ratios = dict(zip(rows["stage"], rows["compression_ratio"], strict=True))
        cells = [times(ratios.get(stage, math.nan)) for stage in stages]
        add_row(shown, str(codec), f"{rows['relative_error'].iloc[0]:.3f}", *cells)
    return shown


def _limits(errors: pd.DataFrame) -> Table:
    """Bits an element, as sent and as they could be."""
    shown = _with_headings(
        "Limits: bits an element", "D/σ²", "sent", "en-\ntropy", "in con-\ntext", "Gauss", "× raw"
    )
    for codec, rows in errors.groupby("codec", sort=False):
        least = rows.sort_values("bytes").iloc[0]
        cells = [
            _number(least[column])
            for column in ("bits_per_element", "entropy_bits", "context_entropy_bits", "gaussian_bits")
        ]
        distortion = _distortion(least["distortion"])
        add_row(shown, str(codec), distortion, *cells, _number(least["times_raw_data"]))
    return shown


def _distortion(value: float) -> str:
    """Three decimals, which tell no error from a small one."""
    return "0" if value == 0 else "<0.001" if value < 0.0005 else f"{value:.3f}"


def _number(value: float) -> str:
    """Three figures; "INF" for what no number of bits is enough for."""
    return "–" if math.isnan(value) else "INF" if value == math.inf else three_figures(value)


def _with_headings(title: str, *headings: str) -> Table:
    shown = table(title)
    shown.add_column("codec", overflow="fold")
    for heading in headings:
        shown.add_column(heading, justify="right")
    return shown


def _floor(errors: pd.DataFrame) -> str:
    """The raw data, once, beside what training sends."""
    one = errors.iloc[0]
    floor = one["bytes_per_sample"] / one["times_raw_data"]
    return (
        f"The raw data, once, would be {floor:,.1f} bytes a sample and epoch: what sends more, up and down "
        "together, moves more than the data itself. (This says nothing about privacy, for which data stay "
        "where they are.)"
    )
