"""A study's tables on the terminal. They are printed from the saved summary, as a reader reads numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from slsim.errors import SlsimError
from slsim.protocols.steps import CULPRITS, PHASES, phase_column
from slsim.registry import Registry
from slsim.scenario import only_rates
from slsim.units import DURATION, RATE, SIZE

if TYPE_CHECKING:
    import pandas as pd

    from slsim.checks import Check


FASTER_BY = 1.05  # below that, a codec counts as not paying
LINKS = ("network.uplink", "network.downlink")
RUNS_ABREAST, MOST_LINES = 5, 30  # of runs in a breakdown; the file has all


def print_study(
    console: Console,
    summary: pd.DataFrame,
    breakdown: pd.DataFrame,
    path: Path,
    notes: Sequence[str] = (),
) -> None:
    """A study's summary, or what its link rates say where they vary; where an average round's seconds go;
    notes on how the numbers came about; and where its files are."""
    swept_links = [column for column in LINKS if varies_in_rate(summary, column)]
    if not swept_links:
        print_summary(console, summary)
    for column in swept_links:
        print_link_rates(console, summary, column)
    print_breakdown(console, breakdown)
    for note in notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)
    console.print(f"Tables, records and figures: {path}", highlight=False, soft_wrap=True)


def print_summary(console: Console, summary: pd.DataFrame) -> None:
    """Codec, accuracy, time and bytes to the target, traffic multiplier, compression ratio; INF: never."""
    table = Table(title=_target(summary), title_justify="left")
    table.add_column("codec", overflow="fold")
    for heading in ("test\naccuracy", "time to\ntarget", "bytes to target\nup + down"):
        table.add_column(heading, justify="right")
    for heading in ("uplink\nmultiplier", "compression\nratio"):
        table.add_column(heading, justify="right", no_wrap=True)
    for _, row in summary.iterrows():
        table.add_row(
            escape(str(row["run"])),
            accuracy(row["accuracy"]) + (" diverged" if row["status"] == "diverged" else ""),
            duration(row["time_to_target_s"]),
            _bytes(row),
            multiplier(row["traffic_multiplier"]),
            "–" if math.isnan(row["compression_ratio"]) else f"{row['compression_ratio']:.2f}×",
        )
    console.print(table)


def _target(summary: pd.DataFrame) -> str:
    targets = summary["target_accuracy"].dropna().unique()
    return "Target: test accuracy of " + ", ".join(accuracy(target) for target in targets)


def accuracy(value: float) -> str:
    """A share as percent: "86.1 %"."""
    return "–" if math.isnan(value) else f"{100 * value:.1f} %"


def duration(value: float) -> str:
    """Simulated seconds, or INF."""
    return "INF" if math.isinf(value) else DURATION.pretty(value)


def multiplier(value: float) -> str:
    """A traffic multiplier; INF where the target was never reached (its cost is), as in the paper."""
    return "–" if math.isnan(value) else "INF" if value == 0 else f"{value:.2f}×"


def _bytes(row: pd.Series) -> str:
    up, down = row["uplink_bytes_to_target"], row["downlink_bytes_to_target"]
    return "INF" if math.isinf(up) else f"{SIZE.pretty(up)} + {SIZE.pretty(down)}"


def varies_in_rate(summary: pd.DataFrame, column: str) -> bool:
    """Whether the runs differ in that link's rate, and each has a plain one."""
    return column in summary and summary[column].nunique() > 1 and only_rates(list(summary[column]))


def print_link_rates(console: Console, summary: pd.DataFrame, column: str) -> None:
    """Time to target by codec and link rate, with the speed-up over `identity`, and where each codec
    stops paying. Where more than one run has a codec and a rate, the quickest counts."""
    rates = sorted(summary[column].unique(), key=RATE.parse)
    table = Table(title=f"Time to target by {column} (and speed-up over identity)", title_justify="left")
    table.add_column("codec", overflow="fold")
    for heading in (*rates, "stops\npaying at"):
        table.add_column(heading, justify="right")
    times = summary.groupby(["codec", column], sort=False)["time_to_target_s"].min().unstack(column)
    baseline = times.loc["identity"] if "identity" in times.index else None
    names = [codec.partition(" ")[0] for codec in times.index]
    for codec, name in zip(times.index, names, strict=True):
        speed_ups = (
            {} if baseline is None else {rate: baseline[rate] / times.loc[codec, rate] for rate in rates}
        )
        cells = [_timed(times.loc[codec, rate], speed_ups.get(rate)) for rate in rates]
        shown = name if names.count(name) == 1 else codec
        table.add_row(escape(shown), *cells, "–" if codec == "identity" else stops_paying(speed_ups))
    console.print(table)
    saves = f"{100 * (FASTER_BY - 1):.0f} %"
    console.print(
        f"A codec pays where it reaches the target at least {saves} sooner than identity.", highlight=False
    )


def _timed(seconds: float, speed_up: float | None) -> str:
    if math.isinf(seconds) or speed_up is None or math.isinf(speed_up):
        return duration(seconds)
    return f"{duration(seconds)}\n{speed_up:.2f}×"


def stops_paying(speed_ups: dict[str, float]) -> str:
    """Of ascending rates, the lowest from which on a codec never pays; "never", or "beyond" the last."""
    paying = [rate for rate, speed_up in speed_ups.items() if speed_up >= FASTER_BY]
    if not speed_ups or not paying:
        return "never"
    later = list(speed_ups)[list(speed_ups).index(paying[-1]) + 1 :]
    return later[0] if later else f"beyond {paying[-1]}"


def print_breakdown(console: Console, breakdown: pd.DataFrame) -> None:
    """Where an average round's milliseconds go, and the bottleneck: phase by phase for a few runs, a line a
    run for more."""
    if len(breakdown) <= RUNS_ABREAST:
        console.print(_phases_table(breakdown))
        return
    console.print(_culprits_table(breakdown.head(MOST_LINES)))
    more = f", {len(breakdown) - MOST_LINES} more runs too" if len(breakdown) > MOST_LINES else ""
    console.print(f"Phase by phase: breakdown.csv{more}", highlight=False)


def _phases_table(breakdown: pd.DataFrame) -> Table:
    table = Table(title="An average round, in ms", title_justify="left")
    table.add_column("", no_wrap=True)
    for run in breakdown["run"]:
        table.add_column(escape(str(run)), justify="right", overflow="fold")
    for phase in PHASES:
        table.add_row(phase, *map(milliseconds, breakdown[phase_column(phase)]))
    table.add_section()
    table.add_row("round", *map(milliseconds, breakdown["round_s"]))
    table.add_row("bottleneck", *breakdown["bottleneck"])
    table.add_row("its share", *(f"{100 * share:.0f} %" for share in breakdown["bottleneck_share"]))
    return table


def _culprits_table(breakdown: pd.DataFrame) -> Table:
    table = Table(title="An average round, in ms, and how much of it was spent on what", title_justify="left")
    table.add_column("run", overflow="fold")
    for heading in ("round", *CULPRITS):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("bottleneck", no_wrap=True)
    for _, row in breakdown.iterrows():
        spent = [sum(row[phase_column(phase)] for phase in phases) for phases in CULPRITS.values()]
        cells = map(milliseconds, [row["round_s"], *spent])
        table.add_row(escape(str(row["run"])), *cells, row["bottleneck"])
    return table


def milliseconds(value: float) -> str:
    """Seconds as milliseconds."""
    return three_figures(1000 * value)


def three_figures(value: float) -> str:
    """ "0.21", "12.6", "1,350"."""
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:,.{decimals}f}"


def print_errors(console: Console, table: pd.DataFrame, beaten: Sequence[str]) -> None:
    """Each codec's relative error and compression ratio, nominal and with zstd; where QU beats MS."""
    shown = Table(title="Activations of the test images", title_justify="left")
    shown.add_column("codec", overflow="fold")
    for heading in ("relative\nl2 error", "bytes", "ratio", "bytes\nwith zstd", "ratio\nwith zstd"):
        shown.add_column(heading, justify="right")
    compressed = table[table["lossless"]].set_index("codec")
    for _, row in table[~table["lossless"]].iterrows():
        zstd = compressed.loc[row["codec"]]
        cells = [SIZE.pretty(row["bytes"]), f"{row['compression_ratio']:.2f}×"]
        cells += [SIZE.pretty(zstd["bytes"]), f"{zstd['compression_ratio']:.2f}×"]
        shown.add_row(escape(row["codec"]), f"{row['relative_error']:.3f}", *cells)
    console.print(shown)
    for line in beaten or ["QU beats MS nowhere"]:
        console.print(line, highlight=False, soft_wrap=True)


def print_components(console: Console, kind: str, registry: Registry[Any]) -> None:
    """Every component of a kind: its name, its parameters with their defaults, one line about it."""
    table = Table(title=f"{kind}s" if kind != "data" else "data sets", title_justify="left")
    for heading in ("name", "parameters", "what it is"):
        table.add_column(heading, overflow="fold")
    for name in registry.names():
        entry = registry.entry(name)
        parameters = [f"{key} = {value}" for key, value in entry.parameters().items()]
        cuts = getattr(entry.cls, "cuts", {})
        parameters += [f"cut: {', '.join(f'{cut} ({layer})' for cut, layer in cuts.items())}"] if cuts else []
        table.add_row(escape(name), escape("\n".join(parameters) or "none"), escape(entry.summary))
    console.print(table)


def print_models(console: Console, registry: Registry[Any]) -> None:
    """Every model, as any component; and what each of its cuts sends and leaves on either side."""
    from slsim.learning.models.sizes import cut_sizes

    print_components(console, "model", registry)
    for name in registry.names():
        try:
            model = registry.create(name)
            sizes = cut_sizes(model)
        except SlsimError as error:  # of a third party's
            console.print(Text(f"{name}: {error}"))
            continue
        images = f"{shape_text(model.image_shape)}, {model.classes:,} classes"
        table = Table(title=escape(f"{name} for {images}"), title_justify="left")
        table.add_column("cut", no_wrap=True)
        for heading in ("activations\nof a sample", "their\nbytes"):
            table.add_column(heading, justify="right", no_wrap=True)
        for heading in ("parameters", "MFLOPs forward"):
            table.add_column(f"{heading}\nclient + server", justify="right")
        for size in sizes:
            table.add_row(
                escape(f"{size.cut} ({size.layers})"),
                shape_text(size.activation_shape),
                f"{size.activation_bytes:,}",
                " + ".join(f"{number:,}" for number in size.parameters),
                " + ".join(three_figures(flops / 1e6) for flops in size.flops),
            )
        console.print(table)
    console.print(
        "A cut's number is that of its layers on the client; any other such number is a cut too. "
        "A multiply-add is two FLOPs.",
        highlight=False,
    )


def shape_text(shape: Sequence[int]) -> str:
    """`(64, 16, 16)` as "64×16×16"."""
    return "×".join(map(str, shape))


def print_checks(console: Console, checks: Sequence[Check]) -> None:
    """Each check's verdict, its arithmetic, and its note."""
    for check in checks:
        console.print(
            "[green]ok  [/]" if check.passed else "[red]FAIL[/]", Text(check.subject), soft_wrap=True
        )
        for line in f"{check.arithmetic}\n{check.note}".strip().splitlines():
            console.print(Text(f"       {line}"), soft_wrap=True)
    failed = sum(not check.passed for check in checks)
    console.print(f"{len(checks)} checks, {failed} failed", highlight=False)
