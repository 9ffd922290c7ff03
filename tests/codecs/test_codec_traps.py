"""What breaks these algorithms as they are printed, and what random codecs promise of their means."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from codec_cases import DEFAULTS, every, tensor
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from slsim.codecs import create
from slsim.codecs.sizes import kept_elements
from slsim.errors import CodecError
from slsim.testing import LARGEST, round_trip, same_bits

F = np.float32
ROUNDINGS = ["floor", "nearest", "centroid"]
EVERY_ROUNDING = pytest.mark.parametrize("rounding", ROUNDINGS)
EVERY_SCOPE = pytest.mark.parametrize("scope", ["tensor", "sample"])
TOP_K = {
    "sp": create("sp", sparsity=0.6),
    "rt": create("rt", sparsity=0.6),
    **{f"ms-{rounding}": create("ms", sparsity=0.6, rounding=rounding) for rounding in ROUNDINGS},
}
EVERY_TOP_K = every("codec", TOP_K)
PROPERTY = settings(derandomize=True, deadline=None, max_examples=60)


def decoded(codec, values, rng=None):
    return codec.decode(codec.encode(torch.tensor(values, dtype=torch.float32), rng)).tolist()


def squared_error(codec, activations, rng=None):
    result = codec.decode(codec.encode(activations, rng))
    return float((result.double() - activations.double()).square().sum())


def relu_maps(count=12):
    for seed in range(count):
        yield tensor(4, 6, 5, 5, seed=seed).relu() * (1 + seed)


# --- ties and rounding at the threshold


@EVERY_TOP_K
def test_of_ties_at_top_min_the_first_k_are_kept(codec):
    result = decoded(codec, [1.0, 2.0, 2.0, 2.0, 0.5])  # k = 2; as printed, three are marked and two sent
    assert result[1:3] == [2.0, 2.0]
    assert result[3] < 2.0 or codec is TOP_K["ms-centroid"]  # whose mean is 2 as well


def test_other_ties_take_the_level_below():
    values = [1.0, 2.0, 2.0, 2.0, 0.5]
    levels = {
        "floor": [2 / 3, 2.0, 2.0, 4 / 3, 0.0],
        "nearest": [4 / 3, 2.0, 2.0, 4 / 3, 2 / 3],  # 1 and .5 lie beyond the middles 1 and 1/3
        "centroid": [1.0, 2.0, 2.0, 2.0, 0.5],
    }
    for rounding, expected in levels.items():
        assert decoded(create("ms", sparsity=0.6, rounding=rounding), values) == pytest.approx(expected)


@EVERY_TOP_K
def test_ties_everywhere(codec):
    for value in (3.0, -3.0, 1e-30, 3e38):
        result = round_trip(codec, torch.full((4, 5), value)).flatten()
        assert result[:8].tolist() == [F(value)] * 8  # k = 8
        assert (result[8:].abs() < abs(value)).all() or codec is TOP_K["ms-centroid"]


def test_rounding_in_float32_takes_nothing_just_below_the_threshold_for_top():
    top, below = F(7.3065543), F(7.306554)
    assert below < top
    assert np.floor(below * F(3) / top) == 3  # the formula in float32: the code of the top
    for rounding in ROUNDINGS:
        codec = create("ms", sparsity=0.75, bits=2, rounding=rounding)
        result = codec.decode(codec.encode(torch.tensor([below, top, 0.0, 1.0])))
        assert result[1] == top
        if rounding == "centroid":
            assert result[0] == below  # the only one of its level
        else:
            assert result[0] == pytest.approx(2 / 3 * 7.3065543)


@EVERY_ROUNDING
@PROPERTY
@given(
    top=st.floats(F(1e-37), F(1e38), width=32),
    bits=st.integers(1, 8),
    steps=st.lists(st.integers(-3, 3), min_size=3, max_size=6),
    data=st.data(),
)
def test_no_value_near_a_level_or_the_threshold_breaks_the_count_of_the_top(rounding, top, bits, steps, data):
    levels = (np.arange(1, 2**bits) * float(top) / (2**bits - 1)).astype(F)  # the last is the threshold
    values = [F(top)]
    for step in steps:
        bits_of = data.draw(st.sampled_from(levels)).view(np.uint32) + np.int64(step)
        values.append(min(np.uint32(bits_of).view(F), np.nextafter(F(top), F(0))))
    codec = create("ms", sparsity=1 - 1 / 8, bits=bits, rounding=rounding)
    activations = torch.from_numpy(np.resize(np.array([*values, *[0] * 8], F), 8))  # k = 1
    once = codec.decode(codec.encode(activations))
    assert once[0] == F(top)
    assert (once[1:] < F(top)).all()
    if rounding == "floor":
        assert (once <= activations).all()
        below = np.concatenate([[F(0)], levels])
        found = below[np.searchsorted(below, activations.numpy(), side="right") - 1]
        assert once.numpy().tolist() == found.tolist()  # the largest level not above the value
    assert torch.equal(codec.decode(codec.encode(once)), once)


# --- few positives, k = 0


@EVERY_ROUNDING
@EVERY_SCOPE
def test_a_top_min_of_zero_leaves_zeros(rounding, scope):
    codec = create("ms", sparsity=0.5, bits=2, rounding=rounding, scope=scope)
    for values in ([[0.0] * 8], [[0, 5.0, 0, 0, 0, 0, 0, 0]], [[0, 0, 7.0, 0, 0, 0, 0, 1.0]]):
        assert decoded(codec, values * 3) == values * 3
        assert codec.encode(torch.tensor(values * 3)).num_bytes == codec.num_bytes((3, 8))


@pytest.mark.parametrize("name", ["sp", "rt", "ms"])
@EVERY_SCOPE
def test_k_larger_than_the_number_of_non_zeros_is_lossless(name, scope):
    codec = create(name, sparsity=0.25, scope=scope)
    activations = torch.zeros(5, 4, 4)
    activations[:, 1, 2], activations[:, 3, 0] = 2.0, -1.0
    assert torch.equal(round_trip(codec, activations), activations)
    assert torch.equal(round_trip(codec, torch.zeros(5, 4, 4)), torch.zeros(5, 4, 4))


def test_one_positive_among_negatives():
    assert decoded(create("ms", sparsity=0.75, bits=2), [-1.0, -2.5, 4.0, -3.0]) == pytest.approx(
        [0.0, -4 / 3, 4.0, -8 / 3]
    )


@pytest.mark.parametrize(
    ("sparsity", "num_elements", "k"),
    [
        (0.9, 10, 1),  # in binary arithmetic 1 - 0.9 = 0.0999…98, and k were 0
        (0.99, 100, 1),
        (0.99, 199, 1),
        (0.99, 200, 2),
        (0.7, 10, 3),  # (1 - 0.7) · 10 in binary is 3.0000000000000004
        (0.8, 5, 1),  # 0.9999999999999998
        (0.95875, 80_000, 3_300),
        (0.95875, 79_999, 3_299),
        (0.0, 17, 17),
        (1.0, 17, 0),
        (0.5, 0, 0),
        (1e-07, 10**7, 10**7 - 1),  # repr is in scientific notation
        (0.99, 99, 1),  # never none, unless all are to be dropped
        (0.999999, 1, 1),
        (1.0, 10**9, 0),
    ],
)
def test_k_is_the_floor_in_exact_decimals_and_at_least_one(sparsity, num_elements, k):
    assert kept_elements(sparsity, num_elements) == k


@pytest.mark.parametrize("name", ["sp", "rt", "randk", "ms"])
def test_a_sparsity_of_one_sends_a_mask_alone_and_gives_zeros(name):
    codec = create(name, sparsity=1.0)
    for rng in (None, np.random.default_rng(0)):
        payload = codec.encode(tensor(9, 11).abs(), rng)
        assert len(payload.content) == math.ceil(99 * (2 if name == "ms" else 1) / 8)
        assert not codec.decode(payload).any()


@pytest.mark.parametrize("scope", ["tensor", "sample"])
@pytest.mark.parametrize("name", ["sp", "rt", "randk", "ms"])
def test_of_a_few_elements_one_is_sent_all_the_same(name, scope):
    codec = create(name, sparsity=0.99, scope=scope)  # 0.01 · 99 is below 1, and so is 0.01 · 11
    for rng in (None, np.random.default_rng(0)):
        payload = codec.encode(tensor(9, 11).abs(), rng)
        kept = 9 if scope == "sample" else 1
        mask = 9 * math.ceil(11 * codec.mask_bits / 8) if kept == 9 else math.ceil(99 * codec.mask_bits / 8)
        assert len(payload.content) == mask + 4 * kept
        assert (codec.decode(payload) != 0).sum() >= kept


@pytest.mark.parametrize("name", ["sp", "rt", "randk"])
def test_a_sparsity_of_zero_keeps_everything(name):
    activations = tensor(3, 7)
    assert torch.equal(round_trip(create(name, sparsity=0.0), activations), activations)
    rng = np.random.default_rng(0)
    assert torch.equal(round_trip(create(name, sparsity=0.0), activations, rng), activations)


# --- negative values


@EVERY_TOP_K
def test_the_top_is_taken_by_magnitude(codec):
    result = decoded(codec, [0.5, -4.0, 1.0, 3.0, -0.25])
    assert result[1] == -4.0
    assert result[3] == 3.0
    assert max(map(abs, result[:1] + result[2:3] + result[4:])) <= 1.5


def coded(activations, codec):
    """Which elements lie between level 0 and the top, worked out from the definition (rounding floor)."""
    x = activations.flatten().double().abs()
    k = kept_elements(codec.sparsity, x.numel())
    order = torch.argsort(-x, stable=True)
    top = torch.zeros(x.numel(), dtype=torch.bool)
    top[order[:k]] = True
    edge = float(F(float(x[top].min()) / (2**codec.bits - 1)))
    return (x >= edge) & ~top, top


@pytest.mark.parametrize("bits", range(2, 9))
@EVERY_ROUNDING
def test_every_element_that_needs_a_sign_has_one_and_no_other(bits, rounding):
    codec = create("ms", sparsity=0.9, bits=bits, rounding=rounding)
    activations = tensor(7, 31)
    payload = codec.encode(activations)
    result = codec.decode(payload).flatten()
    between, top = coded(activations, codec)
    signed = result != 0
    if rounding == "centroid":
        signed &= between | top  # level 0 stands for a mean near 0, without signs
    assert (torch.sign(result)[signed] == torch.sign(activations.flatten())[signed]).all()
    if rounding != "nearest":
        extra = math.ceil(int(between.sum()) / 8)
        assert signed.sum() == between.sum() + top.sum()
        assert payload.num_bytes == codec.num_bytes((7, 31)) + extra
        assert payload.extended


@pytest.mark.parametrize("bits", range(1, 9))
@EVERY_ROUNDING
@EVERY_SCOPE
def test_not_one_byte_goes_to_signs_when_no_value_is_negative(bits, rounding, scope):
    codec = create("ms", sparsity=0.9, bits=bits, rounding=rounding, scope=scope)
    activations = tensor(7, 31).relu()
    activations[3, 4] = -0.0  # not negative
    for values in (activations, torch.zeros(7, 31), tensor(7, 31).abs(), torch.full((7, 31), -0.0)):
        payload = codec.encode(values)
        assert payload.num_bytes == codec.num_bytes((7, 31))
        assert not payload.extended


def test_signs_of_the_top_cost_nothing_with_one_bit():
    codec = create("ms", sparsity=0.9, bits=1)
    assert codec.encode(tensor(7, 31)).num_bytes == codec.num_bytes((7, 31))


@EVERY_ROUNDING
def test_signs_come_by_sample_where_samples_are_encoded_alone(rounding):
    activations = tensor(6, 21)
    activations[2:4] = activations[2:4].abs()  # with and without negative values in one tensor
    codec = create("ms", sparsity=0.8, bits=3, rounding=rounding, scope="sample")
    alone = [codec.decode(codec.encode(activations[i : i + 1])) for i in range(6)]
    assert same_bits(round_trip(codec, activations), torch.cat(alone))


# --- NaN, infinity, layouts, batches


@every("codec", DEFAULTS)
@pytest.mark.parametrize("bad", [math.nan, -math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("size", [1, 10, 100_000])
def test_nan_and_infinity_never_poison_a_tensor(codec, bad, size):
    activations = tensor(size)
    activations[size // 2] = bad
    if codec.accepts_non_finite:
        assert same_bits(codec.decode(codec.encode(activations)), activations)
    else:
        with pytest.raises(CodecError, match="cannot encode NaN or infinity"):
            codec.encode(activations)


@every("codec", DEFAULTS)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (0, 4), (1,), (7,), (9,), (3, 3, 3)], ids=str)
def test_empty_one_element_and_no_multiple_of_eight(codec, shape):
    for rng in (None, np.random.default_rng(0)):
        assert round_trip(codec, tensor(*shape), rng).shape == shape


@every("codec", DEFAULTS)
def test_non_contiguous_and_channels_last_inputs_are_the_same_tensor(codec):
    activations = tensor(4, 6, 5, 7)
    for other in (
        activations.to(memory_format=torch.channels_last),
        activations.transpose(1, 3).contiguous().transpose(1, 3),
        torch.cat([activations, activations], 3)[..., :7],
    ):
        assert not other.is_contiguous()
        assert codec.encode(other) == codec.encode(activations)


@every("codec", DEFAULTS)
def test_a_smaller_last_batch(codec):
    for samples in (32, 32, 5, 1, 32):
        activations = tensor(samples, 3, 8, 8).relu()
        result = round_trip(codec, activations)
        payload = codec.encode(activations)
        assert payload.num_bytes == codec.num_bytes((samples, 3, 8, 8))
        assert same_bits(codec.decode(payload, (samples, 3, 8, 8)), result)
        with pytest.raises(CodecError, match="is expected"):
            codec.decode(payload, (samples + 1, 3, 8, 8))


# --- scopes

SAMPLED = {
    "sp": {"sparsity": 0.8},
    "rt": {"sparsity": 0.8, "alpha": 0.5},
    "randk": {"sparsity": 0.8},
    "qu": {"bits": 3},
    "qu-stochastic": {"bits": 3, "rounding": "stochastic"},
    **{f"ms-{rounding}": {"sparsity": 0.8, "bits": 3, "rounding": rounding} for rounding in ROUNDINGS},
}


@pytest.mark.parametrize("key", SAMPLED)
@pytest.mark.parametrize("seed", [None, 5])
def test_scope_sample_is_each_sample_encoded_alone(key, seed):
    activations = torch.cat([tensor(3, 4, 9) * 10, tensor(2, 4, 9, seed=1).relu(), torch.zeros(1, 4, 9)])
    whole, alone = (
        create(key.partition("-")[0], scope=scope, **SAMPLED[key]) for scope in ("sample", "tensor")
    )
    together = None if seed is None else np.random.default_rng(seed)
    one_by_one = None if seed is None else np.random.default_rng(seed)
    parts = [alone.decode(alone.encode(activations[i : i + 1], one_by_one)) for i in range(6)]
    assert torch.equal(round_trip(whole, activations, together), torch.cat(parts))


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 4), (5, 3, 4, 2), (1, 1), (7,)], ids=str)
def test_scope_channel_is_each_channel_encoded_alone(rounding, shape):
    scales = 10.0 ** torch.arange(shape[1] if len(shape) > 1 else 1)
    activations = tensor(*shape) * scales.reshape([-1] + [1] * (len(shape) - 2))
    whole, alone = (create("qu", scope=scope, bits=4, rounding=rounding) for scope in ("channel", "tensor"))
    result = round_trip(whole, activations)
    if len(shape) == 1:  # no second dimension: one channel
        assert torch.equal(result, round_trip(alone, activations))
        return
    for channel in range(shape[1]):
        assert torch.equal(result[:, channel], round_trip(alone, activations[:, channel]))


def test_ranges_of_channels_lose_less_where_channels_differ():
    activations = tensor(6, 3, 10) * torch.tensor([1.0, 100.0, 0.01]).reshape(1, 3, 1)
    tensor_error, channel_error = (
        (round_trip(create("qu", bits=4, scope=scope), activations) - activations).abs().amax((0, 2))
        for scope in ("tensor", "channel")
    )
    ranges = activations.amax((0, 2)) - activations.amin((0, 2))
    assert tensor_error[2] > 0.9 * activations[:, 2].abs().max()  # the small channel vanishes
    assert (channel_error <= ranges / 15 / 2 * 1.001).all()


# --- what is random is unbiased

UNBIASED = {
    "qu": create("qu", bits=2, rounding="stochastic"),
    "qu-1": create("qu", bits=1, rounding="stochastic"),
    "qu-sample": create("qu", bits=2, rounding="stochastic", scope="sample"),
    "qu-channel": create("qu", bits=3, rounding="stochastic", scope="channel"),
    "qsgd": create("qsgd"),
    "qsgd-2": create("qsgd", bits=2, bucket_size=7),
    "randk": create("randk", sparsity=0.7),
    "randk-sample": create("randk", sparsity=0.5, scope="sample"),
}
DRAWS = 1500


@pytest.mark.parametrize("key", UNBIASED)
def test_the_mean_over_draws_is_the_tensor(key):
    codec, activations, rng = UNBIASED[key], tensor(4, 5, 2), np.random.default_rng(17)
    drawn = torch.stack([codec.decode(codec.encode(activations, rng)) for _ in range(DRAWS)]).double()
    deviation = drawn.std(0) / math.sqrt(DRAWS)
    assert ((drawn.mean(0) - activations).abs() <= 5 * deviation + 1e-6).all()
    assert (deviation > 0).sum() >= 24  # it is random: of 40 elements, all but those at a level
    biased = (drawn.mean(0) - activations - 0.1).abs() <= 5 * deviation + 1e-6
    assert not biased.all()  # a bias of 0.1 would have been seen


@pytest.mark.parametrize("key", UNBIASED)
def test_without_a_generator_there_is_no_chance(key):
    codec, activations = UNBIASED[key], tensor(4, 5, 2)
    assert codec.encode(activations) == codec.encode(activations)
    assert len({codec.encode(activations, np.random.default_rng(seed)).data for seed in range(5)}) == 5


@PROPERTY
@given(
    hnp.arrays(np.float32, st.integers(1, 60), elements=st.floats(F(-1e18), F(1e18), width=32)),
    st.integers(2, 8),
    st.integers(1, 20),
)
def test_qsgd_errs_by_less_than_a_step_and_keeps_signs(values, bits, bucket_size):
    codec, levels = create("qsgd", bits=bits, bucket_size=bucket_size), 2 ** (bits - 1) - 1
    result = codec.decode(codec.encode(torch.from_numpy(values), np.random.default_rng(0))).numpy()
    nearest = codec.decode(codec.encode(torch.from_numpy(values))).numpy()
    for start in range(0, values.size, bucket_size):
        bucket = slice(start, start + bucket_size)
        x, norm = values[bucket].astype(float), np.linalg.norm(values[bucket].astype(float))
        tolerance = norm * 1e-6 + 1e-44
        assert (np.abs(result[bucket] - x) <= norm / levels + tolerance).all()
        assert (np.abs(nearest[bucket] - x) <= norm / levels / 2 + tolerance).all()
        assert (result[bucket] * x >= 0).all()


@pytest.mark.parametrize("scope", ["tensor", "sample"])
def test_randk_keeps_scaled_values_at_uniform_places(scope):
    codec, activations = create("randk", sparsity=0.75, scope=scope), tensor(4, 8)
    times_kept, rng = torch.zeros(4, 8), np.random.default_rng(2)
    for _ in range(400):
        result = codec.decode(codec.encode(activations, rng))
        kept = result != 0
        assert kept.sum() == 8
        assert scope == "tensor" or (kept.sum(1) == 2).all()
        assert torch.equal(result[kept], activations[kept] * 4)  # d / k
        times_kept += kept
    assert (times_kept - 100).abs().max() < 5 * math.sqrt(400 * 0.25 * 0.75)


# --- which errs less


ORDINARY = st.floats(F(-1e6), F(1e6), width=32) | st.sampled_from([0.0, 1.0, 2.0, -1.0])


@pytest.mark.parametrize("scope", ["tensor", "sample"])
@PROPERTY
@given(
    values=hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=2, max_side=9), elements=ORDINARY),
    bits=st.integers(1, 5),
    sparsity=st.sampled_from([0.25, 0.5, 0.75, 0.9, 1.0]),
)
def test_centroid_is_never_worse_than_floor(scope, values, bits, sparsity):
    activations = torch.from_numpy(values)
    floor, centroid = (
        squared_error(create("ms", sparsity=sparsity, bits=bits, scope=scope, rounding=rounding), activations)
        for rounding in ("floor", "centroid")
    )
    rounding_error = activations.numel() * (float(activations.abs().max()) * 2.0**-23) ** 2
    assert centroid <= floor * (1 + 1e-6) + rounding_error


@pytest.mark.parametrize("bits", range(2, 9))
def test_after_a_relu_centroid_and_nearest_err_less_than_floor(bits):
    for activations, sparsity in product(relu_maps(6), (0.8, 0.99)):
        floor, nearest, centroid = (
            create("ms", sparsity=sparsity, bits=bits, rounding=rounding)
            for rounding in ("floor", "nearest", "centroid")
        )
        assert squared_error(centroid, activations) < squared_error(floor, activations)
        errors = [(codec.decode(codec.encode(activations)) - activations).abs() for codec in (nearest, floor)]
        slack = activations.max() * 2.0**-23
        assert (errors[0] <= errors[1] + slack).all()  # element by element
        assert squared_error(nearest, activations) < squared_error(floor, activations)


@pytest.mark.parametrize("bits", range(1, 9))
def test_kmeans_errs_less_than_qu_on_skewed_data(bits):
    rng = np.random.default_rng(3)
    for values in (rng.lognormal(size=2000), rng.exponential(size=500) ** 2, *relu_maps(3)):
        activations = torch.as_tensor(values, dtype=torch.float32)
        errors = [
            squared_error(codec, activations)
            for codec in (
                create("kmeans", bits=bits, iterations=0),
                create("kmeans", bits=bits, iterations=1),
                create("kmeans", bits=bits, iterations=10),
                create("kmeans", bits=bits, iterations=40),
            )
        ]
        assert errors == sorted(errors, reverse=True)  # Lloyd's iterations never increase it
        assert errors[0] == pytest.approx(squared_error(create("qu", bits=bits), activations), rel=1e-5)
        assert errors[2] < 0.95 * errors[0]


@pytest.mark.parametrize(
    ("dtype", "largest"),
    [
        ("float16", 65504.0),
        ("bfloat16", 3.3895313892515355e38),
        ("float8_e4m3", 448.0),
        ("float8_e5m2", 57344.0),
    ],
)
def test_cast_saturates(dtype, largest):
    codec = create("cast", dtype=dtype)
    beyond = min(largest * 1.01, LARGEST)
    values = [largest, beyond, LARGEST, -largest, -beyond, -LARGEST]
    assert decoded(codec, values) == [largest] * 3 + [-largest] * 3


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("float16", [1.0009765625, -0.333251953125, 1e-7, 0.0]),
        ("bfloat16", [1.0, -0.333984375, 1.0011717677116394e-07, 1.0026e-30]),
        ("float8_e4m3", [1.0, -0.34375, 0.0, 0.0]),
        ("float8_e5m2", [1.0, -0.3125, 0.0, 0.0]),
    ],
)
def test_cast_rounds_to_nearest(dtype, expected):
    result = decoded(create("cast", dtype=dtype), [1.001, -1 / 3, 1e-7, 1e-30])
    assert result == pytest.approx(expected, rel=0.2 if dtype == "float16" else 1e-3)
    assert result[:2] == expected[:2]
