"""Published schemes as codecs: each does on a small example what its paper says, worked out by hand."""

import numpy as np
import pytest
import torch
from codec_cases import decoded, tensor

from slsim.codecs import Payload, create
from slsim.errors import CodecError


def damaged(codec, payload, place, byte):
    """The payload with another byte in its content, as the codec receives it."""
    content = bytearray(payload.content)
    content[place] = byte
    return Payload.build(payload.shape, codec.fingerprint, bytes(content), payload.extended)


# --- fedlite


def test_fedlite_sends_the_means_of_alike_subvectors():
    # Sub-vectors (0, 0), (10, 10), (0, 2) and (10, 12): two clusters, whose means are (0, 1) and (10, 11).
    codec = create("fedlite", subvectors=2)
    rows = [[0.0, 0.0, 10.0, 10.0], [0.0, 2.0, 10.0, 12.0]]
    for rng in (None, np.random.default_rng(4)):
        assert decoded(codec, rows, rng) == [[0.0, 1.0, 10.0, 11.0]] * 2
    assert codec.body_bytes((2, 4)) == 2 * 2 * 4 + 1  # two centroids of two floats; four codes of a bit


def test_a_group_of_fedlite_has_centroids_of_its_own():
    rows = [[0.0, 0.0, 10.0, 10.0], [0.0, 2.0, 10.0, 12.0]]
    codec = create("fedlite", subvectors=2, groups=2)  # as many centroids as sub-vectors in a group
    assert decoded(codec, rows) == rows
    assert codec.body_bytes((2, 4)) == 2 * 2 * 2 * 4 + 1


def test_fedlite_compresses_as_published():
    codec, shape = create("fedlite"), (20, 9216)
    assert codec.body_bytes(shape) == 64 + 2880
    assert codec.nominal_ratio(shape) == pytest.approx(250.4, abs=0.05)
    wide = 2 * codec.body_bytes(shape) - 2880  # with codebooks of 64-bit floats, as the paper counts
    assert 64 * 20 * 9216 / (8 * wide) == pytest.approx(490.2, abs=0.05)


@pytest.mark.parametrize(
    ("shape", "params", "body", "formula"),
    [
        ((10, 32, 7, 7), {}, 2 * 2 * 4 + 980, "ceil(1·d/2 / 8) + 16"),  # 784 of two elements
        ((3, 7), {"subvectors": 3}, 2 * 3 * 4 + 2, "ceil(1·3·ceil(d/n / 3) / 8) + 24"),  # 3, 3 and 1 of 7
        ((3, 7), {"subvectors": 100}, 2 * 4 + 3, "ceil(1·d / 8) + 8"),  # each element is one
        ((9,), {"subvectors": 3, "centroids": 5}, 5 * 3 * 4 + 2, "ceil(3·d/3 / 8) + 60"),  # one sample
        ((0, 7), {}, 0, "ceil(1·d / 8) + 0"),
    ],
)
def test_sizes_of_fedlite(shape, params, body, formula):
    codec = create("fedlite", **params)
    assert codec.body_bytes(shape) == len(codec.encode(tensor(*shape)).content) == body
    assert codec.size_formula(shape) == formula


def test_iterations_of_fedlite_lower_the_error_and_a_zero_tensor_stays_zero():
    maps = tensor(10, 8, 6, 6).relu()
    errors = [
        float((codec.decode(codec.encode(maps)) - maps).square().sum())
        for codec in (create("fedlite", subvectors=36, centroids=8, iterations=n) for n in (0, 1, 10))
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < errors[0]
    assert not create("fedlite").decode(create("fedlite").encode(torch.zeros(4, 50))).any()


def test_a_code_of_fedlite_without_a_centroid_is_refused():
    codec = create("fedlite", subvectors=2, centroids=3)
    payload = codec.encode(tensor(4, 6))
    with pytest.raises(CodecError, match="a code is 3, and there are 3 centroids"):
        codec.decode(damaged(codec, payload, len(payload.content) - 1, 0xFF))
