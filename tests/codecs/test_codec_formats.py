"""What each codec's format says: sizes, levels, ties and draws, worked out by hand."""

import math
import struct

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from slsim.codecs import Payload, create
from slsim.codecs.sizes import kept_elements
from slsim.errors import CodecError, FaultsError

PROPERTY = settings(derandomize=True, deadline=None, max_examples=60)
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
COARSE = st.sampled_from([0.0, 0.5, 1.0, 2.0, -1.0, -2.0])
VALUES = hnp.arrays(np.float32, st.integers(1, 40), elements=FINITE | COARSE)
SPARSITY = st.sampled_from([0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0])
BITS = st.integers(1, 8)


def decoded(codec, values, rng=None):
    payload = codec.encode(torch.tensor(values, dtype=torch.float32), rng)
    return codec.decode(payload).tolist()


def normal(*shape):
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape, "f4"))


def ulp(value):
    """About the distance between neighbouring float32 numbers at `value`."""
    return max(value * 2.0**-23, 2.0**-149)


def unpack(packed, bits, count):
    """Codes of `bits` bits, the first one in the highest bits."""
    planes = np.unpackbits(np.frombuffer(packed, np.uint8), count=count * bits).reshape(count, bits)
    return planes @ (1 << np.arange(bits - 1, -1, -1))


def marked(payload):
    """The positions that the one-bit mask of `sp` and `rt` marks."""
    return set(np.flatnonzero(unpack(payload.content, 1, math.prod(payload.shape))).tolist())


# --- sizes


@pytest.mark.parametrize(
    ("name", "params", "shape", "body"),
    [
        ("identity", {}, (100,), 400),
        ("cast", {"dtype": "float16"}, (9,), 18),
        ("cast", {"dtype": "bfloat16"}, (9,), 18),
        ("cast", {"dtype": "float8_e4m3"}, (9,), 9),
        ("cast", {"dtype": "float8_e5m2"}, (9,), 9),
        ("qu", {"bits": 3}, (9,), 4),  # ceil(27 / 8)
        ("qu", {"bits": 3}, (8,), 3),
        ("qu", {"bits": 1}, (9,), 2),
        ("qu", {"bits": 8}, (9,), 9),
        ("qu", {"bits": 3, "scope": "sample"}, (5, 3, 4), 5 * 8 + 23),  # ceil(180 / 8)
        ("qu", {"bits": 3, "scope": "channel"}, (5, 3, 4), 3 * 8 + 23),
        ("qu", {"bits": 3, "scope": "channel"}, (5,), 8 + 2),  # no second dimension: one channel
        ("qu", {"bits": 3, "scope": "sample"}, (), 8 + 1),
        ("qu", {"bits": 3, "scope": "sample"}, (5, 0), 0),
        ("qsgd", {"bits": 4, "bucket_size": 512}, (1_000,), 500 + 2 * 4),
        ("qsgd", {"bits": 3, "bucket_size": 7}, (3, 5), 6 + 3 * 4),  # ceil(45 / 8), ceil(15 / 7)
        ("kmeans", {"bits": 3}, (9,), 4 + 32),
        ("kmeans", {"bits": 8}, (9,), 9 + 1_024),
        ("sp", {"sparsity": 0.95875}, (1_000,), 125 + 164),  # k = floor(41.25) = 41
        ("sp", {"sparsity": 0.5}, (9,), 2 + 16),  # ceil(9 / 8), k = floor(4.5)
        ("sp", {"sparsity": 1.0}, (9,), 2),
        ("sp", {"sparsity": 0.0}, (9,), 2 + 36),
        ("sp", {"sparsity": 0.5, "scope": "sample"}, (4, 3, 3), 4 * (2 + 16)),
        ("rt", {"sparsity": 0.95875}, (1_000,), 125 + 164),
        ("rt", {"sparsity": 0.5, "scope": "sample"}, (4, 3, 3), 4 * (2 + 16)),
        ("randk", {"sparsity": 0.5}, (9,), 2 + 16),
        ("randk", {"sparsity": 0.5, "scope": "sample"}, (4, 3, 3), 4 * (2 + 16)),
        ("ms", {"sparsity": 0.99, "bits": 2}, (100,), 25 + 4),  # ceil(2·100 / 8) + 4·1
        ("ms", {"sparsity": 0.99, "bits": 2}, (99,), 25 + 4),  # ceil(198 / 8), k = 1: floor(0.99) is 0
        ("ms", {"sparsity": 0.75, "bits": 2}, (16,), 4 + 16),  # Figure 1
        ("ms", {"sparsity": 0.9, "bits": 3}, (11,), 5 + 4),  # ceil(33 / 8), k = floor(1.1)
        ("ms", {"sparsity": 0.9, "bits": 8}, (10,), 10 + 4),
        ("ms", {"sparsity": 0.9, "bits": 3, "rounding": "nearest"}, (11,), 5 + 4),
        ("ms", {"sparsity": 0.9, "bits": 3, "rounding": "centroid"}, (11,), 5 + 4 + 7 * 4),
        ("ms", {"sparsity": 0.9, "bits": 2, "scope": "sample"}, (3, 11), 3 * (3 + 4)),
        (
            "ms",
            {"sparsity": 0.9, "bits": 2, "scope": "sample", "rounding": "centroid"},
            (3, 11),
            3 * (7 + 12),
        ),
    ],
)
def test_nominal_sizes(name, params, shape, body):
    codec = create(name, **params)
    payload = codec.encode(torch.arange(math.prod(shape), dtype=torch.float32).reshape(shape))
    side = 8 if name == "qu" and codec.scope == "tensor" else 0
    assert codec.side_bytes == side
    assert len(payload.content) - side == codec.body_bytes(shape) == body
    dimensions = sum(1 if size < 128 else 2 for size in shape)
    assert payload.num_bytes == codec.num_bytes(shape) == 8 + dimensions + side + body


@pytest.mark.parametrize(
    ("name", "params", "formula"),
    [
        ("identity", {}, "4·d"),
        ("cast", {"dtype": "float8_e5m2"}, "1·d"),
        ("qu", {"bits": 3}, "ceil(3·d / 8)"),
        ("qu", {"bits": 3, "scope": "channel"}, "ceil(3·d / 8) + 24"),
        ("qsgd", {"bits": 4, "bucket_size": 7}, "ceil(4·d / 8) + 4·9"),
        ("kmeans", {"bits": 3}, "ceil(3·d / 8) + 32"),
        ("sp", {"sparsity": 0.5}, "ceil(d / 8) + 4·30"),
        ("randk", {"sparsity": 0.5, "scope": "sample"}, "5·(ceil(d/n / 8) + 4·6)"),
        ("ms", {"sparsity": 0.5, "bits": 2}, "ceil(2·d / 8) + 4·30"),
        ("ms", {"sparsity": 0.5, "bits": 2, "rounding": "centroid"}, "ceil(2·d / 8) + 4·30 + 12"),
    ],
)
def test_size_formulas_as_a_reader_sees_them(name, params, formula):
    assert create(name, **params).size_formula((5, 3, 4)) == formula


@pytest.mark.parametrize(
    ("name", "params", "ratio"),
    [
        ("ms", {"sparsity": 0.99, "bits": 2}, 13.79),
        ("sp", {"sparsity": 0.95875}, 13.79),
        ("rt", {"sparsity": 0.95875}, 13.79),
        ("randk", {"sparsity": 0.95875}, 13.79),
        ("qu", {"bits": 3}, 10.67),
        ("kmeans", {"bits": 3}, 10.67),
        ("qsgd", {"bits": 3}, 10.45),  # 32 / (3 + 32 / 512)
        ("cast", {"dtype": "bfloat16"}, 2.0),
        ("identity", {}, 1.0),
    ],
)
def test_the_compression_ratios_of_the_papers_settings(name, params, ratio):
    codec = create(name, **params)
    assert codec.nominal_ratio((10**4, 10**4)) == pytest.approx(ratio, abs=0.005)


@pytest.mark.parametrize(
    ("name", "params", "num_bytes"),
    [
        # 256 samples of VGG19's deep cut, 512×2×2: d = 524,288; a header of 8 + 2 + 2 + 1 + 1 = 14 bytes.
        ("identity", {}, 14 + 2_097_152),
        ("cast", {"dtype": "float16"}, 14 + 1_048_576),
        ("ms", {"sparsity": 0.99, "bits": 2}, 14 + 131_072 + 4 * 5_242),  # k = floor(5,242.88)
        ("sp", {"sparsity": 0.95875}, 14 + 65_536 + 4 * 21_626),  # k = floor(21,626.88)
        ("sp", {"sparsity": 0.95875, "scope": "sample"}, 14 + 256 * (256 + 4 * 84)),  # floor(84.48) of 2,048
        ("rt", {"sparsity": 0.95875}, 14 + 65_536 + 4 * 21_626),
        ("randk", {"sparsity": 0.95875}, 14 + 65_536 + 4 * 21_626),
        ("qu", {"bits": 3}, 14 + 8 + 196_608),  # minimum and maximum
        ("qu", {"bits": 3, "scope": "channel"}, 14 + 512 * 8 + 196_608),
        ("qsgd", {"bits": 4, "bucket_size": 512}, 14 + 262_144 + 4 * 1_024),
        ("kmeans", {"bits": 3}, 14 + 32 + 196_608),
    ],
)
def test_a_message_of_the_papers_vgg19(name, params, num_bytes):
    codec = create(name, **params)
    activations = torch.relu(normal(256, 512, 2, 2))
    payload = codec.encode(activations)
    assert payload.num_bytes == len(payload.to_bytes()) == num_bytes == codec.num_bytes((256, 512, 2, 2))


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("cast", {"dtype": "float64"}),
        ("ms", {"bits": 0}),
        ("ms", {"bits": 9}),
        ("ms", {"sparsity": -0.1}),
        ("ms", {"sparsity": 1.1}),
        ("ms", {"rounding": "up"}),
        ("ms", {"scope": "channel"}),
        ("sp", {"sparsity": 99}),
        ("sp", {"scope": "batch"}),
        ("randk", {"sparsity": -1}),
        ("rt", {"alpha": 1.5}),
        ("rt", {"alpha": -0.5}),
        ("qu", {"bits": 0}),
        ("qu", {"bits": 2.5}),
        ("qu", {"rounding": "floor"}),
        ("qsgd", {"bits": 1}),
        ("qsgd", {"bucket_size": 0}),
        ("kmeans", {"bits": 9}),
        ("kmeans", {"iterations": -1}),
        ("ms", {"lossless": "gzip"}),
    ],
)
def test_parameters_out_of_range_are_refused(name, params):
    (parameter,) = params
    with pytest.raises(FaultsError, match=f"{parameter}: input should be"):
        create(name, **params)


# --- ms

# Sixteen values with the figures of the paper's Figure 1: d = 16, b = 2, k = 4, Top_min = 2.1. (The paper's
# own sixteen give errors of 4.06 and 1.02; they are not printed with enough digits to be used here.)
FIGURE = [0.1, 1.5, 2.1, 0.8, 0.9, 3.0, 1.6, 2.0, 0.3, 1.2, 2.7, 1.9, 0.0, 1.0, 2.4, 0.5]
FIGURE_LEVELS = [0, 1.4, 2.1, 0.7, 0.7, 3.0, 1.4, 1.4, 0, 0.7, 2.7, 1.4, 0, 0.7, 2.4, 0]


def test_figure_1():
    codec = create("ms", sparsity=0.75, bits=2)
    payload = codec.encode(torch.tensor(FIGURE))
    assert len(payload.content) == 20  # of 64 bytes
    assert codec.decode(payload).tolist() == pytest.approx(FIGURE_LEVELS, abs=1e-6)


def test_figure_1_ms_errs_less_than_top_k_alone():
    def l2_error(codec):
        return math.dist(decoded(codec, FIGURE), FIGURE)

    # The twelve that sp drops: .01+2.25+.64+.81+2.56+4+.09+1.44+3.61+0+1+.25 = 16.66.
    assert l2_error(create("sp", sparsity=0.75)) == pytest.approx(math.sqrt(16.66), rel=1e-6)
    # What ms leaves of them: .01+.01+.01+.04+.04+.36+.09+.25+.25+0+.09+.25 = 1.40.
    assert l2_error(create("ms", sparsity=0.75, bits=2)) == pytest.approx(math.sqrt(1.40), rel=1e-5)


def test_of_ties_at_the_threshold_exactly_k_are_the_top():
    payload = create("ms", sparsity=0.6, bits=2).encode(torch.tensor([1.0, 2.0, 2.0, 2.0, 0.5]))
    codes = unpack(payload.content[:2], 2, 5)
    assert codes.tolist() == [1, 3, 3, 2, 0]  # the first two 2s; the third takes the level below
    assert payload.content[2:] == struct.pack("<2f", 2.0, 2.0)
    values = create("ms", sparsity=0.6, bits=2).decode(payload).tolist()
    assert values == pytest.approx([2 / 3, 2.0, 2.0, 4 / 3, 0.0])


def test_ties_at_the_threshold_of_either_sign():
    assert decoded(create("ms", sparsity=0.5, bits=2), [-2.0, 2.0, 2.0, -2.0]) == pytest.approx(
        [-2.0, 2.0, 4 / 3, -4 / 3]
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([-3.0, 2.5, -1.0, 1.0], [-3.0, 2.5, -2.5 / 3, 2.5 / 3]),  # a top value keeps its sign
        ([0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]),
        ([0.0, 5.0, 0.0, 0.0], [0.0, 5.0, 0.0, 0.0]),  # the second top value is 0, and so is Top_min
        ([-1.0, -2.0, -3.0, -4.0], [-1.0, -2.0, -3.0, -4.0]),  # and so does a level
    ],
)
def test_ms_by_hand(values, expected):
    assert decoded(create("ms", sparsity=0.5, bits=2), values) == pytest.approx(expected)


def test_without_a_top_everything_decodes_to_zero():
    codec = create("ms", sparsity=1.0, bits=2)
    assert decoded(codec, [1.0, 2.0, 3.0]) == [0.0, 0.0, 0.0]
    assert codec.encode(torch.tensor([1.0, 2.0, 3.0])).content == b"\0"


@PROPERTY
@given(VALUES, SPARSITY, BITS)
@example(np.float32([7.306554, 7.3065543]), 0.5, 2)
@example(np.float32([1e-45, 1e-45, 0.0]), 0.5, 2)
def test_ms_keeps_the_top_exactly_and_takes_the_level_below_for_the_rest(values, sparsity, bits):
    codec = create("ms", sparsity=sparsity, bits=bits)
    result = codec.decode(codec.encode(torch.from_numpy(values))).numpy()
    k = kept_elements(sparsity, values.size)
    top = np.argsort(-np.abs(values), kind="stable")[:k]  # among equals, the first
    rest = np.setdiff1d(np.arange(values.size), top)
    assert result[top].tobytes() == values[top].tobytes()
    assert (np.abs(result[rest]) <= np.abs(values[rest])).all()  # floor: never above the magnitude
    assert (result[rest] * np.sign(values[rest]) >= 0).all()
    top_min = float(np.abs(values[top]).min()) if k else 0.0
    if top_min:
        loss = np.abs(values[rest]).astype(float) - np.abs(result[rest])
        assert (loss <= top_min / (2**bits - 1) + ulp(top_min)).all()  # a step at most; levels are float32
    else:
        assert not result[rest].any()


@PROPERTY
@given(VALUES, SPARSITY)
def test_ms_with_one_bit_is_plain_top_k(values, sparsity):
    activations = torch.from_numpy(values)
    ms, sp = create("ms", sparsity=sparsity, bits=1), create("sp", sparsity=sparsity)
    assert ms.encode(activations).content == sp.encode(activations).content
    assert torch.equal(ms.decode(ms.encode(activations)), sp.decode(sp.encode(activations)))


def test_a_damaged_mask_of_ms_is_refused():
    codec = create("ms", sparsity=0.5, bits=2)
    data = bytearray(codec.encode(torch.tensor([4.0, 1.0, 5.0, 2.0])).to_bytes())
    assert data[9] == 0b11_00_11_01  # 1 is below the first level 4 / 3; 2 is above it
    data[9] = 0b11_00_11_11
    with pytest.raises(CodecError, match="the mask marks 3 elements and 2 were sent"):
        codec.decode(Payload.from_bytes(bytes(data)))


# --- sp and rt


def test_sp_by_hand():
    assert decoded(create("sp", sparsity=0.6), [1.0, -4.0, 3.0, 2.0, 0.5]) == [0.0, -4.0, 3.0, 0.0, 0.0]


def test_sp_keeps_the_first_among_equals():
    payload = create("sp", sparsity=0.6).encode(torch.tensor([1.0, 2.0, 2.0, 2.0, 0.5]))
    assert marked(payload) == {1, 2}


@PROPERTY
@given(VALUES, SPARSITY)
def test_sp_keeps_the_largest_exactly_and_drops_the_rest(values, sparsity):
    codec = create("sp", sparsity=sparsity)
    result = codec.decode(codec.encode(torch.from_numpy(values))).numpy()
    k = kept_elements(sparsity, values.size)
    expected = np.zeros_like(values)
    top = np.argsort(-np.abs(values), kind="stable")[:k]
    expected[top] = values[top]
    assert result.tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", ["sp", "rt"])
def test_every_bit_of_a_mask_counts(name):
    codec = create(name, sparsity=0.5)
    data = codec.encode(torch.arange(1.0, 9.0)).to_bytes()
    for bit in range(8):
        damaged = bytearray(data)
        damaged[9] ^= 1 << bit
        with pytest.raises(CodecError, match=r"the mask marks [35] elements and 4 were sent"):
            codec.decode(Payload.from_bytes(bytes(damaged)))


def test_rt_without_a_generator_is_sp():
    activations = normal(500)
    rt, sp = create("rt", sparsity=0.9, alpha=0.5), create("sp", sparsity=0.9)
    assert rt.encode(activations).content == sp.encode(activations).content


def test_rt_that_never_leaves_the_top_is_sp():
    activations = normal(500)
    rt, sp = create("rt", sparsity=0.9, alpha=0.0), create("sp", sparsity=0.9)
    assert rt.encode(activations, np.random.default_rng(1)).content == sp.encode(activations).content


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("sparsity", [0.0, 0.25, 0.9, 1.0])
def test_rt_keeps_exactly_k_values_as_they_are(sparsity, alpha):
    values = np.random.default_rng(5).standard_normal(83, "f4")
    codec = create("rt", sparsity=sparsity, alpha=alpha)
    for seed in range(20):
        payload = codec.encode(torch.from_numpy(values), np.random.default_rng(seed))
        kept = sorted(marked(payload))
        assert len(kept) == kept_elements(sparsity, 83)
        expected = np.zeros_like(values)
        expected[kept] = values[kept]
        assert codec.decode(payload).numpy().tobytes() == expected.tobytes()


DRAWS = 400


@pytest.fixture(scope="module")
def draws():
    """Which of 400 elements `rt` kept in each of 400 draws, with k = 100 and alpha = 0.1.

    The top are the elements 300 … 399.
    """
    codec, activations = create("rt", sparsity=0.75, alpha=0.1), torch.arange(1.0, 401.0)
    generator = np.random.default_rng(11)
    return [marked(codec.encode(activations, generator)) for _ in range(DRAWS)]


def test_rt_leaves_the_top_alpha_k_times(draws):
    outside = [len([position for position in kept if position < 300]) for kept in draws]
    # Binomial(100, 0.1): mean 10, variance 9; the mean of 400 draws has a deviation of 3 / 20.
    assert np.mean(outside) == pytest.approx(10, abs=4 * 0.15)
    assert np.var(outside) == pytest.approx(9, abs=2.6)  # deviation of the variance: 9 · sqrt(2 / 400) = 0.64


def test_rt_draws_uniformly_inside_each_group(draws):
    times_kept = np.zeros(400)
    for kept in draws:
        times_kept[list(kept)] += 1
    rest, top = times_kept[:300], times_kept[300:]
    # An element of the rest is kept with probability 10 / 300, one of the top with 0.9: of 400 draws, 13.3
    # and 360 times, with deviations of 3.6 and 6. Four halves of the two groups have the same mean.
    assert rest.min() > 0
    assert top.max() < DRAWS
    assert rest[:150].mean() == pytest.approx(40 / 3, abs=4 * 3.6 / math.sqrt(150))
    assert rest[150:].mean() == pytest.approx(40 / 3, abs=4 * 3.6 / math.sqrt(150))
    assert top[:50].mean() == pytest.approx(360, abs=4 * 6 / math.sqrt(50))
    assert top[50:].mean() == pytest.approx(360, abs=4 * 6 / math.sqrt(50))


def test_rt_takes_all_of_the_rest_when_it_is_smaller_than_the_draws():
    codec = create("rt", sparsity=0.25, alpha=1.0)  # k = 12 of 16; only 4 are outside the top
    kept = marked(codec.encode(torch.arange(1.0, 17.0), np.random.default_rng(0)))
    assert len(kept) == 12
    assert {0, 1, 2, 3} <= kept


def test_rt_with_alpha_1_takes_none_of_the_top():
    codec = create("rt", sparsity=0.75, alpha=1.0)
    kept = marked(codec.encode(torch.arange(1.0, 17.0), np.random.default_rng(0)))
    assert len(kept) == 4
    assert not kept & {12, 13, 14, 15}


def test_rt_draws_anew_with_each_call():
    codec, generator = create("rt", sparsity=0.5, alpha=0.5), np.random.default_rng(0)
    activations = torch.arange(1.0, 101.0)
    first, second = (marked(codec.encode(activations, generator)) for _ in range(2))
    assert first != second


# --- qu


@pytest.mark.parametrize(
    ("bits", "values", "expected"),
    [
        (1, [0.0, 0.4, 0.6, 1.0], [0.0, 0.0, 1.0, 1.0]),
        (2, [0.0, 0.4, 0.6, 1.0, 3.0], [0.0, 0.0, 1.0, 1.0, 3.0]),  # levels 0, 1, 2, 3
        (2, [-3.0, 3.0, 0.9, -0.1], [-3.0, 3.0, 1.0, -1.0]),  # levels -3, -1, 1, 3
        (3, [5.0, 5.0], [5.0, 5.0]),
    ],
)
def test_qu_by_hand(bits, values, expected):
    assert decoded(create("qu", bits=bits), values) == expected


@PROPERTY
@given(VALUES, BITS)
def test_qu_errs_by_half_a_step_at_most(values, bits):
    codec = create("qu", bits=bits)
    result = codec.decode(codec.encode(torch.from_numpy(values))).numpy()
    low, high = float(values.min()), float(values.max())
    bound = (high - low) / (2**bits - 1) / 2 + ulp(max(abs(low), abs(high)))  # levels are float32
    assert (np.abs(result.astype(float) - values.astype(float)) <= bound).all()


@PROPERTY
@given(VALUES, BITS)
def test_qu_keeps_the_range_and_uses_its_levels_alone(values, bits):
    codec = create("qu", bits=bits)
    result = codec.decode(codec.encode(torch.from_numpy(values))).numpy()
    assert result.min() == values.min()
    assert result.max() == values.max()
    assert np.unique(result).size <= 2**bits


def test_the_range_of_qu_is_side_information():
    codec = create("qu", bits=3)
    payload = codec.encode(torch.tensor([-2.0, 0.0, 3.0]))
    assert payload.content[: codec.side_bytes] == struct.pack("<2f", -2.0, 3.0)
    assert payload.num_bytes == 8 + 1 + 8 + 2


# --- identity


@PROPERTY
@given(hnp.arrays(np.float32, st.integers(0, 40), elements=st.floats(width=32)))
def test_identity_carries_every_bit(values):
    codec = create("identity")
    payload = codec.encode(torch.from_numpy(values))
    assert bytes(payload.content) == values.astype("<f4").tobytes()
    assert codec.decode(payload).numpy().tobytes() == values.tobytes()


# --- kmeans


@pytest.mark.parametrize(
    ("iterations", "values", "expected"),
    [
        (0, [0.0, 1.0, 2.0, 9.0], [0.0, 0.0, 0.0, 9.0]),  # the ends of the range
        (1, [0.0, 1.0, 2.0, 9.0], [1.0, 1.0, 1.0, 9.0]),  # the mean of 0, 1, 2
        (1, [0.0, 4.0, 5.0, 10.0], [2.0, 2.0, 7.5, 7.5]),  # 5, in the middle, goes to the upper
        (9, [0.0, 4.0, 5.0, 10.0], [2.0, 2.0, 7.5, 7.5]),  # the middle becomes 4.75: nothing moves
        (2, [0.0, 1.0, 2.0, 6.0, 20.0], [2.25, 2.25, 2.25, 2.25, 20.0]),
        (9, [6.0, 6.0, 6.0, 6.0], [6.0, 6.0, 6.0, 6.0]),
    ],
)
def test_kmeans_by_hand(iterations, values, expected):
    assert decoded(create("kmeans", bits=1, iterations=iterations), values) == expected


def test_a_centroid_without_elements_stays_where_it_is():
    payload = create("kmeans", bits=2, iterations=5).encode(torch.tensor([0.0, 0.0, 9.0]))
    assert payload.content[:16] == struct.pack("<4f", 0.0, 3.0, 6.0, 9.0)


# --- qsgd


@pytest.mark.parametrize(
    ("bits", "values", "expected"),
    [
        (2, [3.0, -4.0, 0.0], [5.0, -5.0, 0.0]),  # norm 5, one level; .6 and .8 are nearer to 1
        (3, [3.0, -4.0, 0.0], [10 / 3, -10 / 3, 0.0]),  # three levels: 1.8 and 2.4 go to 2
        (2, [0.0, 0.0], [0.0, 0.0]),
        (4, [-7.0], [-7.0]),  # a bucket of one is exact
    ],
)
def test_qsgd_by_hand(bits, values, expected):
    assert decoded(create("qsgd", bits=bits), values) == pytest.approx(expected)


def test_buckets_of_one_are_exact():
    values = [1.5, -2.0, 0.0, 1e-20, -3e30]
    assert decoded(create("qsgd", bits=2, bucket_size=1), values) == torch.tensor(values).tolist()
