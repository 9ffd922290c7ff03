"""What a validation found, as tables for a document: rates side by side, measured and the clock's error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from slsim.units import DURATION, RATE, SIZE
from slsim.validation.comparison import Comparison, Links, Validation

SMALLEST_S = 1e-3  # below that, only how late a program wakes up was measured
LINKS: Mapping[Links, str] = {
    "own": "own",
    "fair": "shared",
    "fifo": "one queue",
}
Label = Callable[[Comparison], str]


def markdown(validation: Validation) -> str:
    """Transfers, rounds and transfers over delay, a table each; what was not measured is left empty."""
    tables = [
        _pivot(
            validation.of("transfers"),
            {"transfers": _sizes, "TCP": lambda one: one.experiment.congestion},
            lambda one: RATE.pretty(one.experiment.rate_bps),
        ),
        _pivot(
            validation.of("round"),
            {
                "round of ten clients": lambda one: one.experiment.label,
                "links": lambda one: LINKS[one.experiment.links],
                "TCP": lambda one: one.experiment.congestion,
            },
            lambda one: RATE.pretty(one.experiment.rate_bps),
        ),
        _pivot(
            validation.of("delayed"),
            {
                "rate": lambda one: RATE.pretty(one.experiment.rate_bps),
                "one way": lambda one: DURATION.pretty(one.experiment.delay_s),
                "clock": lambda one: one.transport,
            },
            lambda one: SIZE.pretty(one.experiment.num_bytes),
        ),
    ]
    return "\n".join(table for table in tables if table)


def _sizes(one: Comparison) -> str:
    return f"{one.experiment.flows} × {SIZE.pretty(one.experiment.num_bytes)}"


def _pivot(found: Sequence[Comparison], rows: Mapping[str, Label], column: Label) -> str:
    """A line for each combination of `rows`; for each value of `column`, the median and the error."""
    if not found:
        return ""
    columns = list(dict.fromkeys(map(column, found)))
    lines: dict[tuple[str, ...], dict[str, Comparison]] = {}
    for one in found:
        lines.setdefault(tuple(label(one) for label in rows.values()), {})[column(one)] = one
    return "".join(f"| {' | '.join(cells)} |\n" for cells in _cells(list(rows), columns, lines))


def _cells(
    headings: Sequence[str], columns: Sequence[str], lines: Mapping[tuple[str, ...], Mapping[str, Comparison]]
) -> Iterator[list[str]]:
    yield [*headings, *(cell for name in columns for cell in (name, "error"))]
    yield ["---"] * len(headings) + ["---:"] * 2 * len(columns)
    for key, values in lines.items():
        shown = (values.get(name) for name in columns)
        pairs = ((DURATION.pretty(one.median_s, 4), error(one)) if one else ("", "") for one in shown)
        yield [*key, *(cell for pair in pairs for cell in pair)]


def error(comparison: Comparison) -> str:
    """Its error in percent; or that so little was measured that it would say nothing."""
    if comparison.median_s < SMALLEST_S:
        return f"< {DURATION.pretty(SMALLEST_S)}"
    return f"{100 * comparison.error:+.1f} %"
