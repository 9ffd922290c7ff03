"""Which figures there are, which tables each needs, and how a study's tables become one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

import pandas as pd

from slsim.errors import StudyError
from slsim.report.figures import curves, errors, frontier, gantt, measurements, partition, rounds, targets
from slsim.report.figures.data import ALONG, OF, Of, Over, over_seeds
from slsim.report.figures.page import in_print
from slsim.report.swept import swept_in
from slsim.saved import LIMITS
from slsim.units import nearest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw: TypeAlias = Callable[[float], "Figure"]  # of a width in inches
NAMES: Mapping[Over, str] = {"time": "time", "uplink": "uplink_bytes", "all": "all_bytes", "epochs": "epochs"}


class Source(Protocol):
    """Where tables come from: a results folder, or a study in memory."""

    @property
    def path(self) -> Path:
        """What messages call it."""

    def has_table(self, name: str) -> bool:
        """Whether there is one."""

    def load_table(self, name: str) -> pd.DataFrame:
        """The table. Raises `StudyError` when it is missing or damaged."""


@dataclass(frozen=True)
class Tables:
    """A source whose tables are read once."""

    source: Source
    _read: dict[str, pd.DataFrame] = field(default_factory=dict)
    _means: dict[Of, pd.DataFrame] = field(default_factory=dict)

    def __call__(self, name: str) -> pd.DataFrame:
        """A table. Raises `StudyError` when it is missing or damaged."""
        if name not in self._read:
            self._read[name] = self.source.load_table(name)
        return self._read[name]

    def means(self, of: Of) -> pd.DataFrame:
        """The curves' means over seeds, with the interval of accuracy or loss. Raises `StudyError`."""
        if of not in self._means:
            self._means[of] = over_seeds(self("curves"), OF[of].column)
        return self._means[of]

    def get(self, name: str) -> pd.DataFrame | None:
        """A table, None where there is none. Raises `StudyError` when it is damaged."""
        return self(name) if name in self._read or self.source.has_table(name) else None


@dataclass(frozen=True)
class Kind:
    """One kind of figure. `needs` are tables without which there is none; `figures` gives from the tables
    what draws each of its figures, by the name of its file; `why_none` says why it may give none."""

    name: str
    needs: tuple[str, ...]
    figures: Callable[[Tables], dict[str, Draw]]
    why_none: str = ""


def printed(draw: Callable[..., Figure], *arguments: object) -> Draw:
    """A figure of a width to come, in the style of print."""

    def drawn(width_in: float) -> Figure:
        with in_print():
            return draw(*arguments, width_in)

    return drawn


def _curve(of: Of, along: Over, tables: Tables) -> dict[str, Draw]:
    summary, table = tables("summary"), tables("curves")
    columns = {
        OF[of].column,
        *(("uplink_bytes", "downlink_bytes") if along == "all" else (ALONG[along].column,)),
    }
    if not columns <= set(table):
        return {}
    return {curve_name(of, along): printed(curves.over, summary, tables.means(of), of, along)}


def curve_name(of: Of, along: Over) -> str:
    """The name of the figure of accuracy or loss over something."""
    return f"{of}_over_{NAMES[along]}"


def _learning_curves(tables: Tables) -> dict[str, Draw]:
    summary = tables("summary")
    means = {of: tables.means(of) for of, measure in OF.items() if measure.column in tables("curves")}
    return {"learning_curves": printed(curves.learning_curves, summary, means)}


def _frontier(tables: Tables) -> dict[str, Draw]:
    summary, table = tables("summary"), tables("curves")
    return {"frontier": printed(frontier.frontier, summary, table)} if "downlink_bytes" in table else {}


def _times(tables: Tables) -> dict[str, Draw]:
    summary = tables("summary")
    return {
        f"time_to_target_over_{swept.name}": printed(
            targets.time_to_target, summary, tables("crossovers"), swept
        )
        for swept in swept_in(summary)
    }


def _rounds(tables: Tables) -> dict[str, Draw]:
    return {"average_round": printed(rounds.average_round, tables("breakdown"), tables.get("summary"))}


def _errors(tables: Tables) -> dict[str, Draw]:
    return {"errors_over_ratio": printed(errors.errors, tables("errors"))}


def _rates(tables: Tables) -> dict[str, Draw]:
    table = tables("errors")
    return {"rate_over_distortion": printed(errors.rates, table)} if set(LIMITS) <= set(table) else {}


def _partition(tables: Tables) -> dict[str, Draw]:
    return {"partition": printed(partition.partition, tables("partition"))}


def _gantt(tables: Tables) -> dict[str, Draw]:
    table = tables("round")
    return {"gantt": printed(gantt.gantt, table, tables.get("summary"), None)} if len(table) else {}


def _theory(tables: Tables) -> dict[str, Draw]:
    table = tables("measurements")
    own = table[measurements.is_theory(table)]
    return (
        {"theory": printed(measurements.theory, own, tables.get("summary"))}
        if len(own) or table.empty
        else {}
    )


def _quantities(tables: Tables) -> dict[str, Draw]:
    table = tables("measurements")
    others = table[~measurements.is_theory(table)]
    return (
        {"measurements": printed(measurements.quantities, others, tables.get("summary"))}
        if len(others)
        else {}
    )


HOW = {  # how a table comes about
    "errors": "`slsim errors SCENARIO` writes it",
    "partition": "`slsim partition SCENARIO` writes it",
    "measurements": "a scenario whose [training] names hooks has one",
}
AGAIN = "running its scenario, or its replay, again writes it"
SWEEP = '`slsim replay STUDY --set network.uplink="1 Mbps .. 1 Gbps / 20"`'
_OLD = "curves.csv is an older one and lacks a column; `slsim replay` writes it again"
_NO_LIMITS = "errors.csv is an older one, without limits; `slsim errors SCENARIO` writes it again"
KINDS: tuple[Kind, ...] = (
    Kind("errors_over_ratio", ("errors",), _errors),
    Kind("rate_over_distortion", ("errors",), _rates, _NO_LIMITS),
    Kind("partition", ("partition",), _partition),
    Kind("average_round", ("breakdown",), _rounds),
    Kind("gantt", ("round",), _gantt, "no round was played"),
    Kind("theory", ("measurements",), _theory, 'the hook "theory" measured nothing'),
    Kind("measurements", ("measurements",), _quantities, 'no hook but "theory" measured anything'),
    Kind("learning_curves", ("summary", "curves"), _learning_curves),
    *(
        Kind(curve_name(of, along), ("summary", "curves"), partial(_curve, of, along), _OLD)
        for of in OF
        for along in ALONG
    ),
    Kind("frontier", ("summary", "curves"), _frontier, _OLD),
    Kind("time_to_target", ("summary",), _times, f"no number is swept; {SWEEP} sweeps one"),
)


def figures_of(tables: Tables, name: str) -> dict[str, Draw]:
    """What draws the figures of a name, of one figure or of a kind that has several. Raises `StudyError` when
    there is no such figure, or nothing to draw it from."""
    kind = next((one for one in KINDS if name == one.name or name.startswith(f"{one.name}_over_")), None)
    if kind is None:
        names = [one.name for one in KINDS]
        raise StudyError(f'there is no figure "{name}"; {nearest(name, names)}there are: {", ".join(names)}')
    where = tables.source.path
    for table in kind.needs:
        if not tables.source.has_table(table):
            raise StudyError(
                f"{name} is drawn from {table}.csv, and {where} has none; {HOW.get(table, AGAIN)}"
            )
    found = kind.figures(tables)
    if not found:
        raise StudyError(f"{where} has nothing to draw {name} from: {kind.why_none}")
    if name != kind.name and name not in found:
        raise StudyError(
            f'{where} has no figure "{name}"; {nearest(name, found)}there are: {", ".join(found)}'
        )
    return found if name == kind.name else {name: found[name]}
