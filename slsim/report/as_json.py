"""What commands print, as JSON for other programs: the same tables, with every column and every row."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def as_json(value: Any) -> str:
    """`value` as JSON text: a DataFrame as a list of its rows, a dataclass as an object of its fields, a path
    as text, and null for numbers that are missing or infinite.

    Example:
        >>> as_json({"ratio": math.inf, "table": pd.DataFrame({"codec": ["ms"], "bits": [2]})})
        '{"ratio": null, "table": [{"codec": "ms", "bits": 2}]}'
    """
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    match value:
        case pd.DataFrame():
            return [_plain(row) for row in value.to_dict("records")]
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case float() | np.floating():
            return float(value) if math.isfinite(value) else None
        case np.generic():
            return value.item()
        case Path():
            return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value
