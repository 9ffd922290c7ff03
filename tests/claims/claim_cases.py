"""A small claim of one's own, for tests to change."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import tomli_w

MINE: dict[str, Any] = {
    "paper": "Half a Byte Is Enough",
    "table": "Table 2",
    "read": ["Table 2"],
    "accounting": {"baseline_bits": 32, "directions": "uplink activations"},
    "parameters": {"k": "floor(0.05 * d)"},
    "columns": {
        "qu4": {"kind": "ceiling", "codec": {"name": "qu", "bits": 4}},
        "sparse": {"quantity": "percent", "formula": "k * (16 + ceil(log2(d))) / (d * baseline_bits)"},
    },
    "rows": [
        {"setting": {"data": "npz", "cut": "shallow"}, "shape": [8, 16], "printed": {"qu4": "7.62"}},
        {"parameters": {"d": 4096}, "printed": {"sparse": "4.4"}},
    ],
}


def mine(**changes: Any) -> dict[str, Any]:
    """The claim with values at dotted keys, rows by number, such as `rows.0.shape`; None removes one."""
    document = copy.deepcopy(MINE)
    for path, value in changes.items():
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        table: Any = document
        for part in parents:
            table = table.setdefault(part, {}) if isinstance(table, dict) else table[part]
        if value is None:
            del table[last]
        else:
            table[last] = value
    return document


def written(folder: Path, **changes: Any) -> Path:
    """`mine` in a file."""
    path = folder / "mine.toml"
    path.write_text(tomli_w.dumps(mine(**changes)), encoding="utf-8")
    return path
