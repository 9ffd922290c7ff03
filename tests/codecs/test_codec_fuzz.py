"""`decode` is fed whatever the network brings: random damage to payloads of every case, and aimed attacks."""

import math
import signal
import struct
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
import torch
from codec_cases import CASES, DEFAULTS, PLAIN, ZSTD, every, tensor

from slsim.codecs import Payload, create
from slsim.codecs.payload import varint
from slsim.errors import CodecError
from slsim.testing import decode_mutated

MUTATIONS = 60_000
EACH = math.ceil(MUTATIONS / len(CASES) / 5) * 5
LIMIT_S = 300  # for work of a few seconds: a hang is a failure, not a stop of the whole run
EVERY_CASE = every("key", list(CASES))
EVERY_ZSTD = every("codec", ZSTD)


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


@EVERY_CASE
def test_mutated_payloads_are_refused_or_give_the_declared_shape(key):
    codec, rng = CASES[key], np.random.default_rng(sum(key.encode()))
    for data in samples(codec):
        for _ in range(EACH // 5):
            decode_mutated(codec, data, rng)


def test_that_is_as_many_as_promised():
    assert EACH * len(CASES) >= MUTATIONS


@EVERY_CASE
def test_mutated_payloads_allocate_in_proportion(key):
    codec, rng = CASES[key], np.random.default_rng(6)
    data = codec.encode(tensor(5, 8)).to_bytes()
    decode_mutated(codec, data, rng)  # tables and kernels are loaded
    tracemalloc.start()
    for _ in range(60):
        decode_mutated(codec, data, rng)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def outcome(codec, payload):
    """Whether a payload is refused; if not, it decodes to the shape that it declares, all finite."""
    try:
        decoded = codec.decode(Payload.from_bytes(payload.to_bytes()))
    except CodecError:
        return "refused"
    assert tuple(decoded.shape) == payload.shape
    assert codec.accepts_non_finite or bool(torch.isfinite(decoded).all())
    return "decoded"


@EVERY_CASE
def test_contents_of_one_byte_repeated(key):
    """All-ones masks, all-zero norms, ranges of NaN and so on, of every length that could be right."""
    codec = CASES[key]
    nominal = codec.side_bytes + codec.body_bytes((4, 10))
    for byte in (0x00, 0x01, 0x55, 0x7F, 0x80, 0xAA, 0xFF):
        for length in (
            0,
            1,
            nominal - 1,
            nominal,
            nominal + 1,
            nominal + 5,
            nominal + codec.extra_bytes((4, 10)),
        ):
            for extended in (False, True):
                content = bytes([byte]) * length
                outcome(codec, Payload.build((4, 10), codec.fingerprint, content, extended))


@EVERY_CASE
def test_random_contents_of_the_right_length(key):
    codec, rng = CASES[key], np.random.default_rng(8)
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


@every("key", list(PLAIN))
@pytest.mark.parametrize("shape", HUGE, ids=str)
def test_huge_dimensions_are_refused_by_their_length_before_anything_is_allocated(key, shape):
    codec = PLAIN[key]
    for content in (b"", bytes(100), samples(codec)[0][10:]):
        for extended in (False, True):
            payload = Payload.build(shape, codec.fingerprint, content, extended)
            tracemalloc.start()
            with pytest.raises(CodecError, match="takes"):
                codec.decode(payload)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 100_000


@pytest.mark.parametrize("dimensions", [[2**48 + 1], [2**63], [2**25, 2**25], [0, 2**60], [2**40, 0, 2**40]])
def test_dimensions_beyond_every_tensor_are_refused(dimensions):
    data = b"SL\x01" + bytes([len(dimensions)]) + bytes(4) + b"".join(map(varint, dimensions))
    with pytest.raises(CodecError, match="beyond every tensor"):
        Payload.from_bytes(data)


@every("key", list(PLAIN))
def test_a_wrong_extended_flag_is_refused(key):
    codec = PLAIN[key]
    for activations in (tensor(5, 8), tensor(5, 8).abs(), tensor(0, 3)):
        payload = codec.encode(activations)
        other = Payload.build(
            payload.shape, payload.fingerprint, bytes(payload.content), not payload.extended
        )
        with pytest.raises(CodecError, match="takes"):
            codec.decode(other)


@EVERY_ZSTD
def test_a_wrong_extended_flag_is_refused_under_zstd_too(codec):
    for activations in (tensor(5, 8), torch.ones(5, 8)):
        payload = codec.encode(activations)
        other = Payload.build(
            payload.shape, payload.fingerprint, bytes(payload.content), not payload.extended
        )
        with pytest.raises(CodecError, match="takes"):
            codec.decode(other)


BAD = [math.nan, -math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", ["sp", "rt", "randk", "ms"])
@pytest.mark.parametrize("scope", ["tensor", "sample"])
def test_a_kept_value_that_is_not_finite_is_refused(name, scope, bad):
    codec = create(name, sparsity=0.5, scope=scope)
    payload = codec.encode(torch.arange(1.0, 17.0).reshape(2, 8)).to_bytes()
    for place in range(1, 9):
        end = len(payload) - 4 * place
        damaged = payload[:end] + struct.pack("<f", bad) + payload[end + 4 :]
        with pytest.raises(CodecError, match="damaged"):
            codec.decode(Payload.from_bytes(damaged))


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("scope", ["tensor", "sample", "channel"])
def test_a_range_that_is_not_finite_or_reversed_is_refused(scope, bad):
    codec = create("qu", scope=scope)
    payload = codec.encode(torch.arange(16.0).reshape(2, 8)).to_bytes()
    for pair in ((bad, 1.0), (0.0, bad), (1.0, 0.0), (3e38, -3e38), (bad, bad)):
        with pytest.raises(CodecError, match="not finite, or ends before it begins"):
            codec.decode(Payload.from_bytes(payload[:10] + struct.pack("<2f", *pair) + payload[18:]))


@pytest.mark.parametrize("bad", [*BAD, -1.0, -1e-45])
def test_a_norm_that_is_none_is_refused(bad):
    codec = create("qsgd", bucket_size=4)
    payload = codec.encode(torch.arange(16.0)).to_bytes()
    for bucket in range(4):
        at = 9 + 4 * bucket
        with pytest.raises(CodecError, match="a norm is negative or not finite"):
            codec.decode(Payload.from_bytes(payload[:at] + struct.pack("<f", bad) + payload[at + 4 :]))


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
        with pytest.raises(CodecError, match="never sends NaN or infinity"):
            codec.decode(Payload.from_bytes(bytes(damaged)))


def test_narrow_floats_that_are_not_finite_are_refused():
    for dtype, patterns in {
        "float16": ["007c", "00fc", "007e", "017c"],
        "bfloat16": ["807f", "80ff", "c07f", "817f"],
        "float8_e4m3": ["7f", "ff"],
        "float8_e5m2": ["7c", "fc", "7d", "ff"],
    }.items():
        codec = create("cast", dtype=dtype)
        for pattern in patterns:
            with pytest.raises(CodecError, match="never sends NaN or infinity"):
                codec.decode(Payload.build((1,), codec.fingerprint, bytes.fromhex(pattern)))


@pytest.mark.parametrize("name", ["sp", "rt", "randk", "ms"])
@pytest.mark.parametrize("scope", ["tensor", "sample"])
@pytest.mark.parametrize("byte", [0x00, 0xFF])
def test_masks_of_all_ones_or_none_are_refused(name, scope, byte):
    codec = create(name, sparsity=0.5, scope=scope)
    for size in (8, 100, 20_000):
        payload = codec.encode(torch.arange(2.0 * size).reshape(2, size))
        masks = len(payload.content) - 4 * size
        content = bytes([byte]) * masks + bytes(payload.content[masks:])
        with pytest.raises(CodecError, match="the mask marks"):
            codec.decode(Payload.build((2, size), payload.fingerprint, content))


def test_too_many_or_too_few_signs_are_refused():
    codec = create("ms", sparsity=0.5, bits=2)
    payload = codec.encode(tensor(40))
    assert payload.extended
    content = bytes(payload.content)
    for signs in (content[:-1], content + b"\0", content + b"\0\0"):
        with pytest.raises(CodecError, match="takes|the mask asks for"):
            codec.decode(Payload.build((40,), payload.fingerprint, signs, True))


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
            with pytest.raises(CodecError, match="zstd frame is damaged, or holds more"):
                codec.decode(zstd_payload(codec, shape, frames))


@EVERY_ZSTD
def test_bombs_are_refused_without_unpacking_them(codec):
    shape = (4, 10)
    sizes = [segment.num_bytes for segment in segments_of(codec, shape)]
    for place in [place for place, size in enumerate(sizes) if size]:
        frames = [frame(bytes(size)) if size else b"" for size in sizes]
        for bomb in BOMBS:
            frames[place] = bomb
            payload = zstd_payload(codec, shape, frames)
            tracemalloc.start()
            with pytest.raises(CodecError, match="zstd frame is damaged, or holds more"):
                codec.decode(payload)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 200_000


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
        other = Payload.build(payload.shape, payload.fingerprint, changed, payload.extended)
        with pytest.raises(CodecError):
            codec.decode(other)


@EVERY_ZSTD
def test_a_claim_of_more_above_nominal_than_there_can_be_is_refused(codec):
    for extra in (codec.extra_bytes((5, 8)) + 1, 2**20, 2**60):
        payload = Payload.build((5, 8), codec.fingerprint, varint(extra) + bytes(200), True)
        with pytest.raises(CodecError, match="takes"):
            codec.decode(payload)


@EVERY_ZSTD
def test_huge_dimensions_of_small_frames_are_refused_where_the_shape_is_expected(codec):
    """Without an expected shape, a small frame may stand for a large tensor; a receiver gives the shape."""
    for shape in HUGE:
        payload = Payload.build(shape, codec.fingerprint, bytes(3) + frame(bytes(1000)))
        with pytest.raises(CodecError, match="is expected"):
            codec.decode(payload, (5, 8))


@every("name", list(DEFAULTS))
def test_a_plain_payload_is_none_of_zstd_and_the_other_way_round(name):
    plain, compressed = create(name), create(name, lossless="zstd")
    for one, other in ((plain, compressed), (compressed, plain)):
        payload = one.encode(torch.zeros(50, 8))
        forged = Payload.build(payload.shape, other.fingerprint, bytes(payload.content), payload.extended)
        with pytest.raises(CodecError):
            other.decode(forged)


@pytest.mark.parametrize("name", ["sp", "rt", "randk", "ms"])
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


@pytest.mark.parametrize("name", ["identity", "sp", "ms", "qu", "cast", "qsgd", "kmeans", "rt", "randk"])
@pytest.mark.parametrize("power", [40, 44, 48])
def test_huge_dimensions_of_small_frames_are_refused(name, power):
    codec, shape = create(name, lossless="zstd"), (2**power,)
    frame = pa.Codec("zstd").compress(bytes(1000), asbytes=True)
    sizes = [s.num_bytes for s in codec.segments(shape, codec.side_bytes + codec.body_bytes(shape))]
    frames = [frame if size else b"" for size in sizes]
    content = varint(0) + b"".join(varint(len(one)) for one in frames) + b"".join(frames)
    with pytest.raises(CodecError):
        codec.decode(Payload.build(shape, codec.fingerprint, content))


def test_a_header_with_side_information_over_32_bytes_is_refused_by_encode_too():
    codec = create("qu")
    with pytest.raises(CodecError, match="does not fit into a header"):
        codec.num_bytes((1,) * 17)
    with pytest.raises(CodecError, match="does not fit into a header"):
        codec.encode(torch.ones((1,) * 17))


def test_a_bucket_larger_than_the_tensor_takes_no_more_memory_than_the_tensor():
    codec = create("qsgd", bucket_size=2**40)
    assert codec.decode(codec.encode(torch.tensor([3.0]))).tolist() == [3.0]
