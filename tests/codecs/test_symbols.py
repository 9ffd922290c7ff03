"""What payloads say: the level of each element, the floats beside them, and what is neither."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from slsim.codecs import Codec, Identity, Shape, create
from slsim.codecs.symbols import FLOAT, NO_FLOATS, Symbols, of_values
from slsim.errors import CodecError


@pytest.mark.parametrize(
    ("name", "parameters", "levels", "floats", "side_bytes"),
    [
        ("qu", {"bits": 2}, [0, 1, 0, 3], [], 8),
        ("qu", {"bits": 2, "scope": "sample"}, [0, 3, 0, 3], [], 16),
        ("sp", {"sparsity": 0.5}, [0, 1, 0, 1], [2.0, 6.0], 0),
        ("sp", {"sparsity": 0.5, "scope": "sample"}, [0, 1, 0, 1], [2.0, 6.0], 0),
        ("ms", {"sparsity": 0.75, "bits": 2}, [0, 1, 0, 3], [6.0], 0),
        ("ms", {"sparsity": 0.75, "bits": 2, "rounding": "centroid"}, [0, 1, 0, 3], [6.0], 12),
        ("kmeans", {"bits": 1}, [0, 0, 0, 1], [], 8),
        ("qsgd", {"bits": 2, "bucket_size": 2}, [1, 2, 1, 2], [], 8),  # 1 stands for 0, 2 for the norm
        ("identity", {}, [FLOAT, FLOAT, FLOAT, FLOAT], [0.0, 2.0, 1.0, 6.0], 0),
    ],
)
def test_a_codecs_symbols_are_those_of_its_format(
    name: str, parameters: dict[str, Any], levels: list[int], floats: list[float], side_bytes: int
) -> None:
    codec: Codec = create(name, **parameters)
    payload = codec.encode(torch.tensor([[0.0, 2.0], [1.0, 6.0]]))
    said = codec.symbols(payload)
    assert said.floats.tolist() == floats
    assert said.side_bytes == side_bytes + payload.content_start
    assert said.levels.tolist() == levels


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (5,)])
@pytest.mark.parametrize("name", ["identity", "cast", "kmeans", "ms", "qsgd", "qu", "rt", "sp", "randk"])
def test_every_element_has_a_level_and_a_lossless_stage_changes_none(
    name: str, shape: tuple[int, ...]
) -> None:
    activations = torch.linspace(-1, 2, int(np.prod(shape))).reshape(shape)
    codec, behind = create(name), create(name, lossless="zstd")
    said, same = (one.symbols(one.encode(activations)) for one in (codec, behind))
    assert said.levels.size == activations.numel()
    assert said.levels.tolist() == same.levels.tolist()
    assert said.floats.tolist() == same.floats.tolist()


def test_of_an_unknown_format_values_that_recur_are_levels_in_ascending_order() -> None:
    values = np.array([0, 0, 0.5, 3, -1, 3], np.float32)
    found = of_values(values)
    assert found.levels.tolist() == [0, 0, FLOAT, 1, FLOAT, 1]
    assert found.floats.tolist() == [0.5, -1.0]
    assert found.side_bytes == 2 * 4


def test_of_an_unknown_format_the_commonest_255_values_are_levels() -> None:
    values = np.repeat(np.arange(300, dtype=np.float32), [3] * 255 + [2] * 45)
    found = of_values(values)
    assert np.unique(found.floats).tolist() == list(range(255, 300))
    assert found.side_bytes == 255 * 4


class Forgetful(Identity):
    """Says nothing of the last element."""

    def level_symbols(self, content: memoryview, shape: Shape) -> Symbols:
        return Symbols(np.zeros(math.prod(shape) - 1, np.uint8), NO_FLOATS, 0)


def test_symbols_that_a_codec_of_ones_own_gets_wrong_are_its_fault() -> None:
    codec = Forgetful()
    payload = codec.encode(torch.zeros(2, 3))
    with pytest.raises(CodecError, match=r"level_symbols: gave levels uint8 of shape .5,.; .* .6,. is due"):
        codec.symbols(payload)
