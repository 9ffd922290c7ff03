"""What components are called for readers: "RT (95.875 %, α 0.1)", "k-means (3 bits)", "half (steps 5)".

A title depends on the name and the parameters alone, never on the component's code: a study is called the
same wherever it is opened, also where code of its own or a plug-in is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

INNER = "codec"  # the parameter that is a codec within another

_NAMES = {  # as the field writes them, where that is not the name itself
    "c3": "C3",
    "delta": "AQ-SGD",
    "dsq": "DSQ",
    "fedlite": "FedLite",
    "ics": "ICS",
    "kmeans": "k-means",
    "lsq": "LSQ",
    "ms": "MS",
    "qsgd": "QSGD",
    "qu": "QU",
    "randk": "rand-k",
    "randtopk": "RandTopk",
    "rt": "RT",
    "sl-acc": "SL-ACC",
    "sl-fac": "SL-FAC",
    "sp": "SP",
    "splitfc": "SplitFC",
    "splitfc-drop": "SplitFC-Drop",
    "tah": "TAH-Quant",
}


def title(name: str, params: Mapping[str, Any]) -> str:
    """A component with the parameters that are to be told, by name and value.

    Example:
        >>> title("ms", {"sparsity": 0.99, "bits": 2})
        'MS (99 %, 2 bits)'
        >>> title("masked", {"codec": "QU (8 bits)"})
        'masked QU (8 bits)'
    """
    called, inner = _NAMES.get(name, name.rpartition(":")[2]), params.get(INNER)
    told = ", ".join(_told(key, value) for key, value in params.items() if value is not None and key != INNER)
    outer = f"{called} ({told})" if told else called
    return outer if inner is None else f"{outer} {_plain(inner)}"


def percent(share: float) -> str:
    """A share without rounding: 0.95875 as "95.875 %"."""
    return f"{100 * share:.10g} %"


def _told(key: str, value: Any) -> str:
    if key in _PARAMETERS and isinstance(value, (int, float)) and not isinstance(value, bool):
        return _PARAMETERS[key](value)
    if key == "scope":
        return f"by {value}"
    words = key.replace("_", " ")
    if isinstance(value, bool):
        return words if value else f"no {words}"
    return value if key in _SPEAK_ALONE and isinstance(value, str) else f"{words} {_plain(value)}"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key} {_plain(item)}" for key, item in value.items())
    return " ".join(map(_plain, value)) if isinstance(value, (list, tuple)) else str(value)


def _counted(value: float, what: str) -> str:
    return f"{value:g} {what}" if value == 1 else f"{value:g} {what}s"


def _bits(value: float) -> str:
    return _counted(value, "bit")


_PARAMETERS: dict[str, Callable[[float], str]] = {
    "alpha": lambda value: f"α {value:g}",
    "bits": _bits,
    "centroids": lambda value: f"L {value:g}",
    "channels": lambda value: _counted(value, "channel"),
    "energy": lambda value: f"{percent(value)} energy",
    "rate": percent,
    "ratio": lambda value: f"{value:g}×",
    "reduction": lambda value: f"R {value:g}",
    "samples": lambda value: _counted(value, "sample"),
    "sparsity": percent,
    "subvectors": lambda value: f"q {value:g}",
}
# Numbers, and yes or no, that a title does not tell where they are as by default.
UNTOLD = (
    *("bucket_size", "groups", "high_bits", "high_share", "history", "iterations", "learning_rate"),
    *("least_bits", "low_bits", "most_bits", "signed", "tile"),
)
_SPEAK_ALONE = ("dtype", "lossless", "rounding")
