"""What every registered codec holds to: the contract of `slsim.codecs.base.Codec`.

`slsim.testing.check_codec` says most of it, and runs here, once, on the whole grid of `codec_cases`. The
other tests go beyond it, on the representatives: arbitrary tensors, codecs among each other, headers, memory.
"""

import struct
from dataclasses import FrozenInstanceError
from typing import get_args

import numpy as np
import pytest
import torch
from codec_cases import (
    CASES,
    DEFAULTS,
    PLAIN,
    PLAIN_REPRESENTATIVES,
    REPRESENTATIVES,
    TOGETHER,
    compressed,
    every,
    naming,
    parameters,
    peak_bytes,
    tensor,
    values_of,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from slsim.codecs import Identity, Payload, registry
from slsim.codecs.payload import FORMAT_VERSION, MAX_HEADER_BYTES
from slsim.errors import CodecError, FaultsError
from slsim.testing import LARGEST, TINIEST, check_codec, round_trip, same_bits

EVERY = every("codec", REPRESENTATIVES)
EVERY_CODEC = every("codec", DEFAULTS)
NINE = {"cast", "identity", "kmeans", "ms", "qsgd", "qu", "randk", "rt", "sp"}


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", registry.names())
def test_the_contract_on_the_whole_grid(name):
    for key, codec in CASES.items():
        if type(codec) is type(DEFAULTS[name]):
            with naming(key):
                check_codec(codec)


def test_all_nine_codecs_are_here_and_every_parameter_is_varied():
    assert set(DEFAULTS) >= NINE
    assert TOGETHER.keys() <= DEFAULTS.keys()
    assert len(PLAIN) > 60
    for name in DEFAULTS:
        for parameter in parameters(name):
            assert len(values_of(name, parameter)) > 1, f"{name}.{parameter}: add values to codec_cases"


def test_the_representatives_have_every_choice_and_the_extremes():
    assert 20 <= len(REPRESENTATIVES) <= 40
    for name in NINE:
        own = [codec for codec in REPRESENTATIVES.values() if type(codec) is type(DEFAULTS[name])]
        assert any(codec.lossless for codec in own), name
        for parameter in parameters(name):
            taken = {getattr(codec, parameter) for codec in own}
            field = type(DEFAULTS[name]).model_fields[parameter]
            assert taken >= set(get_args(field.annotation)), f"{name}.{parameter}"
    for parameter, extremes in {"bits": {1, 8}, "sparsity": {0.0, 1.0}, "bucket_size": {1}}.items():
        assert {getattr(codec, parameter, None) for codec in REPRESENTATIVES.values()} >= extremes


# --- any tensor


CLOSE = np.float32(1) + np.arange(4, dtype=np.float32) * np.finfo(np.float32).eps  # four neighbours
SPECIAL = [0.0, 1.0, -1.0, 2.0, 2.5, TINIEST, 7 * TINIEST, *CLOSE.tolist()]


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


def levels_come_again(codec):
    """Whether what was decoded has the levels that it came from: without a draw, and if the range stays."""
    name = type(codec).__name__
    if name == "QU":
        return codec.scope == "tensor" and codec.rounding == "nearest"
    return name in {"Identity", "Cast", "SP", "RT", "MS"}


@settings(derandomize=True, deadline=None, max_examples=25)  # each goes through all the representatives
@given(
    values=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False) | st.sampled_from(SPECIAL),
    ),
    seed=st.none() | st.integers(0, 3),
)
@example(np.float32([LARGEST] * 9), None)
@example(np.float32([LARGEST, -LARGEST, 0.0] * 5), 0)
@example(np.float32([LARGEST, TINIEST] * 5), None)
def test_any_finite_tensor(values, seed):
    for key, codec in REPRESENTATIVES.items():
        with naming(key):
            once = carried(codec, torch.from_numpy(values), None if seed is None else rng(seed))
            assert once is None or torch.isfinite(once).all()
            if once is not None and seed is None and levels_come_again(codec):
                assert torch.equal(codec.decode(codec.encode(once)), once)


LAYOUTS = {
    "expanded": tensor(1, 9).expand(4, 9),
    "flipped": tensor(4, 9).flip(0),
    "an inner part": tensor(5, 6, 7)[1:4, :, 2:5],
    "channels last, 3D": tensor(2, 3, 2, 4, 5).to(memory_format=torch.channels_last_3d),
    "every other sample": tensor(8, 3, 4)[::2],
    "transposed twice": tensor(4, 6, 5, 7).transpose(1, 3).contiguous().transpose(1, 3),
}


@EVERY
def test_further_layouts_in_memory_do_not_matter(codec):
    for layout, activations in LAYOUTS.items():
        round_trip(codec, activations, rng())
        row_major = torch.tensor(activations.tolist())
        assert codec.encode(activations).to_bytes() == codec.encode(row_major).to_bytes(), layout


@EVERY
@pytest.mark.parametrize("bad", [float("nan"), -float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_refused_or_carried_bit_by_bit(codec, bad):
    for shape in ((1, 1), (4, 30), (7, 10_000)):
        activations = tensor(*shape)
        activations[shape[0] // 2, shape[1] // 3] = bad
        for generator in (None, rng()):
            if codec.accepts_non_finite:
                assert same_bits(codec.decode(codec.encode(activations, generator)), activations)
            else:
                with pytest.raises(CodecError, match="cannot encode NaN or infinity; did training diverge"):
                    codec.encode(activations, generator)


def test_of_the_nine_only_identity_carries_what_is_not_finite():
    assert {name for name, codec in DEFAULTS.items() if codec.accepts_non_finite} & NINE == {"identity"}


@EVERY_CODEC
def test_another_dtype_is_refused(codec):
    for dtype in (torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool):
        with pytest.raises(CodecError, match="codecs take float32 tensors, this one is"):
            codec.encode(torch.ones(4, dtype=dtype))


# Copies come from how a codec works, not from its numbers.
WAYS = {key: codec for key, codec in REPRESENTATIVES.items() if getattr(codec, "bits", 0) in (0, 2, 3, 5)} | {
    name: registry.create(name, **params)
    for name, params in (("kmeans", {"iterations": 1}), ("qu", {"scope": "sample"}), ("qsgd", {}))
}


@every("codec", WAYS)
def test_at_most_two_extra_copies(codec):
    """Encoding and decoding take at most two copies of the input beside it and the result."""
    activations = tensor(16, 64, 32, 32)
    copy, slack = 4 * activations.numel(), 8_000_000  # a chunk's temporaries, tables: they do not grow
    few = activations[:, :, :1, :4]
    codec.decode(codec.encode(few, rng()))  # what is made once, such as tables, is there
    peak, payload = peak_bytes(lambda: codec.encode(activations, rng()))
    assert peak <= 2 * copy + 2 * payload.num_bytes + slack
    assert peak_bytes(lambda: codec.decode(payload))[0] <= copy + 2 * copy + slack


# --- zstd


@every("codec", PLAIN_REPRESENTATIVES)
def test_zstd_shrinks_what_can_be_shrunk_and_stores_what_cannot(codec):
    activations = torch.zeros(40, 3, 10, 10)
    activations[::7] = 1.5
    payload = compressed(codec).encode(activations)
    assert payload.num_bytes < codec.encode(activations).num_bytes
    assert same_bits(compressed(codec).decode(payload), codec.decode(codec.encode(activations)))
    noise = tensor(7, 9)
    plain, stored = codec.encode(noise), compressed(codec).encode(noise)
    lengths = 1 + 2 * len(codec.segments((7, 9), len(plain.content)))
    assert stored.num_bytes <= plain.num_bytes + lengths


@every("name", list(DEFAULTS))
def test_any_level_of_zstd_decodes_alike_and_by_any_other(name):
    activations = tensor(6, 50).relu()
    codecs = [registry.create(name, lossless="zstd", zstd_level=level) for level in (None, 1, 5, 19)]
    plain = DEFAULTS[name].decode(DEFAULTS[name].encode(activations))
    for one in codecs:
        assert same_bits(codecs[0].decode(one.encode(activations)), plain)
    assert codecs[0].encode(activations) == codecs[1].encode(activations)


def test_a_level_without_zstd_is_refused_and_a_higher_one_takes_effect():
    with pytest.raises(FaultsError, match='zstd_level is set, but lossless is not "zstd"'):
        registry.create("ms", zstd_level=3)
    for level in (0, 20, 1.5):
        with pytest.raises(FaultsError, match="zstd_level: input should be"):
            registry.create("ms", lossless="zstd", zstd_level=level)
    low, high = (registry.create("sp", lossless="zstd", zstd_level=level) for level in (1, 19))
    activations = tensor(100, 100).round()
    assert high.encode(activations).num_bytes < low.encode(activations).num_bytes


# --- payloads that are not what they should be


def test_every_case_has_a_fingerprint_of_its_own_whatever_its_level_of_zstd():
    plain = {codec.fingerprint for codec in PLAIN.values()}
    zstd = {compressed(codec).fingerprint for codec in PLAIN.values()}
    context = {compressed(codec, "context").fingerprint for codec in PLAIN.values()}
    assert len(plain | zstd | context) == 3 * len(PLAIN)
    assert {codec.fingerprint for codec in CASES.values()} <= plain | zstd | context


@EVERY
def test_the_payload_of_another_codec_or_of_other_parameters_is_refused(codec):
    payload = codec.encode(tensor(8))
    assert payload.fingerprint == codec.fingerprint
    for bit in range(32):
        damaged = Payload.build((8,), codec.fingerprint ^ 1 << bit, bytes(payload.content), payload.extended)
        with pytest.raises(CodecError, match="was not made by .* decode with the codec that encoded it"):
            codec.decode(damaged)


@EVERY
def test_a_payload_cut_short_or_with_more_behind_it_is_refused(codec):
    for shape in ((), (0,), (1,), (2, 7)):
        data = codec.encode(tensor(*shape)).to_bytes()
        wrong = [data[:length] for length in range(len(data))] + [data + bytes(more) for more in (1, 2, 4)]
        for other in wrong:
            with pytest.raises(CodecError):
                codec.decode(Payload.from_bytes(other))


@every("codec", PLAIN_REPRESENTATIVES)
def test_a_length_that_is_wrong_is_named(codec):
    payload = codec.encode(tensor(100, 100))
    more = Payload.from_bytes(payload.to_bytes() + bytes(2000))
    with pytest.raises(CodecError, match=r"a tensor of shape \(100, 100\) takes \d+ bytes after the header"):
        codec.decode(more)
    other = Payload.build((103, 99), payload.fingerprint, bytes(payload.content))
    with pytest.raises(CodecError, match=r"a tensor of shape \(103, 99\) takes"):
        codec.decode(other)


@EVERY
def test_another_shape_than_expected_is_refused_before_anything_is_allocated(codec):
    payload = codec.encode(tensor(3, 5))
    assert same_bits(codec.decode(payload, (3, 5)), codec.decode(payload))
    assert same_bits(codec.decode(payload, torch.Size([3, 5])), codec.decode(payload))
    for shape in ((5, 3), (15,), (), (3, 5, 1), (2, 5)):
        with pytest.raises(CodecError, match=r"is expected, the payload says \(3, 5\)"):
            codec.decode(payload, shape)

    def refused(payload):
        with pytest.raises(CodecError, match=r"a tensor of shape \(8,\) is expected"):
            codec.decode(payload, (8,))

    for shape in ((2**40,), (2**20, 2**20), (2**47, 1), (0, 2**40)):
        huge = Payload.build(shape, codec.fingerprint, bytes(50), extended=len(shape) == 1)
        assert peak_bytes(lambda huge=huge: refused(huge))[0] < 100_000


# --- headers


@pytest.mark.parametrize("magic", [b"LS", b"\0\0", b"PK", b"sl"])
def test_what_does_not_begin_as_a_payload_is_refused(magic):
    with pytest.raises(CodecError, match="not an slsim payload"):
        Payload.from_bytes(magic + DEFAULTS["ms"].encode(tensor(3, 5)).to_bytes()[2:])


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


@settings(derandomize=True, deadline=None, max_examples=200)
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
    assert DEFAULTS["identity"].num_bytes(shape) == header + 4 * int(np.prod(shape))


@EVERY
def test_sixteen_dimensions_fit_into_a_header_and_seventeen_not_always(codec):
    round_trip(codec, torch.ones((1,) * 16))
    for dimensions in {25, 25 - codec.side_bytes}:
        with pytest.raises(CodecError, match="does not fit into a header of 32 bytes"):
            codec.encode(torch.ones((1,) * dimensions))
        with pytest.raises(CodecError, match="does not fit into a header of 32 bytes"):
            codec.num_bytes((1,) * dimensions)


# --- estimates, and what is fixed


@EVERY
def test_sizes_and_estimates(codec):
    for shape in ((), (1,), (7,), (8,), (10, 100), (256, 512, 2, 2)):
        assert codec.nominal_ratio(shape) == 4 * int(np.prod(shape)) / codec.body_bytes(shape)
    low, high = codec.size_bounds((6, 5, 4))
    nominal = codec.num_bytes((6, 5, 4))
    assert low <= nominal <= high
    if codec.lossless is None:
        assert (low, high) == (nominal, nominal + codec.extra_bytes((6, 5, 4)))
    assert codec.body_bytes((6, 5, 4)) + codec.side_bytes == nominal - 8 - 3
    assert "d" in codec.size_formula((10, 100))
    touched = codec.bytes_touched()  # each element is read once at least, and written
    assert touched == (0, 0) if isinstance(codec, Identity) else min(touched) >= 4


@EVERY_CODEC
def test_parameters_and_payloads_are_frozen(codec):
    for name in [*type(codec).model_fields, "another"]:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(codec, name, 1)
    payload = codec.encode(tensor(3))
    for name in ("data", "shape", "fingerprint", "extended", "content_start"):
        with pytest.raises(FrozenInstanceError):
            setattr(payload, name, b"")
    with pytest.raises(TypeError):
        payload.content[:1] = b"x"
