"""`sl-acc` does what its paper says, worked out by hand."""

import numpy as np
import pytest
import torch

from slsim.codecs import Payload, create
from slsim.codecs.sl_acc import entropies_of
from slsim.errors import CodecError, FaultsError
from slsim.testing import check_coder, same_bits

# Eight samples of three channels: one value, two and eight, each as often, so entropies of 0, 1 and 3 bits.
ONE, TWO, EIGHT = torch.full((8,), 5.0), torch.tensor([0.0, 4.0]).repeat(4), torch.arange(8.0)
VALUES = torch.stack([ONE, TWO, EIGHT], dim=1)
PARAMS = {"groups": 2, "least_bits": 1}


def entropies(coder):
    return coder.state()["entropies"].tolist()


def bits_of(codec, payload, groups):
    return list(bytes(payload.content)[8 * groups : 9 * groups])


def test_a_channels_entropy_is_that_of_its_scaled_values():
    assert entropies_of(VALUES.numpy().ravel(), (8, 3)).tolist() == [0, 1, 3]
    scaled = VALUES * torch.tensor([1, -0.01, 1e6]) + torch.tensor([0.0, 3, -1e3])
    assert entropies_of(scaled.numpy().ravel(), (8, 3)).tolist() == [0, 1, 3]
    maps = VALUES.reshape(2, 2, 2, 3).permute(0, 3, 1, 2)  # the same values, of two samples of 2×2
    assert entropies_of(maps.contiguous().numpy().ravel(), (2, 3, 2, 2)).tolist() == [0, 1, 3]


def test_groups_have_bits_by_their_mean_entropy_and_a_range_each():
    """k-means of 0, 1 and 3 in two groups: {0, 1}, whose mean, .5, is below the least; and {3}."""
    codec = create("sl-acc", **PARAMS)
    payload = codec.encode(VALUES)
    assert bytes(payload.content).hex(" ", 4) == (
        "00000000 0000a040 00000000 0000e040"  # ranges 0 … 5 and 0 … 7
        " 010320bb bb053977"  # 1 and 3 bits; groups 0 0 1; codes 10 11 10 11 …; 000 001 … 111
    )
    expected = torch.stack([ONE, torch.tensor([0.0, 5.0]).repeat(4), EIGHT], dim=1)
    assert same_bits(codec.decode(Payload.from_bytes(payload.to_bytes()), (8, 3)), expected)


def test_sizes_lie_between_the_least_and_the_most_bits():
    codec = create("sl-acc")
    table = 4 * (8 + 1) + 2  # of four groups, and eight channels of 2 bits each
    assert codec.num_bytes((10, 8, 6, 6)) == 8 + 4 + table + 2 * 2880 // 8
    assert codec.size_formula((10, 8, 6, 6)) == "ceil(2·d / 8) + 38"
    low, high = codec.size_bounds((10, 8, 6, 6))
    assert (low, high - low) == (codec.num_bytes((10, 8, 6, 6)), (8 - 2) * 2880 // 8 + 3)
    flat = codec.encode(torch.ones(10, 8, 6, 6))
    assert flat.num_bytes == low
    assert not flat.extended
    even = codec.encode(torch.arange(360.0).reshape(10, 1, 6, 6).expand(10, 8, 6, 6))
    assert even.num_bytes == high - 3  # one group has all, so that nothing is rounded up
    assert even.extended
    assert create("sl-acc").num_bytes((0, 8)) == 8 + 2


def test_more_bits_go_where_there_is_more_entropy():
    generator = torch.Generator().manual_seed(0)
    activations = torch.rand(10, 6, 8, 8, generator=generator)
    activations[:, ::2] = (activations[:, ::2] > 0.9).float()
    codec = create("sl-acc", groups=2)
    assert bits_of(codec, codec.encode(activations), 2) == [2, 8]


def test_entropies_are_blended_with_their_history_and_evaluations_leave_it_alone():
    coder = create("sl-acc", history=0.75, **PARAMS).coder()
    coder.encode(VALUES)
    assert entropies(coder) == [0, 1, 3]
    coder.frozen().encode(VALUES.flip(1))
    assert entropies(coder) == [0, 1, 3]
    payload = coder.encode(VALUES.flip(1))
    assert entropies(coder) == [0.75, 1, 2.25]
    assert payload != coder.codec.encode(VALUES.flip(1))  # it is still the third channel that has the bits
    coder.encode(torch.zeros(8, 5))  # of other channels: there is no history of these
    assert entropies(coder) == [0] * 5


def test_both_ends_agree_and_resume():
    check_coder(create("sl-acc", history=0.9))
    check_coder(create("sl-acc", groups=2, lossless="zstd"), sample=(6,))


def test_what_the_table_says_must_be_possible():
    codec = create("sl-acc", **PARAMS)
    content = bytes(codec.encode(VALUES).content)

    def decoded(place, byte):
        damaged = content[:place] + bytes([byte]) + content[place + 1 :]
        return codec.decode(Payload.build((8, 3), codec.fingerprint, damaged, extended=True))

    with pytest.raises(CodecError, match="a range is not finite, or ends before it begins"):
        decoded(3, 0x7F)
    for bits in (0, 9):
        with pytest.raises(CodecError, match="a group's bits, or a channel's group, cannot be"):
            decoded(16, bits)
    with pytest.raises(CodecError, match="the groups take 6 bytes of codes, 5 were sent"):
        decoded(17, 4)
    three = create("sl-acc", groups=3, least_bits=1)
    content = bytearray(three.encode(VALUES).content)
    content[27] = 0xFF  # of three groups, there is no fourth
    with pytest.raises(CodecError, match="a group's bits, or a channel's group, cannot be"):
        three.decode(Payload.build((8, 3), three.fingerprint, bytes(content), extended=True))


def test_the_least_bits_are_not_more_than_the_most():
    with pytest.raises(FaultsError, match="least_bits is 5, more than most_bits, 4"):
        create("sl-acc", least_bits=5, most_bits=4)


@pytest.mark.parametrize("channels", [1, 3, 40])
def test_there_are_no_more_groups_than_channels(channels):
    activations = torch.from_numpy(np.random.default_rng(1).standard_normal((6, channels), dtype=np.float32))
    codec = create("sl-acc", groups=16, most_bits=8, least_bits=8)
    groups = min(16, channels)
    indices = {1: 0, 3: 1, 40: 20}[channels]
    assert codec.body_bytes((6, channels)) == 9 * groups + indices + 6 * channels
    assert torch.allclose(codec.decode(codec.encode(activations)), activations, atol=0.02)
