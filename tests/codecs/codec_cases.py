"""The codecs that the tests of this folder run over, and what those tests share.

CASES is the whole grid: every registered codec with variations of every parameter. It runs once, under
`check_codec`. A new codec is covered by being registered: its parameters with a fixed choice of values are
varied on their own, others take the values of NUMBERS. A case is written as its codec's name and the
parameters that differ from the defaults.

REPRESENTATIVES are some 35 of them, for the detailed tests: every codec; every rounding, scope and type;
1 bit and 8 bits; every sparsity that is an extreme; buckets of one and of several elements; a generator that
draws and one that does not; and for every layout of a content (floats; a range, norms or centroids and
codes; masks and values; masks, values, means and signs) one case with zstd; three have the stage "context";
of a published scheme two cases.
"""

from __future__ import annotations

import inspect
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from itertools import product
from typing import Any, get_args

import numpy as np
import torch

from slsim.codecs import Codec, Rng, registry

NUMBERS: dict[str, tuple[Any, ...]] = {
    "sparsity": (0.0, 0.3, 0.5, 1.0),
    "bits": (1, 2, 3, 4, 5, 8),
    "qsgd.bits": (2, 3, 8),
    "alpha": (0.0, 1.0),
    "dsq.alpha": (0.0001, 0.5),
    "bucket_size": (1, 7, 64),
    "iterations": (0, 1, 50),
    "subvectors": (1, 3, 7),
    "centroids": (3, 256),
    "groups": (2, 5),
    "tah.bits": (1, 6, 8),
    "low_bits": (1, 4),
    "high_bits": (3, 8),
    "high_share": (0.0, 0.5, 1.0),
    "reduction": (1.0, 2.5, 1000.0),
    "energy": (0.5, 1.0),
    "splitfc.bits": (0.001, 1.5, 32.0),
    "learning_rate": (0.0, 0.1),
    "sl-acc.groups": (1, 2, 16),
    "history": (0.0, 0.9),
    "least_bits": (1, 5, 8),
    "most_bits": (2, 5),
    "signed": (False, True),
    "codec": ("cast", {"name": "qu", "bits": 8}, {"name": "qu", "scope": "sample"}),
}
LOSSLESS = {"lossless", "zstd_level"}
OF_GRADIENTS = {"correction"}  # changes nothing that is encoded
TOGETHER: dict[str, list[dict[str, Any]]] = {  # what one parameter at a time does not reach
    "ms": [
        {"rounding": rounding, "scope": scope, "sparsity": 0.6, "bits": bits}
        for rounding, scope, bits in product(("floor", "nearest", "centroid"), ("tensor", "sample"), (1, 3))
    ],
    "qu": [
        {"rounding": "stochastic", "scope": scope, "bits": 5} for scope in ("tensor", "sample", "channel")
    ],
    "lsq": [{"bits": 2, "signed": True}],
    "rt": [{"scope": "sample", "sparsity": 0.5, "alpha": 0.5}],
    "randk": [{"scope": "sample", "sparsity": 0.5}],
    "fedlite": [{"subvectors": 4, "groups": 3, "centroids": 5}],
    "tah": [{"tile": 4, "low_bits": 1, "high_bits": 5, "high_share": 0.5}],
    "splitfc": [{"reduction": 2.0, "bits": 2.0}],
    "sl-fac": [{"energy": 0.99, "least_bits": 1, "most_bits": 4}],
}


def values_of(name: str, parameter: str) -> tuple[Any, ...]:
    """The values that a parameter of the codec `name` is tried with; empty when nothing is known about it."""
    if f"{name}.{parameter}" in NUMBERS:
        return NUMBERS[f"{name}.{parameter}"]
    return NUMBERS.get(parameter) or get_args(registry.entry(name).cls.model_fields[parameter].annotation)


def parameters(name: str) -> list[str]:
    return sorted(set(registry.entry(name).cls.model_fields) - LOSSLESS - OF_GRADIENTS)


def _plain() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in registry.names():
        yield name, {}
        for parameter in parameters(name):
            for value in values_of(name, parameter):
                yield name, {parameter: value}
        for together in TOGETHER.get(name, []):
            yield name, together


def _id(name: str, params: dict[str, Any]) -> str:
    return "-".join([name, *(f"{key}={value}" for key, value in params.items())])


def _distinct(cases: dict[str, Codec]) -> dict[str, Codec]:
    seen: list[Codec] = []
    return {key: seen.append(codec) or codec for key, codec in cases.items() if codec not in seen}


def compressed(codec: Codec, stage: str = "zstd") -> Codec:
    """The codec of the same parameters with a lossless stage."""
    return type(codec)(**codec.model_dump() | {"lossless": stage})


PLAIN = _distinct({_id(name, params): registry.create(name, **params) for name, params in _plain()})
LEVELS = {
    f"{name}-zstd_level={level}": registry.create(name, lossless="zstd", zstd_level=level)
    for name, level in (("identity", 19), ("ms", 3), ("qu", 19))
}
DEFAULTS = {name: registry.create(name) for name in registry.names()}
# The lossless stage sees segments, not parameters: defaults, and what is varied together, stand for the rest.
_SEGMENTS = [_id(name, params) for name in DEFAULTS for params in ({}, *TOGETHER.get(name, []))]
CONTEXT = {f"{name}-context": registry.create(name, lossless="context") for name in DEFAULTS}
CASES = PLAIN | {f"{key}-zstd": compressed(PLAIN[key]) for key in _SEGMENTS} | LEVELS | CONTEXT

REPRESENTATIVES = {
    _id(name, params): registry.create(name, **params)
    for name, params in (
        ("identity", {}),
        ("identity", {"lossless": "zstd"}),
        ("cast", {"dtype": "float16"}),
        ("cast", {"dtype": "bfloat16", "lossless": "zstd", "zstd_level": 19}),
        ("cast", {"dtype": "float8_e4m3"}),
        ("cast", {"dtype": "float8_e5m2"}),
        ("qu", {"bits": 3}),
        ("qu", {"bits": 1, "rounding": "stochastic"}),
        ("qu", {"bits": 8, "scope": "sample"}),
        ("qu", {"bits": 5, "rounding": "stochastic", "scope": "channel", "lossless": "zstd"}),
        ("qsgd", {"bits": 2, "bucket_size": 1}),
        ("qsgd", {"bits": 8, "bucket_size": 7, "lossless": "zstd"}),
        ("kmeans", {"bits": 1, "iterations": 0}),
        ("kmeans", {"bits": 8, "iterations": 2, "lossless": "zstd"}),
        ("sp", {"sparsity": 0.0}),
        ("sp", {"sparsity": 0.5, "scope": "sample"}),
        ("sp", {"sparsity": 1.0, "lossless": "zstd"}),
        ("rt", {"sparsity": 0.5, "alpha": 1.0}),
        ("rt", {"sparsity": 0.95875, "scope": "sample", "lossless": "zstd"}),
        ("randk", {"sparsity": 0.3, "lossless": "zstd"}),
        ("randk", {"sparsity": 0.5, "scope": "sample"}),
        ("lsq", {"bits": 2, "signed": True}),
        ("dsq", {"lossless": "zstd"}),
        ("sl-acc", {"groups": 2, "lossless": "zstd"}),
        ("ms", {"sparsity": 0.99, "bits": 2}),
        ("ms", {"sparsity": 0.6, "bits": 1}),
        ("ms", {"sparsity": 0.6, "bits": 8, "rounding": "nearest"}),
        ("ms", {"sparsity": 1.0, "bits": 3, "scope": "sample"}),
        ("ms", {"sparsity": 0.0, "bits": 4, "lossless": "zstd"}),
        ("ms", {"sparsity": 0.6, "bits": 3, "rounding": "centroid", "scope": "sample", "lossless": "zstd"}),
        ("fedlite", {}),
        ("fedlite", {"subvectors": 4, "groups": 3, "centroids": 5, "lossless": "zstd"}),
        ("tah", {}),
        ("tah", {"tile": 4, "low_bits": 1, "high_bits": 5, "high_share": 0.5, "lossless": "zstd"}),
        ("tah", {"tile": 16, "bits": 2}),
        ("sl-fac", {}),
        ("sl-fac", {"energy": 0.99, "least_bits": 1, "most_bits": 4, "lossless": "zstd"}),
        ("splitfc-drop", {}),
        ("splitfc-drop", {"reduction": 2.0, "lossless": "zstd"}),
        ("splitfc", {}),
        ("splitfc", {"reduction": 2.0, "bits": 2.0, "lossless": "zstd"}),
        ("identity", {"lossless": "context"}),
        ("qu", {"bits": 8, "lossless": "context"}),
        ("ms", {"sparsity": 0.6, "bits": 3, "scope": "sample", "lossless": "context"}),
    )
}
PLAIN_REPRESENTATIVES = {key: codec for key, codec in REPRESENTATIVES.items() if not codec.lossless}
ZSTD_REPRESENTATIVES = {key: codec for key, codec in REPRESENTATIVES.items() if codec.lossless == "zstd"}


@contextmanager
def naming(case: str) -> Iterator[None]:
    """Add a note that names the case to what fails within."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"case: {case}")
        raise


def every(argument: str, cases: dict[str, Any] | Iterable[str]) -> Callable[[Callable[..., None]], Any]:
    """Run a test for each of `cases`, one after another, as its `argument`; a failure names its case.

    As thousands of items of their own they would cost pytest more than they test.
    """
    named = cases if isinstance(cases, dict) else {case: case for case in cases}

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @wraps(test)
        def looped(**others: Any) -> None:
            for case, value in named.items():
                with naming(case):
                    test(**{argument: value}, **others)

        signature = inspect.signature(test)
        rest = [own for name, own in signature.parameters.items() if name != argument]
        looped.__signature__ = signature.replace(parameters=rest)  # type: ignore[attr-defined]
        return looped

    return decorate


def tensor(*shape: int, seed: int = 0) -> torch.Tensor:
    """Normal numbers, so about half are negative."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32))


def decoded(codec: Codec, values: list[Any], rng: Rng = None) -> list[Any]:
    """What a tensor of `values` decodes to."""
    return codec.decode(codec.encode(torch.tensor(values, dtype=torch.float32), rng)).tolist()


def peak_bytes(call: Callable[[], Any]) -> tuple[int, Any]:
    """The most that Python and numpy hold at a time while `call` runs, beyond what they held before; and
    what it gives."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        result = call()
        return tracemalloc.get_traced_memory()[1] - before, result
    finally:
        tracemalloc.stop()
