"""What components are called for readers: "RT (95.875 %, α 0.1)", "k-means (3 bits)", "half (steps 5)".

A title depends on the name and the parameters alone, never on the component's code: a study is called the
same wherever it is opened, also where code of its own or a plug-in is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_NAMES = {  # as the field writes them, where that is not the name itself
    "dsq": "DSQ",
    "kmeans": "k-means",
    "lsq": "LSQ",
    "ms": "MS",
    "qsgd": "QSGD",
    "qu": "QU",
    "randk": "rand-k",
    "rt": "RT",
    "sl-acc": "SL-ACC",
    "sp": "SP",
}


def title(name: str, params: Mapping[str, Any]) -> str:
    """A component with the parameters that are to be told, by name and value.

    Example:
        >>> title("ms", {"sparsity": 0.99, "bits": 2})
        'MS (99 %, 2 bits)'
    """
    called = _NAMES.get(name, name.rpartition(":")[2])
    told = ", ".join(_told(key, value) for key, value in params.items() if value is not None)
    return f"{called} ({told})" if told else called


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


def _bits(value: float) -> str:
    return f"{value:g} bit" if value == 1 else f"{value:g} bits"


_PARAMETERS: dict[str, Callable[[float], str]] = {
    "alpha": lambda value: f"α {value:g}",
    "bits": _bits,
    "sparsity": percent,
}
# Numbers, and yes or no, that a title does not tell where they are as by default.
UNTOLD = (
    *("bucket_size", "iterations", "learning_rate", "signed"),
    *("groups", "history", "least_bits", "most_bits"),
)
_SPEAK_ALONE = ("dtype", "lossless", "rounding")
