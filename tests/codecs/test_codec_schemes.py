"""Published schemes as codecs: each does on a small example what its paper says, worked out by hand."""

import numpy as np
import pytest
import torch
from codec_cases import decoded, tensor

from slsim.codecs import Payload, create
from slsim.errors import CodecError, FaultsError


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


# --- tah


def test_tah_spreads_a_dominant_value_over_its_tile():
    # 8 is swapped to the front; times the Hadamard matrix over 2, the tile is (4, 4, 4, 4).
    codec = create("tah", tile=4, bits=1)
    payload = codec.encode(torch.tensor([0.0, 8.0, 0.0, 0.0]))
    # One tile, transformed; zero point 4 and scale 0, bfloat16; four codes of 0; the place 1 in two bits.
    assert bytes(payload.content) == bytes.fromhex("80 8040 0000 00 40")
    assert codec.decode(payload).tolist() == [0.0, 8.0, 0.0, 0.0]
    assert codec.extra(payload) == 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 3.0, 7.0, 4.0], [0.0, 3.0, 7.0, 4.0]),  # 7 is below twice 4: steps of 1, three bits
        ([-7.0, 0.1, 7.0, 2.9], [-7.0, 1.0, 7.0, 3.0]),  # steps of 2 from -7; 0.1 is 3.55 of them
        ([2.0, 2.0, 2.0, 2.0], [2.0, 2.0, 2.0, 2.0]),
        ([5.0, 9.0], [5.0, 9.0]),  # a shorter tile; 4 / 7 is rounded up to 0.57421875
    ],
)
def test_tah_quantizes_other_tiles_from_their_minimum_to_their_maximum(values, expected):
    codec = create("tah", tile=4, bits=3)
    assert codec.extra(codec.encode(torch.tensor(values))) == 0
    assert decoded(codec, values) == pytest.approx(expected, rel=0.01)


def test_tokens_of_low_entropy_have_fewer_bits():
    # Two samples of five tokens, one of which has few bits: the one where one magnitude outweighs the others.
    codec = create("tah", tile=4, low_bits=1, high_bits=8)
    activations = torch.tensor([1.0, 2.0, 3.0, 4.0]).repeat(2, 5, 1)
    activations[0, 3] = activations[1, 1] = torch.tensor([0.0, 0.0, 1.0, 1.9])  # below twice: not transformed
    result = codec.decode(codec.encode(activations))
    exact = (result - activations).abs().amax(2) < 0.02
    assert exact.tolist() == [[True, True, True, False, True], [True, False, True, True, True]]
    assert result[0, 3].tolist() == pytest.approx([0.0, 0.0, 1.9, 1.9], rel=0.01)  # a bit: 1 is nearer to 1.9


def test_sizes_of_tah():
    codec, shape = create("tah"), (2, 10, 8, 16)  # twenty tokens of two tiles; two of ten with three bits
    codes = (4 * 2560 - 2 * 2 * 128) // 8
    assert codec.body_bytes(shape) == len(codec.encode(tensor(*shape)).content) == 3 + 5 + 4 * 40 + codes
    assert codec.size_formula(shape) == "ceil((4·d - 512) / 8) + 168"
    assert codec.extra_bytes(shape) == 40 * 6 // 8
    assert 8 * codec.body_bytes((8, 128, 512)) / (8 * 128 * 512) == pytest.approx(4.33, abs=0.01)
    assert create("tah", bits=6).body_bytes(shape) == 5 + 160 + 6 * 2560 // 8
    with pytest.raises(FaultsError, match="low_bits is 5; it must be at most high_bits, 4"):
        create("tah", low_bits=5)


def test_every_value_of_tah_lies_on_its_grid_within_half_a_step():
    maps = 1e-7 * tensor(4, 20, 128)  # such as gradients are; float16 would lose them
    codec = create("tah", bits=6)
    errors = (codec.decode(codec.encode(maps)) - maps).abs().reshape(-1, 64).amax(1)
    spans = (maps.reshape(-1, 64).amax(1) - maps.reshape(-1, 64).amin(1)) / 63
    assert (errors <= 0.52 * spans).all()  # a rounded zero point and scale widen a step by up to 4 %


def test_a_payload_of_tah_that_contradicts_itself_is_refused():
    codec = create("tah", tile=4)
    payload = codec.encode(tensor(2, 10, 6))  # tokens of a tile and a half; three bytes of map, five of tiles
    for place, byte, reason in (
        (0, 0xFF, "not 2 tokens of each sample have few bits"),
        (3, 0xFF, "tiles are marked as transformed"),
        (8 + 1, 0x7F, "NaN or infinity"),
        (8 + 80 + 1, 0xBF, "a scale is negative"),
    ):
        content = damaged(codec, payload, place, byte).content
        if byte == 0x7F:
            content = bytes(content[: place - 1]) + b"\x80\x7f" + bytes(content[place + 1 :])
        with pytest.raises(CodecError, match=reason):
            codec.decode(Payload.build(payload.shape, codec.fingerprint, bytes(content), payload.extended))


def test_tah_refuses_numbers_whose_sums_exceed_float32():
    with pytest.raises(CodecError, match=r"cannot encode numbers beyond 2\^120"):
        create("tah").encode(torch.tensor([1e37, 0.0]))
