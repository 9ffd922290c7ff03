"""What shared links did, on the terminal: of each setting the mean over its seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from slsim.report.scales import Scale
from slsim.report.swept import spread
from slsim.report.terminal import add_row, say, table
from slsim.units import SIZE

if TYPE_CHECKING:
    import pandas as pd

MOST_LINES = 30


def print_shared_links(console: Console, links: pd.DataFrame) -> None:
    """Utilisation and bytes of the links that several clients share, a row a setting and link; nothing where
    no link is shared."""
    shared = links[links["shared"]]
    if shared.empty:
        return
    grouped = shared.groupby(["setting", "link"], sort=False)
    means = grouped[["links", "wire_bytes", "utilisation"]].mean().reset_index()
    scale = Scale.of(means["wire_bytes"], SIZE)
    shown = table("Links that clients share")
    shown.add_column("setting", overflow="fold")
    shown.add_column("link", overflow="fold")
    for heading in ("utilisation", f"on the wire, {scale.unit}"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for row in means.iloc[spread(len(means), MOST_LINES)].to_dict("records"):
        called = row["link"] if row["links"] == 1 else f"{row['links']:.0f} {row['link']}"
        used = f"{100 * row['utilisation']:.0f} %"
        add_row(shown, str(row["setting"]), str(called), used, scale.text(row["wire_bytes"]))
    console.print(shown)
    if len(means) > MOST_LINES:
        say(console, f"{MOST_LINES} of {len(means):,} rows shown: links.csv has all")
