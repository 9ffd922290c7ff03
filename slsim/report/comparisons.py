"""Studies side by side for a reader: a row a setting, or the paper's Table 1, with what has to be known of
the numbers under it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from slsim.analysis import FAILED, NOT_REACHED
from slsim.analysis.comparison import (
    ENDS,
    MULTIPLIERS,
    PLACE,
    VALUES,
    WHERE,
    Compared,
    places,
    settings_table,
    significantly_best,
)
from slsim.analysis.differences import Difference, differences
from slsim.report import notes
from slsim.report.formats import Cell, Sheet
from slsim.report.terminal import between, duration, listed, three_figures, times
from slsim.units import DURATION, SIZE

Row = Mapping[Any, Any]

LAYOUTS = ("settings", "table1")
MOST_VALUES, MOST_KEYS = 4, 6  # that a line on differences tells
ACCOUNTING = {  # which bytes each multiplier counts
    "traffic": "activations on their way up (as in the paper)",
    "uplink": "everything on its way up",
    "total": "everything both ways",
}
TITLES = {
    **{value: f"Traffic multipliers, of {counted}" for value, counted in ACCOUNTING.items()},
    "time": "Time to the target",
    "accuracy": "Best test accuracy, %, the highest that most of a window confirmed",
}
HEADINGS = (
    *("study", "setting", "reached", "accuracy,\n%", "time to\ntarget", "bytes to\ntarget"),
    *("multiplier,\nactivations up", "everything\nup", "both\nways"),
)
SHOWN = ("data.name", "model.name", "model.cut")  # keys of a scenario that the paper's layout tells
EMPTY = "–"


def compared(studies: Sequence[Compared], layout: str = "settings", value: str = "traffic") -> Sheet:
    """Return the table of studies in one of `LAYOUTS`; that of the paper shows one of `VALUES`."""
    table = settings_table(studies)
    return _settings(studies, table) if layout == "settings" else _table1(studies, table, value)


def _settings(studies: Sequence[Compared], table: pd.DataFrame) -> Sheet:
    best = {value: significantly_best(studies, table, value) for value in VALUES}
    rows, last = [], ""
    for place, row in enumerate(table.to_dict("records")):
        numbers = {value: _cell(row, value, best[value][place]) for value in VALUES}
        cells = [_study(row["study"] if row["study"] != last else "")] if len(studies) > 1 else []
        last = row["study"]
        cells += [Cell(row["setting"]), Cell(f"{row['reached']} of {row['seeds']}")]
        cells += [numbers["accuracy"], numbers["time"], _bytes(row)]
        rows.append([*cells, numbers["traffic"], numbers["uplink"], numbers["total"]])
    told = [*_told(studies, table, [*VALUES], any(map(any, best.values()))), *_of_studies(studies)]
    flags = {f"best_{value}": flags for value, flags in best.items()}
    title, headings = ("Studies compared", HEADINGS) if len(studies) > 1 else (studies[0].name, HEADINGS[1:])
    return Sheet(title, headings, rows, told, table.assign(**flags), texts=len(headings) - 7)


def _table1(studies: Sequence[Compared], table: pd.DataFrame, value: str) -> Sheet:
    """A row a data set, model and cut, a column a codec. Over itself the baseline says nothing, so it has no
    column of multipliers."""
    best = significantly_best(studies, table, value)
    shown = table[~table["is_baseline"]] if VALUES[value] in MULTIPLIERS else table
    shown = shown.assign(best=pd.Series(best, table.index)[shown.index], place=places(table)[shown.index])
    shown["place"] = list(zip(shown["place"], shown.groupby(["place", "codec"]).cumcount(), strict=True))
    codecs = list(dict.fromkeys(shown["codec"]))
    named = _columns_that_tell(shown)
    rows, data = [], []
    for _, own in shown.groupby("place", sort=False):
        there = {row["codec"]: row for row in own.to_dict("records")}
        first = next(iter(there.values()))
        cells = [_study(first[name]) if name == "study" else Cell(first[name] or EMPTY) for name in named]
        rows.append([*cells, *(_entry(there.get(codec), value) for codec in codecs)])
        data.append({name: first[name] for name in named} | _numbers(there, codecs, value))
    told = [*_told(studies, table, [value], any(best)), *_of_studies(studies, SHOWN)]
    headings = ["data set" if name == "data" else name for name in named]
    headings += [codec.replace(" ", "\n", 1) for codec in codecs]
    return Sheet(TITLES[value], headings, rows, told, pd.DataFrame(data), texts=len(named))


def _columns_that_tell(shown: pd.DataFrame) -> list[str]:
    """Data set, model and cut; the study too where several have these, and conditions where there are any."""
    own = shown.drop_duplicates([*PLACE])
    study = ["study"] if own.duplicated([*WHERE, "conditions"]).any() else []
    return [*study, *WHERE, *(["conditions"] if shown["conditions"].any() else [])]


def _numbers(there: Mapping[str, Row], codecs: Sequence[str], value: str) -> dict[str, Any]:
    """The columns of numbers of a row, each codec's: NaN, or no text, where it is not there."""
    name = VALUES[value]
    columns = (name, *(f"{name}_{end}" for end in ENDS[name]), "seeds", "target_state", "best")
    return {
        f"{codec}: {column}": there[codec][column] if codec in there else None
        for codec in codecs
        for column in columns
    }


# Cells.


def _study(name: str) -> Cell:
    """A study's name; what was set beside its scenario, or where it is, is a detail."""
    scenario, _, rest = name.partition(" ")  # which has no spaces in its name
    return Cell(scenario, rest)


def _entry(row: Row | None, value: str) -> Cell:
    """What a codec's column has in the paper's layout: also how many seeds reached the target, if not all."""
    if row is None:
        return Cell(EMPTY)
    cell = _cell(row, value, row["best"])
    if value == "accuracy" or row["reached"] in (0, row["seeds"]):
        return cell
    some = f"{row['reached']} of {row['seeds']} seeds"
    return replace(cell, detail="\n".join(filter(None, (cell.detail, some))))


def _cell(row: Row, value: str, is_best: bool) -> Cell:
    """A number over seeds, with its interval or range where it has one."""
    number, (low, high) = row[VALUES[value]], (row[f"{VALUES[value]}_{end}"] for end in ENDS[VALUES[value]])
    if value == "accuracy":
        half = "" if math.isnan(low) else f" ± {50 * (high - low):.1f}"
        return Cell(EMPTY if math.isnan(number) else f"{100 * number:.1f}{half}", bold=is_best)
    if lacking := _lacking(row, number):
        return Cell(lacking)
    if value == "time":
        return Cell(duration(number), _range(low, high, DURATION.pretty), is_best)
    return Cell(times(number), _range(low, high, three_figures), is_best)


def _bytes(row: Row) -> Cell:
    number, low, high = (row[f"bytes_to_target{end}"] for end in ("", "_least", "_most"))
    return Cell(_lacking(row, number) or SIZE.pretty(number), _range(low, high, SIZE.pretty))


def _lacking(row: Row, number: float) -> str:
    """What stands in place of a number that there is not."""
    if row["target_state"] == FAILED:
        return FAILED
    if row["target_state"] == NOT_REACHED:
        return "INF"
    return EMPTY if math.isnan(number) else ""


def _range(low: float, high: float, pretty: Any) -> str:
    return "" if math.isnan(low) or low in (high, math.inf) else between(low, high, pretty)


# Notes.


def _told(
    studies: Sequence[Compared], table: pd.DataFrame, values: Sequence[str], is_any_bold: bool
) -> Iterator[str]:
    """What the numbers of a table are, and what is bold."""
    counted = [f"of {ACCOUNTING[value]}" for value in values if value in ACCOUNTING]
    if counted:
        yield (
            "Multipliers: bytes that the uncompressed run of the same seed sent until it reached the target, "
            f"÷ those that this run sent, {', '.join(counted)}."
        )
    seeds = sorted({int(count) for count in table["seeds"]})
    if values != ["accuracy"]:
        who = "half of the seeds or more" if seeds[-1] > 1 else "the run"
        yield f"INF: {who} never reached the target. {EMPTY}: there is no such number."
    if seeds[-1] == 1:
        yield "One seed has no interval and cannot tell codecs apart: nothing is bold."
    else:
        yield _over_seeds(seeds, values)
        yield _bold(seeds, values, is_any_bold)
    yield from _older(studies, values)


def _older(studies: Sequence[Compared], values: Sequence[str]) -> Iterator[str]:
    """Which multipliers some tables do not have."""
    found: dict[tuple[str, ...], list[str]] = {}
    for value in values:
        lacking = tuple(study.name for study in studies if VALUES[value] not in study.summary)
        if lacking:
            found.setdefault(lacking, []).append(ACCOUNTING[value])
    for names, counted in found.items():
        yield (
            f"Multipliers of {listed(counted)} are not in the tables of {listed(names)}, which an older "
            "slsim wrote: running the scenario again adds them, and trains nothing."
        )


def _over_seeds(seeds: Sequence[int], values: Sequence[str]) -> str:
    """What the numbers of several seeds are."""
    interval = f"{notes.PERCENT} % interval by Student's t"
    methods = [f"accuracies are means ± half of the {interval}"] if "accuracy" in values else []
    if any(value in ACCOUNTING for value in values):
        methods.append(f"multipliers are geometric means, of the seeds that got there, with the {interval}")
    if "time" in values:
        methods.append(f"times{' and bytes' if len(values) > 1 else ''} are medians with their range")
    over = " to ".join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))
    return f"Over {over} seeds: {'; '.join(methods)}."


def _bold(seeds: Sequence[int], values: Sequence[str], is_any: bool) -> str:
    """When a number is bold; or that none is."""
    rivals = "" if values == ["accuracy"] else " that reached the target"
    better = (
        "significantly better than every other codec of the same study, data set, model, cut and conditions"
        f"{rivals}, the uncompressed run included (paired over seeds, {notes.PERCENT} %)"
    )
    alone = " A row of one seed never is." if seeds[0] == 1 else ""
    return f"Bold: {better}.{alone}" if is_any else f"No codec is {better}: nothing is bold."


def _of_studies(studies: Sequence[Compared], told: Sequence[str] = ()) -> Iterator[str]:
    """The targets of the studies, and what the studies differ in."""
    targets: dict[str, list[str]] = {}
    for study in studies:
        targets.setdefault(_target(study.summary), []).append(study.name)
    for target, names in targets.items():
        yield f"{target}." if len(targets) == 1 else f"{listed(names)}: {target[0].lower()}{target[1:]}."
    found = differences(studies, told)
    for about in dict.fromkeys(one.about for one in found):
        own = [one for one in found if one.about == about]
        more = [f"and in {len(own) - MOST_KEYS} more"] if len(own) > MOST_KEYS else []
        yield f"{about.capitalize()} differ: {'; '.join([*map(_difference, own[:MOST_KEYS]), *more])}."
    if len(studies) > 1 and not set.intersection(*(set(study.runs["seed"]) for study in studies)):
        yield "The studies have no seed in common."


def _target(summary: pd.DataFrame) -> str:
    try:
        return notes.target(summary)
    except KeyError:  # a column that an older slsim did not write
        return "The target is not in the tables"


def _difference(one: Difference) -> str:
    """ "network.uplink is 100 Mbps in a, 10 Mbps in b and c"."""
    having: dict[tuple[str, ...], list[str]] = {}
    for study, values in one.values.items():
        having.setdefault(values, []).append(study)
    return f"{one.key} is " + ", ".join(
        f"{_few(values)} in {listed(names)}" for values, names in having.items()
    )


def _few(values: Sequence[str]) -> str:
    if len(values) <= MOST_VALUES:
        return listed(values)
    return f"{values[0]} … {values[-1]} ({len(values)} values)"
