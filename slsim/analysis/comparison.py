"""Several studies in one table, from their saved tables and scenarios: a row a setting; and, of each row, the
place that it has in a table like the paper's Table 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slsim.analysis.summary import significantly_least
from slsim.analysis.target import REACHED
from slsim.scenario import Case, full_label
from slsim.scenario.labels import explicit_label
from slsim.scenario.normal_form import text
from slsim.scenario.schemes import is_of_scheme

VALUES = {  # what the paper's layout may show, and its column
    "traffic": "traffic_multiplier",
    "uplink": "uplink_multiplier",
    "total": "total_multiplier",
    "time": "time_to_target_s",
    "accuracy": "held_accuracy",
}
MULTIPLIERS = ("traffic_multiplier", "uplink_multiplier", "total_multiplier")
ENDS = {  # of each number over seeds
    **dict.fromkeys(("held_accuracy", *MULTIPLIERS), ("low", "high")),
    **dict.fromkeys(("time_to_target_s", "bytes_to_target"), ("least", "most")),
}
AS_SAVED = ("setting", "seeds", "reached", "target_state")
WHERE = ("data", "model", "cut")
NUMBERS = (  # columns that a table need not have, of numbers where it has them
    *(f"{name}{end}" for name, ends in ENDS.items() for end in ("", *(f"_{end}" for end in ends))),
    *("evaluation_step_rounds", "target_accuracy_low", "target_accuracy_high", "target_window"),
)
PLACE = ("study", *WHERE, "conditions")  # of a row: codecs that have it in common can be compared


@dataclass(frozen=True)
class Compared:
    """A study that is compared: what it is called beside the others, its tables as they were saved, and the
    case of each row of its summary, None where that is not known; `cases` are all of its scenario."""

    name: str
    summary: pd.DataFrame
    runs: pd.DataFrame
    rows: Sequence[Case | None]
    cases: Sequence[Case] = field(repr=False)


def settings_table(studies: Sequence[Compared]) -> pd.DataFrame:
    """Return one row a study and setting.

    `study`, `setting`, `seeds`, `reached` and `target_state` are as in the summaries, and so are the numbers
    of `ENDS` with their ends; a column that an older slsim did not write is NaN. `data`, `model` and `cut`
    come from the scenario. `codec` is alike for what is the same codec with the same parameters, whatever a
    study calls it, `is_baseline` says that nothing is compressed, and `conditions` has what else a study
    sweeps. `evaluation_step` is what lies between two evaluations, as a share of the rounds to the target.
    """
    table = pd.concat([_of_study(one) for one in studies], ignore_index=True)
    table["codec"] = _names(table["codec"].tolist())
    return table


def _of_study(study: Compared) -> pd.DataFrame:
    summary = study.summary.reset_index(drop=True)
    swept = _swept_codecs(study.cases)
    codecs = [_called(case, swept, label) for case, label in zip(study.rows, summary["codec"], strict=True)]
    found: dict[str, Any] = {"study": study.name, **{name: summary[name] for name in AS_SAVED}}
    found |= {name: [_where(case)[place] for case in study.rows] for place, name in enumerate(WHERE)}
    found |= {"conditions": _conditions(study), "codec": codecs}
    found["is_baseline"] = [case is not None and case.scenario.is_baseline for case in study.rows]
    nothing = pd.Series(np.nan, summary.index)
    for name, ends in ENDS.items():
        columns = [name, *(f"{name}_{end}" for end in ends)]
        found |= {column: summary.get(column, nothing).astype(float) for column in columns}
    step = summary.get("evaluation_step_rounds", nothing).astype(float)
    found["evaluation_step"] = step / summary["rounds_to_target"]
    return pd.DataFrame(found, summary.index)


def significantly_best(studies: Sequence[Compared], table: pd.DataFrame, value: str) -> list[bool]:
    """Whether each row of `settings_table` is, in one of `VALUES`, significantly better than every other row
    of its place, by the rule of `significantly_least`. Of accuracies all rows count, whether they reached a
    target or not."""
    found: list[bool] = []
    for study in studies:
        rows = table[table["study"] == study.name].reset_index(drop=True)
        costs = _costs(study, rows, value)
        middle = rows[VALUES[value]] if value == "time" else 1 / rows[VALUES[value]]
        known = np.isfinite(costs).sum(axis=1)
        step = 0.0 if value == "accuracy" else middle * rows["evaluation_step"]
        of = pd.DataFrame({"seeds": rows["seeds"], "reached": known, "cost": middle, "step": step})
        found += significantly_least(places(rows), costs, of)
    return found


def places(table: pd.DataFrame) -> pd.Series:
    """The place of each row of `settings_table`, as a tuple."""
    return pd.Series(list(zip(*(table[name] for name in PLACE), strict=True)), table.index, dtype=object)


def _costs(study: Compared, rows: pd.DataFrame, value: str) -> NDArray[np.float64]:
    """What is the better the less it is, [settings, seeds]: NaN where there is no run, infinite where it did
    not reach the target."""
    runs, column = study.runs, VALUES[value]
    if column not in runs:
        return np.full((len(rows), 1), np.nan)
    costs = runs[column].astype(float) if value == "time" else 1 / runs[column].astype(float)
    if value != "accuracy":
        costs = costs.where(runs["target_state"] == REACHED, np.inf)
    by_seed = costs.groupby([runs["setting"], runs["seed"]]).first().unstack()
    return by_seed.reindex(rows["setting"]).to_numpy(np.float64)


def _where(case: Case | None) -> tuple[str, str, str]:
    """Data, model and cut of a case; empty where it is not known."""
    if case is None:
        return "", "", ""
    scenario = case.scenario
    data, model = scenario.data.component.name, scenario.model.component.name
    return full_label(data.rpartition(":")[2]), full_label(model.rpartition(":")[2]), str(scenario.model.cut)


def _conditions(study: Compared) -> list[str]:
    """What each row's case sweeps beside codecs and adapter, where data, model and cut do not tell it."""
    keys = dict.fromkeys(key for case in study.rows if case for key in case.values)
    adding = [key for key in keys if _is_condition(key) and _adds(study, key)]
    ends = [key.rpartition(".")[2] for key in adding]
    told = [(key, key if ends.count(end) > 1 else end) for key, end in zip(adding, ends, strict=True)]
    return [
        ", ".join(f"{name} {full_label(case.values[key])}" for key, name in told if key in case.values)
        if case
        else ""
        for case in study.rows
    ]


def _is_condition(key: str) -> bool:
    """Whether a swept key is neither a codec's nor an adapter's."""
    return key.partition(".")[0] != "codec" and not is_of_scheme(key)


def _adds(study: Compared, key: str) -> bool:
    """Whether rows of one data set, model and cut differ in a swept value."""
    found = {(_where(case), text(case.values.get(key))) for case in study.rows if case}
    return len(found) > len({where for where, _ in found})


# Codecs of several studies: called alike where they are the same.


def _swept_codecs(cases: Sequence[Case]) -> list[str]:
    """Which codecs beside the uplink's differ between the cases of a study."""
    choices = [case.scenario.codec.choices() for case in cases]
    keys = [key for key in choices[0] if key != "uplink"] if choices else []
    return [key for key in keys if len({text(one[key].table()) for one in choices}) > 1]


class _Called(NamedTuple):
    """A row's codecs: what tells them apart, as text; what they are called, and with every parameter."""

    key: str
    label: str
    in_full: str


def _called(case: Case | None, swept: Sequence[str], label: str) -> _Called:
    """The codecs of a row that its study's tables call `label`; all there is where its case is not known."""
    if case is None:
        return _Called(text(label), label, label)
    chosen = {key: case.scenario.codec.choices()[key] for key in ("uplink", *swept)}
    adapter = case.scenario.model.adapter
    keys = text([[key, one.name, dict(one.params)] for key, one in chosen.items()])
    keys += text(adapter.table()) if adapter else ""
    others = [f"{key.replace('_', ' ')} {chosen[key].label}" for key in swept]
    in_full = explicit_label(case.scenario.scheme.table()).removeprefix("name=")
    return _Called(keys, ", ".join([label, *others]), ", ".join([in_full, *others]))


def _names(codecs: Sequence[_Called]) -> list[str]:
    """A name for each codec, alike only for those of one key: what the first study's tables call it, with
    every parameter where others are called the same."""
    first = {one.key: one for one in reversed(codecs)}
    counts = Counter(one.label for one in first.values())
    names = {key: one.in_full if counts[one.label] > 1 else one.label for key, one in first.items()}
    return [names[one.key] for one in codecs]
