"""`decode` is fed whatever the network brings: random damage to payloads, and aimed attacks.

`check_codec` damages payloads of the whole grid at random; this goes further, on the representatives.
"""

import math
import signal
import struct

import numpy as np
import pyarrow as pa
import pytest
import torch
from codec_cases import (
    DEFAULTS,
    PLAIN_REPRESENTATIVES,
    REPRESENTATIVES,
    ZSTD_REPRESENTATIVES,
    every,
    peak_bytes,
    tensor,
)

from slsim.codecs import Payload, create
from slsim.codecs.payload import varint
from slsim.errors import CodecError
from slsim.testing import decode_mutated

LIMIT_S = 300  # for work of a few seconds: a hang is a failure, not a stop of the whole run
EVERY = every("codec", REPRESENTATIVES)
EVERY_PLAIN = every("codec", PLAIN_REPRESENTATIVES)
EVERY_ZSTD = every("codec", ZSTD_REPRESENTATIVES)
EVERY_MASK = pytest.mark.parametrize("name", ["sp", "rt", "randk", "ms"])
BAD = [math.nan, -math.nan, math.inf, -math.inf]


@pytest.fixture(autouse=True)
def _no_hang():
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def fail(*_):
        raise AssertionError(f"still decoding after {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(LIMIT_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def samples(codec):
    """Five payloads, small ones: negative values and none, random, compressible, one element, none at all."""
    rng = np.random.default_rng(4)
    tensors = [tensor(5, 8), tensor(3, 4, 3).relu(), torch.ones(2, 100), tensor(1), tensor(0, 3)]
    return [codec.encode(activations, rng).to_bytes() for activations in tensors]


def refused(codec, payload, reason=None, shape=None):
    """Asserts that `codec` refuses `payload`, for `reason`."""
    with pytest.raises(CodecError, match=reason):
        codec.decode(payload, shape)


@EVERY
def test_mutated_payloads_are_refused_or_give_the_declared_shape_in_proportion(codec):
    rng, payloads = np.random.default_rng(6), samples(codec)
    for data in payloads:  # tables and kernels are loaded, of all that payloads may hold
        codec.decode(Payload.from_bytes(data))
    decode_mutated(codec, payloads[0], rng)

    def attack():
        for data in payloads:
            for _ in range(20):
                decode_mutated(codec, data, rng)

    assert peak_bytes(attack)[0] < 1_000_000


def outcome(codec, payload):
    """Whether a payload is refused; if not, it decodes to the shape that it declares, all finite."""
    try:
        decoded = codec.decode(Payload.from_bytes(payload.to_bytes()))
    except CodecError:
        return "refused"
    assert tuple(decoded.shape) == payload.shape
    assert codec.accepts_non_finite or bool(torch.isfinite(decoded).all())
    return "decoded"


@EVERY
def test_contents_of_one_byte_repeated(codec):
    """All-ones masks, all-zero norms, ranges of NaN and so on, of every length that could be right."""
    nominal = codec.side_bytes + codec.body_bytes((4, 10))
    lengths = {0, 1, *(nominal + more for more in (-1, 0, 1, 5, codec.extra_bytes((4, 10))))}
    for byte in (0x00, 0x01, 0x55, 0x7F, 0x80, 0xAA, 0xFF):
        for length in lengths:
            for extended in (False, True):
                content = bytes([byte]) * length
                outcome(codec, Payload.build((4, 10), codec.fingerprint, content, extended))


@EVERY
def test_random_contents_of_the_right_length(codec):
    rng = np.random.default_rng(8)
    for shape in ((4, 10), (1,), (3, 3, 3)):
        nominal = codec.side_bytes + codec.body_bytes(shape)
        for extra in {0, min(1, codec.extra_bytes(shape)), codec.extra_bytes(shape)}:
            lead = (
                varint(extra) + b"\0" * len(codec.segments(shape, nominal + extra)) if codec.lossless else b""
            )
            for _ in range(10):
                content = lead + rng.bytes(nominal + extra)
                outcome(codec, Payload.build(shape, codec.fingerprint, content, extra > 0))


HUGE = [(2**48,), (2**24, 2**24), (2**40, 3), (1, 2**44, 1), (2**30, 2, 2**10)]


@EVERY_PLAIN
def test_huge_dimensions_are_refused_by_their_length_before_anything_is_allocated(codec):
    for shape in HUGE:
        for content in (b"", bytes(100), samples(codec)[0][10:]):
            for extended in (False, True):
                payload = Payload.build(shape, codec.fingerprint, content, extended)
                assert peak_bytes(lambda payload=payload: refused(codec, payload, "takes"))[0] < 100_000


@pytest.mark.parametrize("dimensions", [[2**48 + 1], [2**63], [2**25, 2**25], [0, 2**60], [2**40, 0, 2**40]])
def test_dimensions_beyond_every_tensor_are_refused(dimensions):
    data = b"SL\x01" + bytes([len(dimensions)]) + bytes(4) + b"".join(map(varint, dimensions))
    with pytest.raises(CodecError, match="beyond every tensor"):
        Payload.from_bytes(data)


@EVERY
def test_a_wrong_extended_flag_is_refused(codec):
    for activations in (tensor(5, 8), torch.ones(5, 8), tensor(0, 3)):
        payload = codec.encode(activations)
        content = bytes(payload.content)
        refused(
            codec, Payload.build(payload.shape, payload.fingerprint, content, not payload.extended), "takes"
        )


@pytest.mark.parametrize("bad", BAD)
@EVERY_MASK
@pytest.mark.parametrize("scope", ["tensor", "sample"])
def test_a_kept_value_that_is_not_finite_is_refused(name, scope, bad):
    codec = create(name, sparsity=0.5, scope=scope)
    payload = codec.encode(torch.arange(1.0, 17.0).reshape(2, 8)).to_bytes()
    for place in range(1, 9):
        end = len(payload) - 4 * place
        damaged = payload[:end] + struct.pack("<f", bad) + payload[end + 4 :]
        refused(codec, Payload.from_bytes(damaged), "damaged")


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("scope", ["tensor", "sample", "channel"])
def test_a_range_that_is_not_finite_or_reversed_is_refused(scope, bad):
    codec = create("qu", scope=scope)
    payload = codec.encode(torch.arange(16.0).reshape(2, 8)).to_bytes()
    for pair in ((bad, 1.0), (0.0, bad), (1.0, 0.0), (3e38, -3e38), (bad, bad)):
        refused(
            codec,
            Payload.from_bytes(payload[:10] + struct.pack("<2f", *pair) + payload[18:]),
            "not finite, or ends before it begins",
        )


@pytest.mark.parametrize("bad", [*BAD, -1.0, -1e-45])
def test_a_norm_that_is_none_is_refused(bad):
    codec = create("qsgd", bucket_size=4)
    payload = codec.encode(torch.arange(16.0)).to_bytes()
    for bucket in range(4):
        at = 9 + 4 * bucket
        refused(
            codec,
            Payload.from_bytes(payload[:at] + struct.pack("<f", bad) + payload[at + 4 :]),
            "a norm is negative or not finite",
        )


@pytest.mark.parametrize("bad", BAD)
def test_a_centroid_or_mean_that_is_not_finite_is_refused(bad):
    for codec, at in (
        (create("kmeans", bits=1), 9),
        (create("ms", sparsity=0.5, rounding="centroid"), -4),  # the mean of level 2
    ):
        payload = codec.encode(torch.tensor([0.0, 1.0, 1.5, 2.0, 4.0, 4.0, 4.0, 4.0, 4.0])).to_bytes()
        damaged = bytearray(payload)
        start = at % len(payload)
        damaged[start : start + 4] = struct.pack("<f", bad)
        used = codec.decode(Payload.from_bytes(payload))
        assert torch.isfinite(used).all()
        refused(codec, Payload.from_bytes(bytes(damaged)), "never sends NaN or infinity")


def test_narrow_floats_that_are_not_finite_are_refused():
    for dtype, patterns in {
        "float16": ["007c", "00fc", "007e", "017c"],
        "bfloat16": ["807f", "80ff", "c07f", "817f"],
        "float8_e4m3": ["7f", "ff"],
        "float8_e5m2": ["7c", "fc", "7d", "ff"],
    }.items():
        codec = create("cast", dtype=dtype)
        for pattern in patterns:
            refused(
                codec,
                Payload.build((1,), codec.fingerprint, bytes.fromhex(pattern)),
                "never sends NaN or infinity",
            )


@EVERY_MASK
@pytest.mark.parametrize("scope", ["tensor", "sample"])
@pytest.mark.parametrize("byte", [0x00, 0xFF])
def test_masks_of_all_ones_or_none_are_refused(name, scope, byte):
    codec = create(name, sparsity=0.5, scope=scope)
    for size in (8, 100, 20_000):
        payload = codec.encode(torch.arange(2.0 * size).reshape(2, size))
        masks = len(payload.content) - 4 * size
        content = bytes([byte]) * masks + bytes(payload.content[masks:])
        refused(codec, Payload.build((2, size), payload.fingerprint, content), "the mask marks")


def test_too_many_or_too_few_signs_are_refused():
    codec = create("ms", sparsity=0.5, bits=2)
    payload = codec.encode(tensor(40))
    assert payload.extended
    content = bytes(payload.content)
    for signs in (content[:-1], content + b"\0", content + b"\0\0"):
        refused(codec, Payload.build((40,), payload.fingerprint, signs, True), "takes|the mask asks for")


# --- zstd


def frame(raw, level=1):
    return pa.Codec("zstd", compression_level=level).compress(raw, asbytes=True)


def zstd_payload(codec, shape, frames, extra=0):
    """A payload of given frames, one a segment; an empty one stands for a segment of none."""
    content = varint(extra) + b"".join(varint(len(one)) for one in frames) + b"".join(frames)
    return Payload.build(shape, codec.fingerprint, content, extra > 0)


def segments_of(codec, shape):
    return codec.segments(shape, codec.side_bytes + codec.body_bytes(shape))


@EVERY_ZSTD
def test_a_frame_that_holds_more_or_less_than_its_segment_is_refused(codec):
    shape = (4, 10)
    sizes = [segment.num_bytes for segment in segments_of(codec, shape)]
    used = [place for place, size in enumerate(sizes) if size]
    for place in used:
        for wrong in (0, 1, sizes[place] - 1, sizes[place] + 1, 2 * sizes[place] + 9, 10_000):
            if wrong == sizes[place]:
                continue
            frames = [frame(bytes(size)) if size else b"" for size in sizes]
            frames[place] = frame(bytes(wrong))
            refused(codec, zstd_payload(codec, shape, frames), "zstd frame is damaged, or holds more")


@EVERY_ZSTD
def test_bombs_are_refused_without_unpacking_them(codec):
    shape, reason = (4, 10), "zstd frame is damaged, or holds more"
    sizes = [segment.num_bytes for segment in segments_of(codec, shape)]
    for place in [place for place, size in enumerate(sizes) if size]:
        frames = [frame(bytes(size)) if size else b"" for size in sizes]
        for bomb in BOMBS:
            frames[place] = bomb
            payload = zstd_payload(codec, shape, frames)
            assert peak_bytes(lambda payload=payload: refused(codec, payload, reason))[0] < 200_000


def _claims(size):
    """A frame whose header claims `size` bytes (8 bytes of content size, single segment)."""
    return (
        bytes.fromhex("28b52ffd")
        + bytes([0b1110_0000])
        + size.to_bytes(8, "little")
        + bytes.fromhex("010000")
    )


BOMBS = [
    frame(bytes(50_000_000), 19),  # some kB that become 50 MB
    frame(bytes(1000)) * 50,  # many frames
    *(_claims(size) for size in (2**31, 2**40, 2**63, 2**64 - 1)),
    bytes.fromhex("502a4d18") + b"\xff\xff\xff\x7f",  # a frame to be skipped, longer than all
    bytes.fromhex("28b52ffd"),
    b"\0",
]


@EVERY_ZSTD
def test_lengths_that_do_not_add_up_are_refused(codec):
    payload = codec.encode(tensor(5, 8))
    content = bytes(payload.content)
    for changed in (
        content + b"\0",
        content[:-1],
        content[:1] + varint(2**40) + content[2:],
        content[:1] + varint(2**62) * 4,
        content[:1] + varint(1) + content[2:],
        b"",
        b"\0",
        b"\x80",
        b"\xff" * 40,
    ):
        refused(codec, Payload.build(payload.shape, payload.fingerprint, changed, payload.extended))
    for extra in (codec.extra_bytes((5, 8)) + 1, 2**20, 2**60):  # more above nominal than there can be
        payload = Payload.build((5, 8), codec.fingerprint, varint(extra) + bytes(200), True)
        refused(codec, payload, "takes")


@EVERY_ZSTD
def test_huge_dimensions_of_small_frames_are_refused(codec):
    """Where the shape is expected, and also where zstd or the memory says so."""
    for shape in HUGE:
        payload = Payload.build(shape, codec.fingerprint, bytes(3) + frame(bytes(1000)))
        refused(codec, payload, "is expected", (5, 8))
    for shape in ((2**40,), (2**44,), (2**48,)):
        sizes = [segment.num_bytes for segment in segments_of(codec, shape)]
        refused(codec, zstd_payload(codec, shape, [frame(bytes(1000)) if size else b"" for size in sizes]))


@every("name", list(DEFAULTS))
def test_a_plain_payload_is_none_of_zstd_and_the_other_way_round(name):
    plain, compressed = create(name), create(name, lossless="zstd")
    for one, other in ((plain, compressed), (compressed, plain)):
        payload = one.encode(torch.zeros(50, 8))
        forged = Payload.build(payload.shape, other.fingerprint, bytes(payload.content), payload.extended)
        with pytest.raises(CodecError):
            other.decode(forged)


@EVERY_MASK
def test_a_great_many_empty_samples_cost_no_time(name):
    codec = create(name, scope="sample")
    payload = Payload.build((2**22, 0), codec.fingerprint, b"")
    assert codec.decode(payload).shape == (2**22, 0)
    assert codec.encode(torch.zeros(2**22, 0)) == payload


def test_a_length_without_an_end_costs_no_time():
    codec = create("ms", lossless="zstd")
    for lead in (b"", b"\0"):  # the count above nominal; a segment's length
        payload = Payload.build((4,), codec.fingerprint, lead + b"\xff" * 10_000_000)
        with pytest.raises(CodecError):
            codec.decode(payload)


def test_a_bucket_larger_than_the_tensor_takes_no_more_memory_than_the_tensor():
    codec = create("qsgd", bucket_size=2**40)
    assert codec.decode(codec.encode(torch.tensor([3.0]))).tolist() == [3.0]
