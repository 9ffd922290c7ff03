"""What every registered codec holds to: the contract of `slsim.codecs.base.Codec`.

`slsim.testing.check_codec` says most of it, and runs on every case of `codec_cases`; what stands here goes
beyond: arbitrary tensors, codecs among each other, headers, and what the lossless stage must not touch.
"""

import struct
import tracemalloc
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from codec_cases import (
    CASES,
    DEFAULTS,
    LEVELS,
    PLAIN,
    TOGETHER,
    ZSTD,
    every,
    naming,
    parameters,
    tensor,
    values_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from slsim.codecs import Identity, Payload, registry
from slsim.codecs.payload import FORMAT_VERSION, MAX_HEADER_BYTES
from slsim.errors import CodecError, FaultsError
from slsim.testing import LARGEST, TINIEST, check_codec, round_trip, same_bits

EVERY_CASE = every("codec", CASES)
EVERY_PLAIN = every("codec", PLAIN)
EVERY_CODEC = every("codec", DEFAULTS)
FINITE_ONLY = {name: codec for name, codec in CASES.items() if not codec.accepts_non_finite}
NON_FINITE = {name: codec for name, codec in CASES.items() if codec.accepts_non_finite}
PROPERTY = settings(derandomize=True, deadline=None, max_examples=15)  # each goes through all the codecs
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
NINE = {"cast", "identity", "kmeans", "ms", "qsgd", "qu", "randk", "rt", "sp"}


def rng(seed=0):
    return np.random.default_rng(seed)


def carried(codec, activations, generator=None):
    """The decoded tensor; None where the codec refuses the largest numbers, as it may."""
    try:
        decoded = round_trip(codec, activations, generator)
    except CodecError as error:
        if "cannot encode" not in str(error) or activations.abs().max() <= 1e18:
            raise
        return None
    assert not decoded.requires_grad
    assert decoded.device.type == "cpu"
    return decoded


def test_all_nine_codecs_are_here():
    assert set(DEFAULTS) >= NINE
    assert {type(codec) for codec in CASES.values()} == {type(codec) for codec in DEFAULTS.values()}


def test_every_parameter_is_varied():
    for name in DEFAULTS:
        for parameter in parameters(name):
            assert len(values_of(name, parameter)) > 1, f"{name}.{parameter}: add values to codec_cases"
    assert TOGETHER.keys() <= DEFAULTS.keys()
    assert len(ZSTD) == len(PLAIN) > 60


@EVERY_CASE
def test_the_contract(codec):
    check_codec(codec)


@PROPERTY
@given(
    values=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
        elements=FINITE | st.sampled_from([0.0, 1.0, 2.0]),
    ),
    seed=st.none() | st.integers(0, 3),
)
def test_any_finite_tensor(values, seed):
    for key, codec in PLAIN.items():
        with naming(key):
            decoded = carried(codec, torch.from_numpy(values), None if seed is None else rng(seed))
            assert decoded is None or torch.isfinite(decoded).all()


@PROPERTY
@given(
    values=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6),
        elements=FINITE.filter(lambda value: abs(value) < 1e18) | st.sampled_from([0.0, 1.0, 2.0]),
    ),
    seed=st.none() | st.integers(0, 3),
)
def test_zstd_changes_no_bit_and_no_draw(values, seed):
    for key, compressed in ZSTD.items():
        plain = PLAIN[key.removesuffix("-zstd")]
        activations = torch.from_numpy(values)
        one, other = (None if seed is None else rng(seed) for _ in range(2))
        with naming(key):
            assert same_bits(carried(compressed, activations, one), carried(plain, activations, other))
            if seed is not None:
                assert one.bit_generator.state == other.bit_generator.state


@every("key", list(ZSTD))
def test_zstd_shrinks_what_can_be_shrunk(key):
    activations = torch.zeros(40, 3, 10, 10)
    activations[::7] = 1.5
    compressed, plain = ZSTD[key], PLAIN[key.removesuffix("-zstd")]
    assert compressed.encode(activations).num_bytes < plain.encode(activations).num_bytes
    assert same_bits(
        compressed.decode(compressed.encode(activations)), plain.decode(plain.encode(activations))
    )


@every("name", list(DEFAULTS))
def test_any_level_of_zstd_decodes_alike_and_by_any_other(name):
    activations = tensor(6, 50).relu()
    codecs = [registry.create(name, lossless="zstd", zstd_level=level) for level in (None, 1, 5, 19)]
    plain = DEFAULTS[name].decode(DEFAULTS[name].encode(activations))
    for one in codecs:
        assert same_bits(codecs[0].decode(one.encode(activations)), plain)
    assert codecs[0].encode(activations) == codecs[1].encode(activations)


def test_a_level_without_zstd_is_refused():
    with pytest.raises(FaultsError, match='zstd_level is set, but lossless is not "zstd"'):
        registry.create("ms", zstd_level=3)
    for level in (0, 20, 1.5):
        with pytest.raises(FaultsError, match="zstd_level: input should be"):
            registry.create("ms", lossless="zstd", zstd_level=level)


CLOSE = np.float32(1) + np.arange(4, dtype=np.float32) * np.finfo(np.float32).eps  # four neighbours


def _idempotent(codec):
    """Codecs whose levels come again from what they decoded: without a draw, and with a range that stays."""
    name = type(codec).__name__
    if name == "QU":
        return codec.scope == "tensor" and codec.rounding == "nearest"
    return name in {"Identity", "Cast", "SP", "RT", "MS"}


IDEMPOTENT = {key: codec for key, codec in PLAIN.items() if _idempotent(codec)}


@PROPERTY
@given(
    values=hnp.arrays(
        np.float32,
        st.integers(0, 30),
        elements=FINITE | st.sampled_from([0.0, 1.0, -1.0, 2.0, 2.5, TINIEST, 7 * TINIEST, *CLOSE.tolist()]),
    )
)
def test_what_was_decoded_once_is_encoded_without_further_loss(values):
    for key, codec in IDEMPOTENT.items():
        with naming(key):
            once = codec.decode(codec.encode(torch.from_numpy(values)))
            twice = codec.decode(codec.encode(once))
            assert torch.equal(once, twice)


LAYOUTS = {
    "expanded": tensor(1, 9).expand(4, 9),
    "flipped": tensor(4, 9).flip(0),
    "an inner part": tensor(5, 6, 7)[1:4, :, 2:5],
    "channels last, 3D": tensor(2, 3, 2, 4, 5).to(memory_format=torch.channels_last_3d),
    "every other sample": tensor(8, 3, 4)[::2],
}


@EVERY_CASE
def test_further_layouts_in_memory_do_not_matter(codec):
    for layout, activations in LAYOUTS.items():
        round_trip(codec, activations, rng())
        row_major = torch.tensor(activations.tolist())
        assert codec.encode(activations).to_bytes() == codec.encode(row_major).to_bytes(), layout


@EVERY_CASE
def test_encoding_follows_from_its_generator(codec):
    first, second = (codec.encode(tensor(5, 13), rng(3)).to_bytes() for _ in range(2))
    assert first == second


@EVERY_CASE
def test_many_clients_in_one_call_are_each_one_alone(codec):
    activations = tensor(9, 2, 3, 4).to(memory_format=torch.channels_last)
    sizes = [2, 4, 1, 0, 2]
    parts = activations.split(sizes)
    for seeds in (None, range(5)):
        rngs = None if seeds is None else [rng(seed) for seed in seeds]
        alone = [None] * 5 if seeds is None else [rng(seed) for seed in seeds]
        together = codec.encode_many(activations, sizes, rngs)
        assert together == [codec.encode(part, own) for part, own in zip(parts, alone, strict=True)]


@EVERY_CODEC
def test_a_tensor_on_the_way_to_a_loss_is_encoded_and_left_alone(codec):
    leaf = tensor(3, 7).requires_grad_()
    round_trip(codec, leaf * 2)
    assert leaf.requires_grad
    assert leaf.grad is None


@EVERY_CASE
def test_a_decoded_tensor_is_the_receivers_own(codec):
    activations = tensor(3, 7)
    payload = codec.encode(activations)
    decoded = codec.decode(payload)
    expected = decoded.clone()
    decoded.add_(1)
    activations.zero_()
    assert same_bits(codec.decode(payload), expected)


@EVERY_CODEC
@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool], ids=str
)
def test_another_dtype_is_refused(codec, dtype):
    with pytest.raises(CodecError, match="codecs take float32 tensors, this one is"):
        codec.encode(torch.ones(4, dtype=dtype))


@every("codec", FINITE_ONLY)
def test_what_is_not_finite_is_refused(codec):
    for value in (float("nan"), -float("nan"), float("inf"), float("-inf")):
        activations = tensor(4, 5, 6)
        activations[2, 3, 1] = value
        for generator in (None, rng()):
            with pytest.raises(CodecError, match="cannot encode NaN or infinity; did training diverge"):
                codec.encode(activations, generator)


@every("codec", NON_FINITE)
def test_what_is_not_finite_is_carried_where_the_codec_says_so(codec):
    decoded = round_trip(codec, torch.tensor([float("nan"), float("inf"), float("-inf"), 1.0]))
    assert torch.isnan(decoded[0])
    assert decoded[1:].tolist() == [float("inf"), float("-inf"), 1.0]


def test_of_the_nine_only_identity_carries_what_is_not_finite():
    assert {name for name, codec in DEFAULTS.items() if codec.accepts_non_finite} & NINE == {"identity"}


# --- payloads that are not what they should be


@EVERY_CASE
def test_the_payload_of_another_codec_or_of_other_parameters_is_refused(codec):
    for other in CASES.values():
        if other.fingerprint != codec.fingerprint:
            payload = Payload.build((8,), other.fingerprint, b"")
            with pytest.raises(CodecError, match="decode with the codec that encoded it"):
                codec.decode(payload)
    assert codec.encode(tensor(8)).fingerprint == codec.fingerprint


def test_every_case_has_a_fingerprint_of_its_own_whatever_its_level_of_zstd():
    cases = PLAIN | ZSTD | LEVELS
    leveled = {codec.model_copy(update={"zstd_level": None}).fingerprint for codec in cases.values()}
    assert len({codec.fingerprint for codec in cases.values()}) == len(PLAIN) + len(ZSTD) == len(leveled)


@EVERY_CASE
def test_a_payload_cut_short_is_refused(codec):
    for shape in ((), (0,), (1,), (2, 7)):
        data = codec.encode(tensor(*shape)).to_bytes()
        for length in range(len(data)):
            with pytest.raises(CodecError):
                codec.decode(Payload.from_bytes(data[:length]))


@EVERY_CASE
def test_a_payload_with_more_behind_it_is_refused(codec):
    for shape in ((), (0,), (1,), (3, 5)):
        data = codec.encode(tensor(*shape)).to_bytes()
        for more in (1, 2, 4, 100):
            with pytest.raises(CodecError):
                codec.decode(Payload.from_bytes(data + bytes(more)))


@EVERY_PLAIN
def test_a_length_that_is_wrong_is_named(codec):
    data = codec.encode(tensor(3, 5)).to_bytes() + bytes(100)
    with pytest.raises(CodecError, match=r"a tensor of shape \(3, 5\) takes \d+ bytes after the header"):
        codec.decode(Payload.from_bytes(data))


@EVERY_PLAIN
def test_a_payload_of_other_dimensions_is_refused(codec):
    payload = codec.encode(tensor(100, 100))
    other = Payload.build((103, 99), payload.fingerprint, bytes(payload.content))
    with pytest.raises(CodecError, match=r"a tensor of shape \(103, 99\) takes"):
        codec.decode(other)


@EVERY_CASE
def test_another_shape_than_expected_is_refused(codec):
    payload = codec.encode(tensor(3, 5))
    assert same_bits(codec.decode(payload, (3, 5)), codec.decode(payload))
    assert same_bits(codec.decode(payload, torch.Size([3, 5])), codec.decode(payload))
    for shape in ((5, 3), (15,), (), (3, 5, 1), (2, 5)):
        with pytest.raises(CodecError, match=r"is expected, the payload says \(3, 5\)"):
            codec.decode(payload, shape)


@EVERY_CASE
def test_an_unexpected_shape_is_refused_before_anything_is_allocated(codec):
    for shape in ((2**40,), (2**20, 2**20), (2**47, 1), (0, 2**40)):
        payload = Payload.build(shape, codec.fingerprint, bytes(50), extended=len(shape) == 1)
        tracemalloc.start()
        with pytest.raises(CodecError, match=r"a tensor of shape \(8,\) is expected"):
            codec.decode(Payload.from_bytes(payload.to_bytes()), (8,))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 100_000


@EVERY_CODEC
def test_every_bit_of_the_fingerprint_counts(codec):
    data = codec.encode(tensor(3, 5)).to_bytes()
    for bit in range(32):
        damaged = bytearray(data)
        damaged[4 + bit // 8] ^= 1 << bit % 8
        with pytest.raises(CodecError, match="was not made by"):
            codec.decode(Payload.from_bytes(bytes(damaged)))


@pytest.mark.parametrize("magic", [b"LS", b"\0\0", b"PK", b"sl"])
def test_what_does_not_begin_as_a_payload_is_refused(magic):
    data = DEFAULTS["ms"].encode(tensor(3, 5)).to_bytes()
    with pytest.raises(CodecError, match="not an slsim payload"):
        Payload.from_bytes(magic + data[2:])


@pytest.mark.parametrize("version", [0, FORMAT_VERSION + 1, 255])
def test_another_format_version_is_refused(version):
    data = DEFAULTS["ms"].encode(tensor(3, 5)).to_bytes()
    with pytest.raises(
        CodecError, match=f"payload format {version}; this slsim reads format {FORMAT_VERSION}"
    ):
        Payload.from_bytes(data[:2] + bytes([version]) + data[3:])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "a payload has at least 8 bytes, this one 0"),
        (b"SL\x01\x00\0\0\0", "a payload has at least 8 bytes, this one 7"),
        (b"SL\x01\x01\0\0\0\0", "the payload ends inside its header"),
        (b"SL\x01\x01\0\0\0\0\x80", "the payload ends inside its header"),
        (b"SL\x01\x01\0\0\0\0" + b"\x80" * 100, "or its header is over 32 bytes"),
        (b"SL\x01\x05\0\0\0\0\x02\1\1\1", "the payload ends inside its header"),
        (b"SL\x01\x7f\0\0\0\0\x02" + bytes(100), "or its header is over 32 bytes"),
        (b"SL\x01\xff\0\0\0\0\x02" + bytes(100), "or its header is over 32 bytes"),
        (b"SL\x01\x01\0\0\0\0\x83\0", "shortest"),
        (b"SL\x01\x02\0\0\0\0\0" + b"\xff" * 9 + b"\1", "beyond every tensor"),
        (b"SL\x01\x02\0\0\0\0" + b"\x80" * 3 + b"\x20" + b"\x80" * 3 + b"\x10", "beyond every tensor"),
    ],
)
def test_a_header_that_is_none_is_refused(data, reason):
    with pytest.raises(CodecError, match=reason):
        Payload.from_bytes(data)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.binary(max_size=60).map(lambda tail: b"SL\x01" + tail) | st.binary(max_size=60))
def test_arbitrary_bytes_are_a_payload_or_refused(data):
    try:
        payload = Payload.from_bytes(data)
    except CodecError:
        return
    assert payload.to_bytes() == data
    assert payload.num_bytes - len(payload.content) <= MAX_HEADER_BYTES
    assert payload == Payload.build(
        payload.shape, payload.fingerprint, bytes(payload.content), payload.extended
    )


# --- headers


@pytest.mark.parametrize(("extended", "count"), [(False, 0x02), (True, 0x82)])
def test_the_header_is_as_documented(extended, count):
    payload = Payload.build((300, 2), 0x01020304, b"content", extended)
    dimensions = bytes([0b1010_1100, 0b0000_0010, 2])  # 300 = 2 · 128 + 44, low bits first; 2
    expected = b"SL" + bytes([FORMAT_VERSION, count]) + struct.pack("<I", 0x01020304) + dimensions
    assert payload.to_bytes() == expected + b"content"
    assert payload.content == b"content"
    assert Payload.from_bytes(payload.to_bytes()) == payload


@pytest.mark.parametrize(("shape", "header"), [((), 8), ((127,), 9), ((128,), 10), ((256, 512, 2, 2), 14)])
def test_the_header_grows_by_a_byte_for_each_seven_bits_of_a_dimension(shape, header):
    codec = registry.create("identity")
    num_elements = int(np.prod(shape))
    assert codec.num_bytes(shape) == header + 4 * num_elements


@EVERY_CASE
def test_sixteen_dimensions_fit_into_a_header(codec):
    round_trip(codec, torch.ones((1,) * 16))


@EVERY_CODEC
def test_a_shape_that_does_not_fit_into_a_header_is_refused(codec):
    with pytest.raises(CodecError, match="does not fit into a header of 32 bytes"):
        codec.encode(torch.ones((1,) * 25))
    with pytest.raises(CodecError, match="does not fit into a header of 32 bytes"):
        codec.num_bytes((300,) * 13)


# --- estimates, and what is fixed


@EVERY_CASE
def test_the_nominal_ratio_is_raw_bytes_over_body_bytes(codec):
    for shape in ((), (1,), (7,), (8,), (10, 100), (256, 512, 2, 2)):
        assert codec.nominal_ratio(shape) == 4 * int(np.prod(shape)) / codec.body_bytes(shape)


@EVERY_CASE
def test_sizes_are_bounded_as_stated(codec):
    low, high = codec.size_bounds((6, 5, 4))
    nominal = codec.num_bytes((6, 5, 4))
    assert low <= nominal <= high
    if codec.lossless is None:
        assert low == nominal
        assert high == nominal + codec.extra_bytes((6, 5, 4))
    assert codec.body_bytes((6, 5, 4)) + codec.side_bytes == nominal - 8 - 3


@EVERY_CASE
def test_the_segments_of_the_lossless_stage_are_the_content(codec):
    shape = (6, 5, 4)
    plain = type(codec)(**codec.model_dump() | {"lossless": None, "zstd_level": None})
    content = plain.encode(tensor(*shape)).content
    segments = codec.segments(shape, len(content))
    assert sum(segment.num_bytes for segment in segments) == len(content)
    assert all(segment.num_bytes % segment.width == 0 for segment in segments)


@EVERY_CASE
def test_the_size_formula_is_readable(codec):
    assert "d" in codec.size_formula((10, 100))


@EVERY_CASE
def test_encoding_and_decoding_touch_memory_unless_there_is_nothing_to_do(codec):
    encoding, decoding = codec.bytes_touched()
    if isinstance(codec, Identity):
        assert (encoding, decoding) == (0, 0)
    else:
        assert encoding >= 4  # each element is read once at least
        assert decoding >= 4  # and written


@EVERY_CASE
def test_parameters_are_frozen(codec):
    for name in [*type(codec).model_fields, "another"]:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(codec, name, 1)


@EVERY_CODEC
def test_payloads_are_frozen(codec):
    payload = codec.encode(tensor(3))
    for name in ("data", "shape", "fingerprint", "extended", "content_start"):
        with pytest.raises(FrozenInstanceError):
            setattr(payload, name, b"")
    with pytest.raises(TypeError):
        payload.content[:1] = b"x"


@EVERY_CASE
def test_a_codec_equals_one_of_the_same_parameters(codec):
    again = type(codec).model_validate(codec.model_dump(mode="json"))
    assert again == codec
    assert again.fingerprint == codec.fingerprint
    assert same_bits(again.decode(codec.encode(tensor(9))), codec.decode(codec.encode(tensor(9))))


@EVERY_CASE
def test_the_largest_numbers_are_carried_or_refused(codec):
    for values in ([LARGEST] * 9, [-LARGEST] * 9, [LARGEST, -LARGEST, 0.0] * 5, [LARGEST, TINIEST] * 5):
        carried(codec, torch.tensor(values))
        carried(codec, torch.tensor(values), rng())
