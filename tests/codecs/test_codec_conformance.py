"""What every registered codec holds to: the contract of `slsim.codecs.base.Codec`.

The suite finds its codecs in the registry, so a new one is covered by being registered. It must work with
its default parameters; parameters called as in VARIATIONS are varied too.
"""

import struct
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from slsim.codecs import Payload, registry
from slsim.codecs.base import FORMAT_VERSION, MAX_HEADER_BYTES
from slsim.errors import CodecError

VARIATIONS = {"sparsity": (0.0, 0.3, 0.5, 1.0), "bits": (1, 3, 4, 8), "alpha": (0.0, 1.0)}


def _cases():
    for name in registry.names():
        yield name, {}
        for parameter in VARIATIONS.keys() & registry.entry(name).parameters().keys():
            for value in VARIATIONS[parameter]:
                yield name, {parameter: value}


def _id(name, params):
    return "-".join([name, *(f"{key}={value}" for key, value in params.items())])


CASES = {_id(name, params): registry.create(name, **params) for name, params in sorted(_cases(), key=str)}
DEFAULTS = {name: registry.create(name) for name in registry.names()}
EVERY_CASE = pytest.mark.parametrize("codec", CASES.values(), ids=CASES)
EVERY_CODEC = pytest.mark.parametrize("codec", DEFAULTS.values(), ids=DEFAULTS)
FINITE_ONLY = {name: codec for name, codec in DEFAULTS.items() if not codec.accepts_non_finite}
NON_FINITE = {name: codec for name, codec in DEFAULTS.items() if codec.accepts_non_finite}
PROPERTY = settings(derandomize=True, deadline=None, max_examples=50)
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


def rng(seed=0):
    return np.random.default_rng(seed)


def tensor(*shape, seed=0):
    """Normal numbers, so about half are negative."""
    return torch.from_numpy(rng(seed).standard_normal(shape, dtype=np.float32))


def round_trip(codec, activations, generator=None):
    """Encodes and decodes, and checks all that holds for any tensor. Gives the decoded tensor."""
    shape, num_elements = tuple(activations.shape), activations.numel()
    payload = codec.encode(activations, generator)
    data = payload.to_bytes()
    assert payload.num_bytes == len(data) == codec.num_bytes(shape)
    assert len(payload.body) == codec.body_bytes(num_elements)
    assert 0 < payload.num_bytes - len(payload.body) <= MAX_HEADER_BYTES
    assert payload.shape == shape

    received = Payload.from_bytes(data)
    assert received == payload
    decoded = codec.decode(received)
    assert decoded.dtype == torch.float32
    assert tuple(decoded.shape) == shape
    assert decoded.is_contiguous()
    assert decoded.device.type == "cpu"
    assert not decoded.requires_grad
    assert same_bits(decoded, codec.decode(payload))
    return decoded


def same_bits(one, other):
    return one.shape == other.shape and one.numpy().tobytes() == other.numpy().tobytes()


SHAPES = [(), (0,), (1,), (7,), (8,), (9,), (127,), (128,), (3, 5), (2, 0, 4), (2, 3, 4), (2, 3, 4, 5)]
SHAPES += [(1, 1, 1, 1), (256, 1, 2, 2)]


@EVERY_CASE
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_any_shape(codec, shape):
    decoded = round_trip(codec, tensor(*shape))
    assert torch.isfinite(decoded).all()


@EVERY_CASE
@pytest.mark.parametrize("shape", [(0,), (1,), (9,), (2, 3, 4)], ids=str)
def test_any_shape_with_a_generator(codec, shape):
    round_trip(codec, tensor(*shape), rng())


LARGEST, TINIEST = 3.4028235e38, 1e-45
SPECIAL = {
    "all zeros": torch.zeros(19),
    "minus zero": torch.full((19,), -0.0),
    "constant": torch.full((3, 7), 1.7),
    "negative constant": torch.full((3, 7), -1.7),
    "ties everywhere": torch.tensor([1.0, 2.0]).repeat(13),
    "ties of either sign": torch.tensor([2.0, -2.0, 0.0]).repeat(9),
    "one above zero": torch.nn.functional.one_hot(torch.tensor(5), 21).float(),
    "largest numbers": torch.tensor([LARGEST, -LARGEST, 0.0, 1.0, LARGEST, 2.0]),
    "tiniest numbers": torch.tensor([0.0, TINIEST, 3 * TINIEST, -TINIEST, 2 * TINIEST, TINIEST]),
    "after a ReLU": torch.relu(tensor(5, 11)),
}


@EVERY_CASE
@pytest.mark.parametrize("activations", SPECIAL.values(), ids=SPECIAL)
def test_special_values(codec, activations):
    before = activations.clone()
    assert torch.isfinite(round_trip(codec, activations)).all()
    assert torch.isfinite(round_trip(codec, activations, rng())).all()
    assert same_bits(activations, before)


@EVERY_CASE
@PROPERTY
@given(
    values=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
        elements=FINITE | st.sampled_from([0.0, 1.0, 2.0]),
    )
)
def test_any_finite_tensor(codec, values):
    assert torch.isfinite(round_trip(codec, torch.from_numpy(values))).all()


CLOSE = np.float32(1) + np.arange(4, dtype=np.float32) * np.finfo(np.float32).eps  # four neighbours
PAPER = {"identity", "ms", "qu", "rt", "sp"}
IDEMPOTENT = {name: codec for name, codec in CASES.items() if name.partition("-")[0] in PAPER}


@pytest.mark.parametrize("codec", IDEMPOTENT.values(), ids=IDEMPOTENT)
@PROPERTY
@given(
    values=hnp.arrays(
        np.float32,
        st.integers(0, 30),
        elements=FINITE | st.sampled_from([0.0, 1.0, -1.0, 2.0, 2.5, TINIEST, *CLOSE.tolist()]),
    )
)
def test_what_was_decoded_once_is_encoded_without_further_loss(codec, values):
    once = codec.decode(codec.encode(torch.from_numpy(values)))
    twice = codec.decode(codec.encode(once))
    assert torch.equal(once, twice)


LAYOUTS = {
    "transposed": tensor(6, 9).t(),
    "strided": tensor(9, 14)[::2, 1::3],
    "expanded": tensor(1, 9).expand(4, 9),
    "flipped": tensor(4, 9).flip(0),
    "an inner part": tensor(5, 6, 7)[1:4, :, 2:5],
    "channels last": tensor(2, 3, 4, 5).to(memory_format=torch.channels_last),
}


@EVERY_CASE
@pytest.mark.parametrize("activations", LAYOUTS.values(), ids=LAYOUTS)
def test_the_layout_in_memory_does_not_matter(codec, activations):
    round_trip(codec, activations)
    row_major = torch.tensor(activations.tolist())
    assert codec.encode(activations).to_bytes() == codec.encode(row_major).to_bytes()


@EVERY_CODEC
def test_tensors_that_require_a_gradient(codec):
    leaf = tensor(3, 7).requires_grad_()
    round_trip(codec, leaf)
    round_trip(codec, leaf * 2)
    assert leaf.requires_grad
    assert leaf.grad is None


@EVERY_CODEC
def test_a_decoded_tensor_is_the_receivers_own(codec):
    activations = tensor(3, 7)
    payload = codec.encode(activations)
    decoded = codec.decode(payload)
    expected = decoded.clone()
    decoded.add_(1)
    activations.zero_()
    assert same_bits(codec.decode(payload), expected)


@EVERY_CASE
def test_encoding_without_a_generator_is_deterministic(codec):
    assert codec.encode(tensor(5, 13)).to_bytes() == codec.encode(tensor(5, 13)).to_bytes()


@EVERY_CASE
def test_encoding_follows_from_its_generator(codec):
    first, second = (codec.encode(tensor(5, 13), rng(3)).to_bytes() for _ in range(2))
    assert first == second


@EVERY_CODEC
@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.float64, torch.int64, torch.uint8, torch.bool], ids=str
)
def test_another_dtype_is_refused(codec, dtype):
    with pytest.raises(CodecError, match="codecs take float32 tensors, this one is"):
        codec.encode(torch.ones(4, dtype=dtype))


@pytest.mark.parametrize("codec", FINITE_ONLY.values(), ids=FINITE_ONLY)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_refused(codec, value):
    with pytest.raises(CodecError, match="cannot encode NaN or infinity"):
        codec.encode(torch.tensor([1.0, value, 2.0]))


@pytest.mark.parametrize("codec", NON_FINITE.values(), ids=NON_FINITE)
def test_what_is_not_finite_is_carried_where_the_codec_says_so(codec):
    decoded = round_trip(codec, torch.tensor([float("nan"), float("inf"), float("-inf"), 1.0]))
    assert torch.isnan(decoded[0])
    assert decoded[1:].tolist() == [float("inf"), float("-inf"), 1.0]


def test_of_the_papers_codecs_only_identity_carries_what_is_not_finite():
    assert NON_FINITE.keys() & PAPER == {"identity"}


# --- payloads that are not what they should be


@EVERY_CASE
def test_the_payload_of_another_codec_or_of_other_parameters_is_refused(codec):
    for other in CASES.values():
        if other != codec:
            with pytest.raises(CodecError, match="decode with the codec that encoded it"):
                codec.decode(other.encode(tensor(8)))


def test_every_case_has_a_fingerprint_of_its_own():
    codecs = list(CASES.values())
    distinct = [codec for position, codec in enumerate(codecs) if codec not in codecs[:position]]
    assert len({codec.fingerprint for codec in distinct}) == len(distinct) > len(DEFAULTS)


@EVERY_CASE
@pytest.mark.parametrize("shape", [(0,), (1,), (3, 5)], ids=str)
def test_a_payload_cut_short_is_refused(codec, shape):
    data = codec.encode(tensor(*shape)).to_bytes()
    for length in range(len(data)):
        with pytest.raises(CodecError):
            codec.decode(Payload.from_bytes(data[:length]))


@EVERY_CASE
@pytest.mark.parametrize("more", [1, 4, 100])
def test_a_payload_with_more_behind_it_is_refused(codec, more):
    data = codec.encode(tensor(3, 5)).to_bytes()
    with pytest.raises(CodecError, match=r"a tensor of shape \(3, 5\) takes \d+ bytes after the header"):
        codec.decode(Payload.from_bytes(data + bytes(more)))


@EVERY_CODEC
def test_a_payload_of_other_dimensions_is_refused(codec):
    payload = codec.encode(tensor(100, 100))
    other = Payload.build((100, 99), payload.fingerprint, payload.side, bytes(payload.body))
    with pytest.raises(CodecError, match=r"a tensor of shape \(100, 99\) takes"):
        codec.decode(other)


@EVERY_CODEC
def test_a_payload_with_other_side_information_is_refused(codec):
    payload = codec.encode(tensor(3, 5))
    other = Payload.build(payload.shape, payload.fingerprint, payload.side + bytes(4), bytes(payload.body))
    with pytest.raises(CodecError):
        codec.decode(Payload.from_bytes(other.to_bytes()))


@EVERY_CODEC
def test_every_bit_of_the_fingerprint_counts(codec):
    data = codec.encode(tensor(3, 5)).to_bytes()
    for bit in range(32):
        damaged = bytearray(data)
        damaged[4 + bit // 8] ^= 1 << bit % 8
        with pytest.raises(CodecError, match="was not made by"):
            codec.decode(Payload.from_bytes(bytes(damaged)))


@EVERY_CODEC
@pytest.mark.parametrize("magic", [b"LS", b"\0\0", b"PK", b"sl"])
def test_what_does_not_begin_as_a_payload_is_refused(codec, magic):
    data = codec.encode(tensor(3, 5)).to_bytes()
    with pytest.raises(CodecError, match="not an slsim payload"):
        Payload.from_bytes(magic + data[2:])


@EVERY_CODEC
@pytest.mark.parametrize("version", [0, FORMAT_VERSION + 1, 255])
def test_another_format_version_is_refused(codec, version):
    data = codec.encode(tensor(3, 5)).to_bytes()
    with pytest.raises(
        CodecError, match=f"payload format {version}; this slsim reads format {FORMAT_VERSION}"
    ):
        Payload.from_bytes(data[:2] + bytes([version]) + data[3:])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "a payload has at least 8 bytes, this one 0"),
        (b"SL\x01\x00\0\0\0", "a payload has at least 8 bytes, this one 7"),
        (b"SL\x01\x01\0\0\0\0", "the payload ends inside its dimensions"),
        (b"SL\x01\x01\0\0\0\0\x80", "the payload ends inside its dimensions"),
        (b"SL\x01\x01\0\0\0\0" + b"\x80" * 100, "or they are over 32 bytes"),
        (b"SL\x01\x11\0\0\0\0\x02\0\0\0", "the payload ends inside its header"),
        (b"SL\x01\xf1\0\0\0\0\x02" + bytes(100), "or its header is over 32 bytes"),
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
    assert payload.num_bytes - len(payload.body) <= MAX_HEADER_BYTES


# --- headers


def test_the_header_is_as_documented():
    payload = Payload.build((300, 2), 0x01020304, b"side", b"body")
    dimensions = bytes([0b1010_1100, 0b0000_0010, 2])  # 300 = 2 · 128 + 44, low bits first; 2
    expected = b"SL" + bytes([FORMAT_VERSION, 0x12]) + struct.pack("<I", 0x01020304) + dimensions
    assert payload.to_bytes() == expected + b"side" + b"body"


@pytest.mark.parametrize(("shape", "header"), [((), 8), ((127,), 9), ((128,), 10), ((256, 512, 2, 2), 14)])
def test_the_header_grows_by_a_byte_for_each_seven_bits_of_a_dimension(shape, header):
    codec = registry.create("identity")
    num_elements = int(np.prod(shape))
    assert codec.num_bytes(shape) == header + 4 * num_elements


@EVERY_CODEC
def test_fifteen_dimensions_fit_into_a_header(codec):
    round_trip(codec, torch.ones((1,) * 15))


@EVERY_CODEC
def test_a_shape_that_does_not_fit_into_a_header_is_refused(codec):
    with pytest.raises(CodecError, match="does not fit into a header of 32 bytes"):
        codec.encode(torch.ones((1,) * 16))
    with pytest.raises(CodecError, match="does not fit into a header of 32 bytes"):
        codec.num_bytes((300,) * 13)


# --- estimates, and what is fixed


@EVERY_CASE
@pytest.mark.parametrize("num_elements", [1, 7, 8, 1_000, 524_288])
def test_the_nominal_ratio_is_raw_bytes_over_body_bytes(codec, num_elements):
    assert codec.nominal_ratio(num_elements) == 4 * num_elements / codec.body_bytes(num_elements)
    assert codec.nominal_ratio(0) == 1.0


@EVERY_CASE
def test_the_size_formula_is_readable(codec):
    assert "d" in codec.size_formula(1_000)


@EVERY_CASE
def test_encoding_and_decoding_touch_memory(codec):
    encoding, decoding = codec.bytes_touched()
    assert encoding > 0
    assert decoding > 0


@EVERY_CASE
def test_parameters_are_frozen(codec):
    for name in [*type(codec).model_fields, "another"]:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(codec, name, 1)


@EVERY_CODEC
def test_payloads_are_frozen(codec):
    payload = codec.encode(tensor(3))
    for name in ("data", "shape", "fingerprint", "side"):
        with pytest.raises(FrozenInstanceError):
            setattr(payload, name, b"")
    with pytest.raises(TypeError):
        payload.body[:1] = b"x"


@EVERY_CASE
def test_a_codec_equals_one_of_the_same_parameters(codec):
    again = type(codec).model_validate(codec.model_dump(mode="json"))
    assert again == codec
    assert again.fingerprint == codec.fingerprint
    assert same_bits(again.decode(codec.encode(tensor(9))), codec.decode(codec.encode(tensor(9))))


def test_bfloat16_is_refused_like_any_other_dtype():
    with pytest.raises(CodecError, match="float32"):
        registry.create("identity").encode(torch.zeros(3, dtype=torch.bfloat16))


def test_a_shape_beyond_every_tensor_is_refused_before_anything_is_allocated():
    payload = registry.create("identity").encode(torch.zeros(0, 1)).to_bytes()
    dimensions = bytes([0]) + bytes([255] * 9 + [1])
    with pytest.raises(CodecError, match="beyond every tensor"):
        Payload.from_bytes(payload[:8] + dimensions)


def test_a_dimension_in_a_longer_spelling_is_refused():
    payload = registry.create("identity").encode(torch.zeros(3)).to_bytes()
    with pytest.raises(CodecError, match="shortest"):
        Payload.from_bytes(payload[:8] + bytes([0x83, 0]) + payload[9:])


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("name", ["sp", "rt", "ms"])
def test_a_kept_value_that_is_not_finite_is_refused(name, bad):
    codec = registry.create(name, sparsity=0.5)
    payload = codec.encode(torch.arange(8.0)).to_bytes()
    with pytest.raises(CodecError, match="damaged"):
        codec.decode(Payload.from_bytes(payload[:-4] + np.float32(bad).tobytes()))


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_range_that_is_not_finite_is_refused(bad):
    codec = registry.create("qu")
    payload = codec.encode(torch.arange(8.0)).to_bytes()
    with pytest.raises(CodecError, match="damaged"):
        codec.decode(Payload.from_bytes(payload[:13] + np.float32(bad).tobytes() + payload[17:]))
