"""Encoding where the tensor lives: the torch operations give the bytes of the compiled kernels.

They are run on the CPU always, and on a GPU where there is one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from slsim.codecs import Codec, base, create, registry
from slsim.codecs import device as device_of_codecs
from slsim.errors import CodecError
from slsim.testing import awkward_tensors

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
CASES = [
    *((name, {}) for name in registry.names()),
    *(("ms", {"bits": bits, "rounding": rounding}) for bits, rounding in ((3, "floor"), (8, "nearest"))),
    *((name, {"sparsity": sparsity}) for name in ("ms", "sp", "rt", "randk") for sparsity in (0.0, 1.0)),
    *((name, {"sparsity": 0.5, "scope": "sample"}) for name in ("ms", "sp", "rt", "randk")),
    *(("qu", {"bits": bits}) for bits in (1, 8)),
    ("qu", {"rounding": "stochastic"}),
    ("rt", {"sparsity": 0.7, "alpha": 1.0}),
]
ON_DEVICE = {"sp", "rt", "randk", "ms", "qu"}


def contents(
    codec: Codec, tensor: torch.Tensor, seed: int | None, device: str
) -> tuple[bytes, bytes | None] | None:
    """What kernels and torch operations make of `tensor`; None when both refuse it."""
    flat, shape = tensor.detach().contiguous().view(-1), tuple(tensor.shape)
    rngs = [None if seed is None else np.random.default_rng(seed) for _ in range(2)]
    try:
        expected = codec.encode_values(flat.numpy(), shape, rngs[0])
    except CodecError:
        if type(codec).__name__.lower() not in ON_DEVICE:
            return None
        with pytest.raises(CodecError, match="cannot encode NaN or infinity"):
            codec.encode_rows(flat.to(device)[None], shape, [rngs[1]])
        return None
    there = codec.encode_rows(flat.to(device)[None], shape, [rngs[1]]) if flat.numel() else None
    return expected, there and there[0]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize(("name", "params"), CASES, ids=str)
def test_the_same_bytes_as_the_kernels(
    name: str, params: dict[str, object], seed: int | None, device: str
) -> None:
    codec = create(name, **params)
    compared = 0
    for what, tensor in awkward_tensors():
        both = contents(codec, tensor, seed, device)
        if both is not None and both[1] is not None:
            assert both[0] == both[1], what
            compared += 1
    stays_on_host = name not in ON_DEVICE or (params.get("rounding") == "stochastic" and seed is not None)
    assert (compared == 0) == stays_on_host


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", sorted(ON_DEVICE))
def test_nan_and_infinity_are_refused_there_too(name: str, device: str) -> None:
    codec = create(name)
    for value in (float("nan"), float("inf")):
        rows = torch.tensor([[1.0, 0.5, 2.0], [1.0, value, 2.0]], device=device)
        with pytest.raises(CodecError, match="cannot encode NaN or infinity"):
            codec.encode_rows(rows, (3,), [None, None])


@pytest.fixture
def fetches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Makes the codecs take the CPU for an accelerator; how many tensors each transfer was for."""
    seen: list[int] = []
    fetch = device_of_codecs.fetch

    def counted(count: int, *parts: torch.Tensor) -> Any:
        seen.append(count)
        return fetch(count, *parts)

    monkeypatch.setattr(device_of_codecs, "fetch", counted)
    monkeypatch.setattr(base, "on_host", lambda tensor: False)
    return seen


@pytest.mark.parametrize(("name", "params"), CASES, ids=str)
@pytest.mark.parametrize("relu", [True, False])
def test_clients_that_are_encoded_together_send_what_each_would_alone(
    name: str,
    params: dict[str, object],
    relu: bool,
    fetches: list[int],
    waits: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    codec, counts = create(name, **params), [4, 4, 4, 2, 2, 1]
    tensor = torch.from_numpy(np.random.default_rng(5).standard_normal((17, 3, 5), dtype=np.float32))
    tensor = tensor.relu() if relu else tensor

    def rngs() -> list[np.random.Generator | None]:
        return [np.random.default_rng(client) if client != 1 else None for client in range(len(counts))]

    with waits:
        together = codec.encode_many(tensor, counts, rngs())
    monkeypatch.undo()
    assert together == codec.encode_many(tensor, counts, rngs())
    if fetches and (relu or name != "ms"):  # whose signs are found where there are some, client by client
        assert not waits.seen
        assert fetches == [3, 2, 1]  # one transfer for all clients with equally many samples
    assert bool(fetches) == (name in ON_DEVICE and params.get("rounding") != "stochastic")


@pytest.mark.parametrize("device", DEVICES)
def test_a_payload_encoded_there_decodes_to_the_same_tensor(device: str) -> None:
    tensor = torch.from_numpy(np.random.default_rng(5).standard_normal((6, 50), dtype=np.float32)).relu()
    for name in registry.names():
        codec = create(name)
        assert codec.encode(tensor.to(device)).to_bytes() == codec.encode(tensor).to_bytes()
