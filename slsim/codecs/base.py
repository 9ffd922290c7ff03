"""What a codec is: activations → bytes → activations; the payload that travels; the registry.

This room works on numpy arrays and touches torch only at its edge, so that naming, checking and
listing codecs costs no torch import.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from slsim.errors import CodecError
from slsim.registry import Component, Registry

if TYPE_CHECKING:
    import torch

Values: TypeAlias = NDArray[np.float32]

FORMAT_VERSION = 1
MAX_HEADER_BYTES = 32
MAX_ELEMENTS = 2**48
_MAGIC = b"SL"
_FIXED = struct.Struct("<2sBBI")  # magic, format version, dimensions and side length, fingerprint
_SIDE_UNIT = 4


@dataclass(frozen=True, slots=True)
class Payload:
    """One encoded tensor as it travels: header and body in one buffer.

    The header (at most 32 bytes) is: "SL", the format version, one byte with the number of dimensions
    (low 4 bits) and the length of the side information in units of 4 bytes (high 4 bits), the codec's
    fingerprint (uint32, little endian), each dimension as an unsigned LEB128 integer, and the side
    information (for instance the minimum and maximum of `qu`).
    """

    data: bytes
    shape: tuple[int, ...]
    fingerprint: int
    side: bytes
    body_start: int

    @property
    def num_bytes(self) -> int:
        """Exactly what is sent, header included."""
        return len(self.data)

    @property
    def body(self) -> memoryview:
        return memoryview(self.data)[self.body_start :]

    def to_bytes(self) -> bytes:
        return self.data

    @classmethod
    def build(cls, shape: tuple[int, ...], fingerprint: int, side: bytes, body: bytes) -> Payload:
        """A payload from its parts. Raises `CodecError` when the shape does not fit into the header."""
        header = _header(shape, fingerprint, side)
        return cls(header + body, shape, fingerprint, side, len(header))

    @classmethod
    def from_bytes(cls, data: bytes) -> Payload:
        """The payload that `data` holds. Raises `CodecError` when the header is not one of ours."""
        if len(data) < _FIXED.size:
            raise CodecError(f"a payload has at least {_FIXED.size} bytes, this one {len(data)}")
        magic, version, sizes, fingerprint = _FIXED.unpack_from(data)
        if magic != _MAGIC:
            raise CodecError(f"not an slsim payload: it begins with {magic!r}, not {_MAGIC!r}")
        if version != FORMAT_VERSION:
            raise CodecError(f"payload format {version}; this slsim reads format {FORMAT_VERSION}")
        shape, position = _read_dimensions(data, sizes & 15)
        body_start = position + _SIDE_UNIT * (sizes >> 4)
        if body_start > min(len(data), MAX_HEADER_BYTES):
            raise CodecError("the payload ends inside its header, or its header is over 32 bytes")
        return cls(data, shape, fingerprint, data[position:body_start], body_start)


def _header(shape: tuple[int, ...], fingerprint: int, side: bytes) -> bytes:
    assert len(side) % _SIDE_UNIT == 0
    dimensions = b"".join(_varint(size) for size in shape)
    length = _FIXED.size + len(dimensions) + len(side)
    if len(shape) > 15 or length > MAX_HEADER_BYTES:
        raise CodecError(f"the shape {shape} does not fit into a header of {MAX_HEADER_BYTES} bytes")
    sizes = len(shape) | (len(side) // _SIDE_UNIT) << 4
    return _FIXED.pack(_MAGIC, FORMAT_VERSION, sizes, fingerprint) + dimensions + side


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _read_dimensions(data: bytes, count: int) -> tuple[tuple[int, ...], int]:
    shape, position = [], _FIXED.size
    for _ in range(count):
        size = shift = 0
        while True:
            if position >= min(len(data), MAX_HEADER_BYTES):
                raise CodecError("the payload ends inside its dimensions, or they are over 32 bytes")
            byte = data[position]
            position += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        if byte == 0 and shift > 7:
            raise CodecError("a dimension is not written in the shortest way: the payload is damaged")
        shape.append(size)
    if math.prod(max(size, 1) for size in shape) > MAX_ELEMENTS:
        raise CodecError(f"the shape {tuple(shape)} is beyond every tensor: the payload is damaged")
    return tuple(shape), position


class Codec(Component, ABC):
    """Activations ⇄ bytes. One codec a file; a subclass is final and frozen, its fields are its parameters.

    Contract. `encode` takes a float32 tensor of any shape and layout and gives a `Payload`; `decode`
    gives a float32 tensor of that shape, in row-major layout, on the CPU. The body's length is
    `body_bytes(number of elements)`, exactly; side information is `side_bytes` long and counts as
    header. A codec is pure: all randomness comes from `rng`, and without one it does what it does at
    inference. The decoder's gradient is taken as identity (MS, Section 4).

    A subclass writes the five abstract methods; they see flat arrays and may trust them: lengths, dtype
    and finiteness are checked here.
    """

    side_bytes: ClassVar[int] = 0
    accepts_non_finite: ClassVar[bool] = False

    @abstractmethod
    def encode_values(self, values: Values, rng: np.random.Generator | None) -> tuple[bytes, bytes]:
        """Side information and body of `values` (flat, float32)."""

    @abstractmethod
    def decode_values(self, body: memoryview, num_elements: int, side: bytes) -> Values:
        """The values, flat float32, `num_elements` of them. `CodecError` when the body contradicts itself."""

    @abstractmethod
    def body_bytes(self, num_elements: int) -> int:
        """The nominal size: the body's length in bytes for a tensor of `num_elements`."""

    @abstractmethod
    def size_formula(self, num_elements: int) -> str:
        """`body_bytes` as a reader would write it, with d for the number of elements."""

    @abstractmethod
    def bytes_touched(self) -> tuple[float, float]:
        """Bytes of memory read and written per element, encoding and decoding: the cost on the clock."""

    def encode(self, activations: torch.Tensor, rng: np.random.Generator | None = None) -> Payload:
        """`activations` (float32, any shape) as a payload. Raises `CodecError` on another dtype, or on NaN
        and infinity where the codec cannot carry them."""
        if str(activations.dtype) != "torch.float32":
            raise CodecError(f"codecs take float32 tensors, this one is {activations.dtype}")
        array = activations.detach().cpu().contiguous().numpy()
        values: Values = array.reshape(-1)
        if not self.accepts_non_finite and not np.isfinite(values).all():
            raise CodecError(f"{type(self).__name__} cannot encode NaN or infinity; did training diverge?")
        side, body = self.encode_values(values, rng)
        return Payload.build(array.shape, self.fingerprint, side, body)

    def decode(self, payload: Payload) -> torch.Tensor:
        """The tensor that `payload` holds. Raises `CodecError` when it is damaged or another codec's."""
        import torch

        if payload.fingerprint != self.fingerprint:
            raise CodecError(f"this payload was not made by {self!r}; decode with the codec that encoded it")
        num_elements = math.prod(payload.shape)
        expected = self.body_bytes(num_elements)
        if len(payload.side) != self.side_bytes:
            raise CodecError(
                f"this payload has {len(payload.side)} bytes of side information, not {self.side_bytes}"
            )
        if len(payload.body) != expected:
            raise CodecError(
                f"a tensor of shape {payload.shape} takes {expected} bytes after the header, "
                f"this payload has {len(payload.body)}"
            )
        values = self.decode_values(payload.body, num_elements, payload.side)
        assert values.dtype == np.float32
        if not self.accepts_non_finite and not np.isfinite(values).all():
            raise CodecError(f"{type(self).__name__} never sends NaN or infinity: the payload is damaged")
        return torch.from_numpy(values.reshape(payload.shape))

    @property
    def fingerprint(self) -> int:
        """Tells payloads of another codec, or of other parameters, apart (uint32)."""
        identity = json.dumps([type(self).__name__, self.model_dump(mode="json")], sort_keys=True)
        return zlib.crc32(identity.encode())

    def num_bytes(self, shape: tuple[int, ...]) -> int:
        """What a payload of `shape` must measure, by the format's formula, header included."""
        header = _header(shape, 0, bytes(self.side_bytes))
        return len(header) + self.body_bytes(math.prod(shape))

    def nominal_ratio(self, num_elements: int) -> float:
        """The format's own compression ratio: float32 bytes ÷ nominal bytes, header left out."""
        return 4 * num_elements / self.body_bytes(num_elements) if num_elements else 1.0


registry: Registry[Codec] = Registry("codec", Codec)  # type: ignore[type-abstract]  # only used as a bound
register = registry.register
