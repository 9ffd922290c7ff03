"""What the contract of a codec promises, tried on awkward tensors, several clients and damaged payloads."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from slsim.codecs import Codec, Payload, Rng
from slsim.codecs.payload import MAX_HEADER_BYTES, header
from slsim.errors import CodecError

SHAPES = [(), (0,), (1,), (7,), (8,), (9,), (127,), (3, 5), (2, 0, 4), (2, 3, 4), (2, 3, 4, 5), (1, 1, 1, 1)]
LARGEST, TINIEST = 3.4028235e38, 1e-45


def check_codec(codec: Codec) -> None:
    """Raises AssertionError unless `codec` keeps the contract of `Codec`: shapes, sizes, layouts, special
    values, determinism, several clients in one call, the lossless stage, and damaged payloads.

    Example:
        >>> from slsim.codecs import create
        >>> check_codec(create("cast"))
    """
    for what, activations in awkward_tensors():
        for seed in (None, 0):
            try:
                if "largest" in what and _declines(codec, activations.clone(), _rng(seed)):
                    continue
                round_trip(codec, activations, _rng(seed))
                if seed is not None and codec.draws:  # else `round_trip` has encoded it twice
                    payloads = [codec.encode(activations, _rng(seed)).to_bytes() for _ in range(2)]
                    assert payloads[0] == payloads[1], "equal generators give different payloads"
            except Exception as error:
                raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error
    assert not (faults := codec.faults()), faults[0].message
    _check_many(codec)
    _check_receiver(codec)
    _check_lossless(codec)
    _check_refusals(codec)
    _check_damage(codec)


def _check_many(codec: Codec) -> None:
    """Several clients' tensors in one call are what one call each gives, both ways."""
    counts, activations = (2, 2, 0, 1, 1), _signed().to(memory_format=torch.channels_last)
    parts, shapes = activations.split(counts), [(count, *activations.shape[1:]) for count in counts]
    for seeds in ([None] * 5, range(5)):
        payloads = codec.encode_many(activations, counts, [_rng(seed) for seed in seeds])
        alone = [codec.encode(part, _rng(seed)) for part, seed in zip(parts, seeds, strict=True)]
        assert payloads == alone, "encode_many gives other payloads than encode"
        together = codec.decode_many(payloads, shapes)
        assert same_bits(together, torch.cat([codec.decode(payload) for payload in alone])), (
            "decode_many gives another tensor than decode"
        )


def _signed() -> torch.Tensor:
    """A map of six samples with negative numbers."""
    return torch.from_numpy(np.random.default_rng(3).standard_normal((6, 3, 4, 5), dtype=np.float32))


def _check_receiver(codec: Codec) -> None:
    """A receiver makes the codec from its written parameters, and owns the tensors that it decodes."""
    again = type(codec).model_validate(codec.model_dump(mode="json"))
    assert again == codec, "a codec made from the written parameters is not equal"
    assert again.fingerprint == codec.fingerprint, "a codec made from the written parameters is another one"
    payload = codec.encode(_signed())
    decoded = codec.decode(payload)
    before = decoded.clone()
    assert same_bits(again.decode(payload), before), "decoding needs what the encoder did not send"
    decoded.add_(1)
    assert same_bits(codec.decode(payload), before), "two decoded tensors share their memory"


def _check_lossless(codec: Codec) -> None:
    """The lossless stages change neither what is decoded nor what is drawn."""
    if codec.lossless:
        return
    for activations in (_signed(), _signed().relu()):
        payload = codec.encode(activations)
        segments = codec.segments(payload.shape, len(payload.content))
        assert sum(segment.num_bytes for segment in segments) == len(payload.content), (
            "the segments are not as long as the content"
        )
        assert all(segment.num_bytes % segment.width == 0 for segment in segments), (
            "a segment is not a whole number of items"
        )
        for stage in ("zstd", "context"):
            for seed in (None, 0):
                _check_stage(codec, stage, activations, seed)


def _check_stage(codec: Codec, stage: str, activations: torch.Tensor, seed: int | None) -> None:
    compressed = type(codec).model_validate(codec.model_dump() | {"lossless": stage})
    assert compressed.fingerprint != codec.fingerprint, f"{stage} does not change the fingerprint"
    rng, other = _rng(seed), _rng(seed)
    payload, small = codec.encode(activations, rng), compressed.encode(activations, other)
    assert same_bits(compressed.decode(small), codec.decode(payload)), f"{stage} changes what is decoded"
    if rng is not None and other is not None:
        assert rng.bit_generator.state == other.bit_generator.state, f"{stage} changes what is drawn"


def _rng(seed: int | None) -> Rng:
    return None if seed is None else np.random.default_rng(seed)


def _declines(codec: Codec, activations: torch.Tensor, rng: Rng) -> bool:
    """Whether the encoder says that it cannot carry such large numbers."""
    try:
        codec.encode(activations, rng)
    except CodecError:
        return True
    return False


def awkward_tensors() -> Iterator[tuple[str, torch.Tensor]]:
    """Names and tensors that a codec must carry, or, those with the largest numbers, may refuse."""
    normal = torch.from_numpy(np.random.default_rng(1).standard_normal(6000, dtype=np.float32))
    for shape in SHAPES:
        yield f"shape {shape}", normal[: math.prod(shape)].reshape(shape)
    yield "a larger map after a ReLU", normal.relu().reshape(6, 10, 10, 10)
    yield "all zeros", torch.zeros(19)
    yield "minus zero", torch.full((19,), -0.0)
    yield "constant", torch.full((3, 7), 1.7)
    yield "negative constant", torch.full((3, 7), -1.7)
    yield "ties everywhere", torch.tensor([1.0, 2.0]).repeat(13)
    yield "ties of either sign", torch.tensor([2.0, -2.0, 0.0]).repeat(9)
    yield "one above zero", torch.nn.functional.one_hot(torch.tensor(5), 21).float()
    yield "tiniest numbers", torch.tensor([0.0, TINIEST, 3 * TINIEST, -TINIEST, 2 * TINIEST, TINIEST])
    yield "largest numbers", torch.tensor([LARGEST, -LARGEST, 0.0, 1.0, LARGEST, 2.0])
    yield "transposed", normal[:54].reshape(6, 9).t()
    yield "strided", normal[:126].reshape(9, 14)[::2, 1::3]
    yield "channels last", normal[:120].reshape(2, 3, 4, 5).to(memory_format=torch.channels_last)
    yield "with gradient", normal[:21].clone().requires_grad_()


def round_trip(codec: Codec, activations: torch.Tensor, rng: Rng = None) -> torch.Tensor:
    """Encodes and decodes, asserting all that holds for any tensor; gives the decoded tensor."""
    before, shape = activations.detach().clone(), tuple(activations.shape)
    payload = codec.encode(activations, rng)
    assert same_bits(activations.detach(), before), "encoding changed its input"
    data = payload.to_bytes()
    low, high = codec.size_bounds(shape)
    assert payload.num_bytes == len(data), "num_bytes is not the length of the buffer"
    assert low <= len(data) <= high, f"{len(data)} bytes; the formula says {low} to {high}"
    assert len(header(shape, 0)) + codec.side_bytes <= MAX_HEADER_BYTES, (
        "header and side information over 32 bytes"
    )
    decoded = codec.decode(Payload.from_bytes(data), shape)
    assert decoded.dtype == torch.float32, f"decoded to {decoded.dtype}"
    assert tuple(decoded.shape) == shape, f"decoded to shape {tuple(decoded.shape)}"
    assert decoded.is_contiguous(), "decoded to another layout than row-major"
    assert same_bits(decoded, codec.decode(payload)), "decoding twice gives two tensors"
    row_major = before.contiguous()
    if rng is None or not codec.draws:
        assert codec.encode(row_major).to_bytes() == data, (
            "layout matters, encoding is not deterministic, or it draws and says that it does not"
        )
    return decoded


def same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors are the same, minus zero and NaN included."""
    return one.shape == other.shape and one.numpy().tobytes() == other.numpy().tobytes()


def _refuses(action: str, codec: Codec, payload_or_tensor: bytes | torch.Tensor) -> None:
    try:
        if isinstance(payload_or_tensor, bytes):
            codec.decode(Payload.from_bytes(payload_or_tensor))
        else:
            codec.encode(payload_or_tensor)
    except CodecError:
        return
    except Exception as error:
        raise AssertionError(f"{action}: {type(error).__name__} instead of CodecError: {error}") from error
    raise AssertionError(f"{action} was not refused with CodecError")


def _check_refusals(codec: Codec) -> None:
    _refuses("a float64 tensor", codec, torch.ones(4, dtype=torch.float64))
    if not codec.accepts_non_finite:
        for value in (math.nan, math.inf, -math.inf):
            _refuses(f"{value}", codec, torch.tensor([1.0, value, 2.0]))


def _check_damage(codec: Codec) -> None:
    """Truncated and extended payloads are refused, mutated ones too or give the declared shape."""
    rng = np.random.default_rng(2)
    activations = torch.from_numpy(rng.standard_normal((5, 8), dtype=np.float32))
    data = codec.encode(activations).to_bytes()
    for length in range(len(data)):
        _refuses(f"a payload cut to {length} bytes", codec, data[:length])
    for more in (1, 2, 4, 100):
        _refuses(f"a payload with {more} bytes more", codec, data + bytes(more))
    for _ in range(200):
        decode_mutated(codec, data, rng)


def decode_mutated(codec: Codec, data: bytes, rng: np.random.Generator) -> None:
    """Decodes `data` after a random change; asserts a CodecError, or a tensor of the declared shape."""
    mutated = bytearray(data)
    kind = rng.integers(4)
    if kind == 0 and mutated:
        del mutated[rng.integers(len(mutated)) :]
    elif kind == 1:
        mutated += rng.bytes(int(rng.integers(1, 20)))
    else:
        for _ in range(int(rng.integers(1, 4))):
            mutated[rng.integers(len(mutated))] ^= 1 << rng.integers(8)
    try:
        payload = Payload.from_bytes(bytes(mutated))
        decoded = codec.decode(payload)
    except CodecError:
        return
    except Exception as error:
        raise AssertionError(f"damage: {type(error).__name__} instead of CodecError: {error}") from error
    assert tuple(decoded.shape) == payload.shape
    assert codec.accepts_non_finite or bool(torch.isfinite(decoded).all())
