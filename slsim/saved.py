"""The tables that a study saves as CSV: which columns each must have, and what may stand in them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from slsim.recording.kinds import PHASES, phase_column

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

# A number may be infinite or missing (what was never reached); a finite one may not. "any" is a number where
# all values are, else text: a swept key may be either.
Kind = Literal["text", "number", "finite", "flag", "any"]
# Of trainings that ended before anything was evaluated or measured, of studies that sweep no number.
MAY_BE_EMPTY = ("curves", "measurements", "crossovers", "links", "frontier", "round")
SERIES = "_series"  # ends the column of labels without the number in the column before it
LARGEST = 1e18  # of a finite number: seconds, bytes, rounds

_COSTS: dict[str, Kind] = dict.fromkeys(("target_accuracy", "rounds_to_target", "time_to_target_s"), "number")
_RUNS: dict[str, Kind] = {
    **dict.fromkeys(("run", "setting", "codec", "conditions", "status", "target_state"), "text"),
    "seed": "finite",
    **_COSTS,
}
_SUMMARY: dict[str, Kind] = {
    **dict.fromkeys(("setting", "codec", "conditions", "target_state", "baseline", "pays"), "text"),
    **dict.fromkeys(("seeds", "finished", "failed", "diverged", "reached", "compared"), "finite"),
    **_COSTS,
    **dict.fromkeys(("best_time", "best_bytes"), "flag"),
}
_TEXTS = ("status", "failure", "training", "baseline", "target_reason", "stage")
_NAMED: dict[str, Kind] = {"run": "text", "setting": "text", "seed": "finite"}
_CURVES: dict[str, Kind] = {
    **_NAMED,
    **dict.fromkeys(("round", "sim_s", "uplink_bytes"), "finite"),
    "accuracy": "number",
}
_BREAKDOWN: dict[str, Kind] = {
    **_NAMED,
    **{phase_column(phase.name): "finite" for phase in PHASES},
    "round_s": "finite",
    "bottleneck": "text",
    "bottleneck_share": "finite",
}
COLUMNS: Mapping[str, Mapping[str, Kind]] = {
    "runs": _RUNS,
    "summary": _SUMMARY,
    "crossovers": {
        **dict.fromkeys(("axis", "series", "assuming", "direction"), "text"),
        **dict.fromkeys(("value", "low", "high", "after", "before"), "number"),
        "seeds": "finite",
        "significant": "flag",
    },
    "curves": _CURVES,
    "breakdown": _BREAKDOWN,
    "links": {
        **_NAMED,
        **dict.fromkeys(("link", "role"), "text"),
        **dict.fromkeys(("links", "wire_bytes", "busy_s", "utilisation"), "finite"),
        "shared": "flag",
    },
    "frontier": {
        "setting": "text",
        "seeds": "finite",
        "budget_bytes": "finite",
        **dict.fromkeys(("accuracy", "accuracy_low", "accuracy_high"), "number"),
    },
    "measurements": {
        **_NAMED,
        "round": "finite",
        "client": "finite",
        "part": "text",
        "quantity": "text",
        "value": "number",
    },
    "round": {
        **_NAMED,
        "round": "finite",
        **dict.fromkeys(("who", "phase"), "text"),
        **dict.fromkeys(("start_s", "end_s"), "finite"),
    },
    "errors": {
        "series": "text",
        "codec": "text",
        "lossless": "flag",
        "bytes": "finite",
        "compression_ratio": "finite",
        "relative_error": "finite",
    },
    "partition": {"client": "finite", "samples": "finite", "class_0": "finite"},
}
NO_STAGE, OLD_STAGE = "none", "zstd"  # what errors.csv calls no lossless stage; the one it once had
LIMITS = (  # of errors.csv, since there are any
    "distortion",
    "bits_per_element",
    "entropy_bits",
    "context_entropy_bits",
    "gaussian_bits",
    "bytes_per_sample",
    "times_raw_data",
)
NO_NUMBER = ("", "nan", "NaN")  # how a number that is missing is written
EXPECTED = {"number": "a number", "finite": f"a number of at most {LARGEST:g}", "flag": "True or False"}


def parse(name: str, text: str) -> pd.DataFrame:
    """The table `name` from its CSV: columns of numbers as numbers, others as text. Raises `ValueError` that
    names the column that is missing, or the value that cannot stand in it."""
    import numpy as np
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, index_col=False)
        except pd.errors.ParserWarning as error:
            raise ValueError(str(error)) from None
    kinds = {column: _other(name, column) for column in map(str, table)} | dict(COLUMNS[name])
    if missing := [column for column in kinds if column not in table]:
        raise ValueError(f"the column {missing[0]} is missing")
    if table.empty and name not in MAY_BE_EMPTY:
        raise ValueError("it has no rows")
    columns = {column: _parsed(column, table[column].to_numpy(), kind) for column, kind in kinds.items()}
    if name == "errors" and "stage" not in columns:
        columns["stage"] = np.where(columns["lossless"], OLD_STAGE, NO_STAGE).astype(object)
    texts = {column: str for column, values in columns.items() if values.dtype == object}
    return pd.DataFrame(columns).astype(texts)


def _other(name: str, column: str) -> Kind:
    """The kind of a column that a table need not have."""
    if column == "fairness" or column in LIMITS:  # of one client, and of older tables, there is none
        return "number"
    if name in ("partition", "breakdown"):
        return "finite"
    return "text" if column in _TEXTS or "." in column or column.endswith(SERIES) else "any"


def _parsed(column: str, texts: np.ndarray, kind: str) -> np.ndarray:
    """The values of one column. Raises `ValueError` with the first that cannot stand in it."""
    import numpy as np
    import pandas as pd

    if kind == "text":
        return texts
    if kind == "flag":
        values: np.ndarray = texts == "True"
        wrong = ~(values | (texts == "False"))
    else:
        values = pd.to_numeric(texts, errors="coerce")
        values = values.astype(float) if values.dtype == object else values
        if kind == "finite":
            wrong = ~(np.abs(values) <= LARGEST)
        else:
            wrong = np.isnan(values)
            wrong[wrong] = [text not in NO_NUMBER for text in texts[wrong]]
        if kind == "any":
            return texts if wrong.any() else values
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"the column {column}: {texts[row]!r} in row {row + 1} is not {EXPECTED[kind]}")
    return values
