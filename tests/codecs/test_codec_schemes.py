"""Published schemes as codecs: each does on a small example what its paper says, worked out by hand."""

import numpy as np
import pytest
import torch
from codec_cases import decoded, tensor

from slsim.codecs import Crossing, Payload, columns, create
from slsim.codecs.sl_fac import zig_zag
from slsim.errors import CodecError, FaultsError
from slsim.testing import check_coder


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


@pytest.mark.parametrize("centroids", [2, 3, 4, 9])
def test_each_subvector_of_fedlite_becomes_its_nearest_centroid(centroids):
    codec, rows = create("fedlite", subvectors=5, centroids=centroids), tensor(6, 20)
    codebook = np.frombuffer(codec.encode(rows).content, "<f4", centroids * 4).reshape(centroids, 4)
    vectors = rows.numpy().reshape(-1, 4)
    distances = ((vectors[:, None].astype(float) - codebook) ** 2).sum(2)
    expected = codebook[distances.argmin(1)].reshape(6, 20)
    assert codec.decode(codec.encode(rows)).numpy().tolist() == expected.tolist()


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
    with pytest.raises(FaultsError, match="low_bits is 5, more than high_bits, 4"):
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


# --- splitfc and its first stage

# Of one channel of range 4, the columns (0, 0), (0, 4), (1, 3) and (2, 2) have the deviations 0, 2, 1, 0.
FOUR = [[0.0, 0.0, 1.0, 2.0], [0.0, 4.0, 3.0, 2.0]]


def test_splitfc_keeps_columns_that_spread():
    codec = create("splitfc-drop", reduction=2.0)
    payload = codec.encode(torch.tensor(FOUR))
    assert payload.content[0] == 0b0110_0000
    assert len(payload.content) == codec.body_bytes((2, 4)) == 1 + 4 * 2 * 2
    assert codec.decode(payload).tolist() == [[0.0, 0.0, 1.0, 0.0], [0.0, 4.0, 3.0, 0.0]]


@pytest.mark.parametrize("name", ["splitfc", "splitfc-drop"])
def test_without_a_generator_the_draw_of_splitfc_is_a_fixed_one(name):
    codec, activations = create(name, reduction=3.0), tensor(4, 30)
    assert codec.encode(activations) == codec.encode(activations, np.random.default_rng(0))
    assert len({codec.encode(activations, np.random.default_rng(seed)).data for seed in range(5)}) == 5


def test_a_deviation_is_measured_in_its_channels_range():
    # Channels of the ranges 100 and 1: a deviation of 25 counts 0.25, one of 0.5 counts 0.5.
    maps = torch.tensor([[[0.0, 100.0], [0.0, 0.5]], [[50.0, 100.0], [1.0, 0.5]]])
    assert columns.deviations(maps.reshape(2, 4).numpy(), channel=2).tolist() == [0.25, 0.0, 0.5, 0.0]


@pytest.mark.parametrize(
    ("spread", "kept", "expected"),
    [
        ([2.0, 1.0, 1.0, 0.0], 2, [1.0, 0.5, 0.5, 0.0]),  # 2 / 4 of each
        ([8.0, 1.0, 1.0], 2, [1.0, 0.5, 0.5]),  # the first cannot have 1.6; the others share what is left
        ([8.0, 6.0, 1.0, 1.0], 3, [1.0, 1.0, 0.5, 0.5]),
        ([3.0, 0.0, 0.0], 2, [1.0, 0.5, 0.5]),  # fewer spread than are kept
        ([0.0, 0.0, 0.0, 0.0], 1, [0.25] * 4),  # as of one sample
    ],
)
def test_probabilities_of_splitfc_are_in_proportion_to_deviations(spread, kept, expected):
    assert columns.probabilities(np.array(spread), kept).tolist() == pytest.approx(expected)


def test_draws_of_splitfc_are_unbiased_and_of_one_size():
    codec, rng = create("splitfc-drop", reduction=3.0), np.random.default_rng(5)
    activations = tensor(4, 3, 2, 5) * torch.tensor([1.0, 5.0, 0.2]).reshape(1, 3, 1, 1)
    drawn = torch.stack([codec.decode(codec.encode(activations, rng)) for _ in range(2000)]).double()
    assert ((drawn.abs().sum(1) > 0).flatten(1).sum(1) == 10).all()  # of 30 columns, each time
    deviation = drawn.std(0) / 2000**0.5
    assert ((drawn.mean(0) - activations).abs() <= 5 * deviation + 1e-6).all()
    assert (deviation > 0).float().mean() > 0.8  # it is random


@pytest.mark.parametrize("name", ["splitfc", "splitfc-drop"])
def test_what_returns_to_splitfc_is_divided_as_the_columns_were(name):
    # π is 0, 1, 1/2 and 1/2 of the four columns: one of the last two is drawn, and divided by 1/2.
    codec, values = create(name, reduction=2.0), torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.0, 4.0, 3.0, 3.0]])
    coder = codec.coder()
    for seed in range(5):
        payload = coder.encode(values, np.random.default_rng(seed))
        arrived, kept = coder.arrival(payload, (2, 4)), coder.kept(payload)
        assert kept.tolist() in ([[False, True, True, False]] * 2, [[False, True, False, True]] * 2)
        pulled = coder.pull_back(torch.ones(2, 4), Crossing(payload, arrived, values, kept=kept))
        assert pulled.tolist() == [[0.0, 1.0, 2.0, 0.0]] * 2 or pulled.tolist() == [[0.0, 1.0, 0.0, 2.0]] * 2
        assert torch.equal(pulled != 0, torch.from_numpy(kept))
    check_coder(create(name, reduction=3.0))
    check_coder(create(name, lossless="zstd"), sample=(60,), steps=10)


def test_as_many_columns_are_drawn_as_are_due_whatever_rounding_does():
    for seed in range(20):  # probabilities that do not sum up: two points may fall on the first column
        drawn = columns.draw(np.array([0.9, 0.2, 0.0]), 2, np.random.default_rng(seed))
        assert drawn.tolist() == [0, 1]


def test_splitfc_sends_a_mean_where_bits_are_few_and_entries_where_they_are_many():
    few, many = (create("splitfc", reduction=2.0, bits=bits) for bits in (0.001, 32.0))
    assert decoded(few, FOUR) == [[0.0, 2.0, 2.0, 0.0]] * 2
    assert few.body_bytes((2, 4)) == 1 + 16 + 1 + 2  # index; ranges; which are wide; a byte a mean
    assert many.body_bytes((2, 4)) == 1 + 16 + 1 + 2 * 2 + 2 * 2  # two end points; two entries of 8 bits
    assert np.ravel(decoded(many, FOUR)) == pytest.approx([0, 0, 1, 0, 0, 4, 3, 0], abs=0.02)


def test_the_budget_of_splitfc_goes_where_the_error_falls_most():
    # 24 bytes, of which 20 for ranges, marks and three means: 32 bits are left. A wide column takes 8 for an
    # end point, and 2 for each bit of its two entries.
    codec = create("splitfc", reduction=1.0, bits=32.0)
    cut = codec.cut((2, 3))
    assert codec._bits(np.array([255, 85, 0]), cut).tolist() == [2, 1, 1]  # 30, and one further bit
    # Six further bits. A bit gains 8 / 9, 40 / 441, 176 / 11,025 and so on of the squared width: of 65,025
    # that is 57,800, 5,898, 1,038, 221; of 10,000 8,889, 907, 160.
    assert codec._bits(np.array([255, 100]), cut).tolist() == [5, 3]
    assert codec._bits(np.array([], np.int64), cut).tolist() == []


def test_sizes_of_splitfc_are_a_budget_and_an_index():
    codec = create("splitfc")
    assert codec.body_bytes((10, 32, 7, 7)) == 196 + 196  # an index of 1,568 bits; 0.1 bit of 15,680
    assert codec.size_formula((10, 32, 7, 7)) == "ceil(d/n / 8) + 196"
    assert codec.nominal_ratio((256, 8000)) == pytest.approx(4 * 256 * 8000 / (1000 + 25_600))
    assert create("splitfc-drop").body_bytes((10, 32, 7, 7)) == 196 + 4 * 10 * 98
    for shape in ((10, 32, 7, 7), (1, 40), (7,), (), (300, 2)):
        for bits in (0.01, 0.1, 1.0, 8.0):
            codec = create("splitfc", bits=bits)
            assert len(codec.encode(tensor(*shape)).content) == codec.body_bytes(shape)


def test_a_larger_budget_of_splitfc_errs_less():
    maps = tensor(20, 16, 5, 5).relu()
    errors = []
    for bits in (0.01, 0.1, 0.3, 1.0, 5.0):
        codec = create("splitfc", reduction=1.0, bits=bits)
        errors.append(float((codec.decode(codec.encode(maps)) - maps).square().sum()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.01 * errors[0]


def test_a_payload_of_splitfc_that_contradicts_itself_is_refused():
    codec = create("splitfc", reduction=2.0, bits=32.0)
    payload = codec.encode(torch.tensor(FOUR))
    for place, byte, reason in (
        (0, 0b1110_0000, "the index marks 3 columns and 2 were sent"),
        (0, 0b0100_0001, "the index marks 2 columns and 2 were sent"),
        (1 + 7, 0xC0, "a range is not finite, or ends before it begins"),  # the upper end becomes -4
        (17, 0b1110_0000, "3 columns are marked as wide"),
        (19, 0xFF, "a column's range ends before it begins"),  # above the upper end's code, 192
    ):
        with pytest.raises(CodecError, match=reason):
            codec.decode(damaged(codec, payload, place, byte))
    means = create("splitfc", reduction=2.0, bits=28.0)  # with a bit that no entry takes
    spare = means.encode(torch.zeros(2, 4))
    with pytest.raises(CodecError, match="something behind the last entry"):
        means.decode(damaged(means, spare, len(spare.content) - 1, 0x01))


# --- sl-fac


def test_sl_fac_codes_a_map_by_its_spectrum():
    # Of (4, 2; 4, 2) the orthonormal DCT is 6 for the mean and 2 for the difference of columns, else 0: 6 has
    # 36 of 40 of the energy, both together all of it.
    codec = create("sl-fac", energy=0.95)
    payload = codec.encode(torch.tensor([[[[4.0, 2.0], [4.0, 2.0]]]]))
    assert bytes(payload.content[:2]) == bytes([0x71, 1])  # 8 bits and 2; a low band of two
    assert np.frombuffer(payload.content, "<f4", 4, 2).tolist() == pytest.approx([2, 6, 0, 0], abs=1e-6)
    assert len(payload.content) == codec.body_bytes((1, 1, 2, 2)) + codec.extra(payload) == 18 + 3  # 20 bits
    assert codec.decode(payload).ravel().tolist() == pytest.approx([4, 2, 4, 2], abs=1e-5)


def test_a_low_band_of_sl_fac_is_the_shortest_with_its_share():
    maps = torch.tensor([[[[4.0, 2.0], [4.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]], [[1.0, -1.0], [-1.0, 1.0]]]])
    payload = create("sl-fac", energy=0.89).encode(maps)
    # The mean has 0.9; of nothing one is enough; a checkerboard is the highest frequency alone: four.
    assert bytes(payload.content[3:6]) == bytes([0, 0, 3])


def test_each_halving_of_a_bands_energy_costs_half_a_bit():
    scales = torch.tensor([1.0, 0.5, 0.25, 2.0**-4, 2.0**-9]).reshape(1, 5, 1, 1)
    payload = create("sl-fac").encode(scales * torch.ones(1, 5, 4, 4))
    assert [1 + (byte >> 4) for byte in payload.content[:5]] == [8, 7, 6, 4, 2]  # the energy is the square
    assert [1 + (byte & 15) for byte in payload.content[:5]] == [2] * 5  # there is none at high frequencies


def test_maps_of_sl_fac_lie_behind_the_first_two_dimensions():
    codec = create("sl-fac", energy=0.5)
    for shape, maps in (((6, 3, 4, 5), 18), ((6, 3, 20), 18), ((6, 60), 6), ((60,), 1), ((), 1), ((0, 3), 0)):
        codes = (2 * int(np.prod(shape)) + 7) // 8
        assert codec.body_bytes(shape) == 18 * maps + codes
    assert codec.body_bytes((2, 3, 16, 17)) == 6 * 19 + 2 * 6 * 16 * 17 // 8  # a length of two bytes
    assert codec.size_formula((6, 3, 4, 5)) == "ceil(2·d / 8) + 324"
    flat, row = tensor(6, 20), tensor(6, 20).reshape(6, 1, 20)
    assert torch.equal(codec.decode(codec.encode(flat)), codec.decode(codec.encode(row)).reshape(6, 20))


def test_zig_zag_visits_every_coefficient_along_diagonals():
    assert zig_zag(2, 3).tolist() == [0, 1, 3, 4, 2, 5]
    for height, width in ((7, 7), (1, 5), (5, 1), (4, 9)):
        assert sorted(zig_zag(height, width).tolist()) == list(range(height * width))


def test_smooth_maps_are_smaller_by_sl_fac_than_noise_and_err_little():
    noise = tensor(4, 8, 16, 16)
    smooth = noise.cumsum(2).cumsum(3)
    codec = create("sl-fac")
    sizes = [codec.encode(maps).num_bytes for maps in (smooth, noise)]
    assert sizes[0] < 0.75 * sizes[1]
    error = (codec.decode(codec.encode(smooth)) - smooth).square().sum() / smooth.square().sum()
    assert error < 0.1  # less than the high bands' part of the energy, although they have two bits


def test_a_payload_of_sl_fac_that_contradicts_itself_is_refused():
    codec = create("sl-fac", energy=0.999, most_bits=4)
    payload = codec.encode(tensor(2, 1, 8, 8).cumsum(2).cumsum(3))  # two bytes of bits, two of lengths
    for place, byte, reason in (
        (0, 0x71, "bands have 2 to 8 bits, 2 to 4 are allowed"),
        (2, 64, "a band has 65 of 64 elements"),
        (2, 0, "the codes do not take"),
        (4 + 7, 0xFF, "a range is not finite, or ends before it begins"),
    ):
        with pytest.raises(CodecError, match=reason):
            codec.decode(damaged(codec, payload, place, byte))
    with pytest.raises(FaultsError, match="least_bits is 5, more than most_bits, 4"):
        create("sl-fac", most_bits=4, least_bits=5)


def test_sl_fac_refuses_numbers_whose_sums_exceed_float32():
    with pytest.raises(CodecError, match="cannot encode numbers this large"):
        create("sl-fac").encode(torch.full((1, 1, 4, 4), 3e38))
