"""Studies that nobody ran, to be compared: a scenario, and the tables that its runs would have had."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from seeded import over_seeds, with_baseline

from slsim.analysis import summarise
from slsim.analysis.comparison import Compared
from slsim.scenario import plan

NEVER = math.nan
CODECS: dict[str, dict[str, Any]] = {
    "identity": {"name": "identity"},
    "qu": {"name": "qu", "bits": 3},
    "ms": {"name": "ms", "sparsity": 0.99, "bits": 2},
    "sp": {"name": "sp", "sparsity": 0.95875},
}


def document(codecs: Sequence[Mapping[str, Any]], **tables: Any) -> dict[str, Any]:
    """A scenario that sweeps over codecs, with these tables."""
    return {
        "name": "a",
        "data": {"name": "fashion-mini"},
        "model": {"name": "cnn", "cut": "medium"},
        "sweep": {"codec.uplink": [dict(one) for one in codecs]},
        **tables,
    }


def study(seconds: Mapping[str, Sequence[float]], name: str = "a", **tables: Any) -> Compared:
    """A study whose codecs (of `CODECS`) took so many seconds to the target with each seed, and as many bytes
    in proportion; NaN: not reached."""
    count = len(next(iter(seconds.values())))
    asked = document([CODECS[codec] for codec in seconds], name=name, seed=[*range(count)], **tables)
    cases = plan(asked, "test", Path()).cases
    rows = [one for codec, times in seconds.items() for one in over_seeds(codec, times)]
    runs = pd.DataFrame(with_baseline(rows) if "identity" in seconds else rows)
    return Compared(name, summarise(runs), runs, cases[::count], cases)
