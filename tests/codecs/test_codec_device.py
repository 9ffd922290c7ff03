"""Encoding where the tensor lives: the torch operations give the bytes of the compiled kernels.

They are run on the CPU always, and on a GPU where there is one.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from slsim.codecs import Codec, create, registry
from slsim.errors import CodecError
from slsim.testing import awkward_tensors

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
CASES = [
    *((name, {}) for name in registry.names()),
    *(
        ("ms", {"bits": bits, "rounding": rounding})
        for bits in (1, 2, 3, 8)
        for rounding in ("floor", "nearest")
    ),
    *((name, {"sparsity": sparsity}) for name in ("ms", "sp", "rt", "randk") for sparsity in (0.0, 0.5, 1.0)),
    *((name, {"sparsity": 0.5, "scope": "sample"}) for name in ("ms", "sp", "rt", "randk")),
    *(("qu", {"bits": bits}) for bits in (1, 3, 5, 8)),
    ("qu", {"rounding": "stochastic"}),
    ("rt", {"sparsity": 0.7, "alpha": 1.0}),
]
ON_DEVICE = {"identity", "sp", "rt", "randk", "ms", "qu"}


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
            codec.encode_on_device(flat.to(device), shape, rngs[1])
        return None
    return expected, codec.encode_on_device(flat.to(device), shape, rngs[1])


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
        tensor = torch.tensor([1.0, value, 2.0], device=device)
        if codec.accepts_non_finite:
            assert codec.encode_on_device(tensor, (3,), None) is not None
        else:
            with pytest.raises(CodecError, match="cannot encode NaN or infinity"):
                codec.encode_on_device(tensor, (3,), None)


@pytest.mark.parametrize("device", DEVICES)
def test_a_payload_encoded_there_decodes_to_the_same_tensor(device: str) -> None:
    tensor = torch.from_numpy(np.random.default_rng(5).standard_normal((6, 50), dtype=np.float32)).relu()
    for name in sorted(ON_DEVICE):
        codec = create(name)
        assert codec.encode(tensor.to(device)).to_bytes() == codec.encode(tensor).to_bytes()
