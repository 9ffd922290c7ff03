"""The lossless stage "context": masks at their entropy and below, floats, exact bytes, damage."""

import math
import zlib

import numpy as np
import pytest
import torch
from codec_cases import DEFAULTS, compressed, every, naming, peak_bytes, tensor
from hypothesis import given, settings
from hypothesis import strategies as st

from slsim.codecs import Payload, Segment, create, kernels
from slsim.codecs.context import Context
from slsim.codecs.kernels import coding
from slsim.codecs.lossless import compress, decompress
from slsim.codecs.payload import varint
from slsim.errors import CodecError, FaultsError
from slsim.testing import decode_mutated, same_bits


def shrunk(raw: bytes, segment: Segment) -> bytes:
    """The frame of `raw`, which must come back from it; `raw` where there is none."""
    frame = Context().shrunk(memoryview(raw), segment)
    if frame is None:
        return raw
    assert len(frame) < len(raw)
    assert Context().restored(memoryview(frame), segment) == raw
    return frame


def packed(codes: np.ndarray, bits: int) -> tuple[bytes, Segment]:
    room = np.zeros(-(-codes.size // 8) * 8, np.uint8)
    room[: codes.size] = codes.ravel()
    return kernels.pack_codes(room, codes.size, bits).tobytes(), Segment.of_codes(codes.shape, bits)


def random_mask(shape: tuple[int, ...], sparsity: float) -> tuple[np.ndarray, float]:
    """A mask of k of d ones at random places, and the bytes of log2 of how many such masks there are."""
    size = math.prod(shape)
    k = round((1 - sparsity) * size)
    mask = np.zeros(size, np.uint8)
    mask[np.random.default_rng(0).choice(size, k, replace=False)] = 1
    ways = math.lgamma(size + 1) - math.lgamma(k + 1) - math.lgamma(size - k + 1)
    return mask.reshape(shape), ways / math.log(2) / 8


@pytest.mark.parametrize("shape", [(10, 64, 16, 16), (10, 16, 16, 16), (10, 128, 2, 2), (10, 512), (65_536,)])
@pytest.mark.parametrize("sparsity", [0.5, 0.95875, 0.99])
def test_a_random_mask_costs_its_entropy(shape, sparsity):
    mask, entropy = random_mask(shape, sparsity)
    assert 0.99 * entropy - 4 < len(shrunk(*packed(mask, 1))) < 1.02 * entropy + 14


def test_positions_of_top_k_cost_a_quarter_of_their_mask():
    """0.249 bits an element in place of one is what 4.125 % of ones at random places have."""
    noise = tensor(10, 64, 16, 16)
    plain, small = (
        create("sp", sparsity=0.95875, lossless=stage).encode(noise) for stage in (None, "context")
    )
    assert create("sp", sparsity=0.95875).segments(noise.shape, plain.num_bytes)[0].num_bytes == 20_480
    kept = 4 * 6_758
    assert small.num_bytes - 0.8 * kept < 0.26 / 8 * noise.numel()


def test_a_mask_with_a_structure_costs_far_less():
    """A blob in each map, in some channels only, at much the same place in every sample."""
    y, x = np.mgrid[:16, :16]
    blob = ((y - 7) ** 2 + (x - 8) ** 2 < 20).astype(np.uint8)
    mask = np.zeros((10, 32, 16, 16), np.uint8)
    mask[:, ::4] = blob
    assert len(shrunk(*packed(mask, 1))) < mask.size / 8 / 20


@pytest.mark.parametrize("bits", [1, 2, 3, 8])
def test_zeros_are_almost_free_and_so_are_ones(bits):
    for code in (0, (1 << bits) - 1):
        assert len(shrunk(*packed(np.full((10, 64, 16, 16), code, np.uint8), bits))) < 160
    assert len(shrunk(bytes(400_000), Segment.of_items((10, 10_000), 4))) < 40


def test_floats_cost_what_their_exponents_tell():
    """Positive numbers of a few magnitudes: sign and exponent are 9 of 32 bits, and cost about 2."""
    values = np.abs(np.random.default_rng(0).standard_normal(5_000)).astype(np.float32)
    raw = values.tobytes()
    assert len(shrunk(raw, Segment(len(raw), 4))) < 25.7 / 32 * len(raw)
    halves = (values.view(np.uint32) & 0xFFFF0000).tobytes()  # as from bfloat16: sixteen bits are spare
    assert len(shrunk(halves, Segment(len(raw), 4))) < 9.7 / 32 * len(raw)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    shape=st.lists(st.integers(1, 6), max_size=5).map(tuple),
    bits=st.integers(1, 8),
    dense=st.floats(0, 1),
    seed=st.integers(0, 9),
)
def test_codes_of_any_tensor_come_back(shape, bits, dense, seed):
    rng = np.random.default_rng(seed)
    codes = (rng.integers(0, 1 << bits, shape) * (rng.random(shape) < dense)).astype(np.uint8)
    shrunk(*packed(np.asarray(codes), bits))


@pytest.mark.parametrize("width", [1, 2, 3, 4, 8])
def test_items_of_any_width_come_back(width):
    rng = np.random.default_rng(1)
    for content in (bytes(8 * width), bytes(range(width)) * 50, rng.bytes(100 * width), b"\xff" * 20 * width):
        shrunk(content, Segment(len(content), width))
        assert decompress(memoryview(compress(content, [Segment(len(content), width)], Context())), [
            Segment(len(content), width)
        ], Context()) == content  # fmt: skip


def test_bits_that_belong_to_no_code_are_kept():
    segment = Segment.of_codes((3, 9), 1, parts=3)
    raw = b"\x00\x01" + bytes(4)
    assert Context().shrunk(memoryview(raw), segment) is None
    assert decompress(memoryview(compress(raw, [segment], Context())), [segment], Context()) == raw


def test_carries_go_through_any_number_of_bytes():
    """An interval that lies across the end of many bytes of 255, and then is left upward."""
    coder, stream = kernels.encoder(100)
    coder[:2] = coding.WHOLE - 5, coding.LEAST
    for i in range(20):
        stream[i] = 0xFFFF if i else 7
    coder[coding.AT] = 20
    frame = kernels.encoded(coder, stream)
    assert frame == b"\0\x08" + bytes(38)  # the number is WHOLE: 1 is carried into all of them


def test_the_tables_do_not_depend_on_the_last_bit_of_a_logarithm():
    """They are rounded: what other machines' libraries give may differ by far less than what is left."""
    exact = (256 * np.log(coding._CHANCES / (1 - coding._CHANCES)), 65536 / (1 + np.exp(-coding._LOG_ODDS)))
    for table in exact:
        assert np.abs(table - np.floor(table) - 0.5).min() > 1e-6
    assert (
        zlib.crc32(coding.LOG_ODDS.astype("<i4").tobytes() + coding.CHANCES.astype("<i4").tobytes())
        == 1_079_884_847
    )


MAP = torch.zeros(2, 3, 4, 4)
MAP[:, 1, 1:3, 1:3] = torch.tensor([[4.0, 3.0], [2.0, 1.0]])
GOLDEN = {
    "identity": "534c0104eeb5fb4602030404000c34ee24f8e6457f692b927f30",
    "sp": "534c01045b557b7e02030404000509007fda0cb6503482a80ca3c4cccc99",
    "ms": "534c0104bebe60a202030404000609001ff66df891c03482a80ca3c4cccc99",
    "qu": "534c0104930d47c102030404000307349224ee249e3cbbb720",
}


@pytest.mark.parametrize("name", GOLDEN)
def test_exact_bytes(name):
    params = {"sparsity": 0.9} if name in ("sp", "ms") else {}
    codec = create(name, lossless="context", **params)
    assert codec.encode(MAP).to_bytes().hex() == GOLDEN[name]
    payload = Payload.from_bytes(bytes.fromhex(GOLDEN[name]))
    assert same_bits(codec.decode(payload), create(name, **params).decode(create(name, **params).encode(MAP)))


@every("codec", [compressed(codec, "context") for codec in DEFAULTS.values()])
def test_damaged_payloads_are_refused_or_give_the_shape(codec):
    rng = np.random.default_rng(3)
    data = codec.encode(tensor(4, 3, 5, 5).relu()).to_bytes()
    for _ in range(60):
        decode_mutated(codec, data, rng)


def test_a_frame_that_ends_elsewhere_is_refused():
    raw, segment = packed(random_mask((10, 8, 8, 8), 0.9)[0], 1)
    frame = shrunk(raw, segment)
    for damaged in (frame + bytes(7), frame[:-8], frame[:20], b"\xff" * len(raw)):
        with pytest.raises(CodecError, match=r"does not end|cannot hold"):
            Context().restored(memoryview(damaged), segment)
    floats = Segment(400, 4)
    for damaged in (b"\x05", b"\x1f\x00\x00", b"\x40\x00\x00", b"\x00" + bytes(200)):
        with pytest.raises(CodecError):
            Context().restored(memoryview(damaged), floats)


@pytest.mark.parametrize("name", ["sp", "qu", "identity"])
def test_a_few_bytes_of_a_huge_tensor_are_refused_before_anything_is_allocated(name):
    codec = create(name, lossless="context")
    for shape in ((2**40,), (2**22, 2**20), (1, 2**44, 1)):
        lengths = [
            9 if s.num_bytes else 0 for s in codec.segments(shape, codec.side_bytes + codec.body_bytes(shape))
        ]
        content = varint(0) + b"".join(map(varint, lengths)) + bytes(sum(lengths))
        payload = Payload.build(shape, codec.fingerprint, content, side_bytes=codec.side_bytes)

        def refuse(payload=payload):
            with pytest.raises(CodecError, match="cannot hold"):
                codec.decode(payload)

        with naming(f"{shape}"):
            assert peak_bytes(refuse)[0] < 1_000_000


def test_a_level_is_for_zstd_only():
    with pytest.raises(FaultsError, match='zstd_level is set, but lossless is not "zstd"'):
        create("ms", lossless="context", zstd_level=3)


def test_a_segment_is_as_long_as_its_tensor_says():
    with pytest.raises(CodecError, match=r"shape \(3, 4\) cannot have 40 bytes"):
        Segment(40, 4, (3, 4))
