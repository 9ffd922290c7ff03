"""Tables as JSON: every value is one that other programs read."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd

from slsim.forecast import Forecast
from slsim.report.as_json import as_json
from slsim.verdict import Check


def test_tables_are_lists_of_rows_and_what_is_no_number_is_null() -> None:
    table = pd.DataFrame(
        {
            "run": ["a", "b"],
            "time_s": [1.5, math.inf],
            "seeds": [3, 1],
            "best": [True, False],
            "why": ["", math.nan],
        }
    )
    assert json.loads(as_json({"runs": table})) == {
        "runs": [
            {"run": "a", "time_s": 1.5, "seeds": 3, "best": True, "why": ""},
            {"run": "b", "time_s": None, "seeds": 1, "best": False, "why": None},
        ]
    }


def test_checks_and_forecasts_are_objects_of_their_fields() -> None:
    assert json.loads(as_json([Check("bytes of α", True, "1 = 1")])) == [
        {
            "subject": "bytes of α",
            "passed": True,
            "arithmetic": "1 = 1",
            "note": "",
            "group": "",
            "unread": False,
        }
    ]
    forecast = json.loads(as_json(Forecast("a", Path("results/a"), (), (), runs=1, clocks=1, workers=2)))
    assert (forecast["folder"], forecast["wall_s"], forecast["trainings"]) == ("results/a", None, [])


def test_numbers_of_numpy_are_numbers() -> None:
    assert json.loads(as_json([np.float64(0.5), np.int64(2), np.bool_(True), np.float32("nan")])) == [
        0.5,
        2,
        True,
        None,
    ]
