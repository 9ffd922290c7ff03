"""The payload: one encoded tensor as it travels, and the header that tells what it is."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import lru_cache

from slsim.codecs.sizes import Shape
from slsim.errors import CodecError

FORMAT_VERSION = 1
MAX_HEADER_BYTES = 32
MAX_ELEMENTS = 2**48
EXTENDED = 128
_MAGIC = b"SL"
_FIXED = struct.Struct("<2sBBI")  # magic, format version, number of dimensions, fingerprint
FIXED_BYTES = _FIXED.size


@dataclass(frozen=True, slots=True)
class Payload:
    """One encoded tensor as it travels: header and body in one buffer.

    The header (at most 32 bytes, the codec's side information included) is: "SL", the format version, the
    number of dimensions (plus 128 when the body is longer than nominal), the codec's fingerprint (uint32,
    little endian), and each dimension as an unsigned LEB128 integer. What follows is the codec's.

    Example:
        >>> import torch
        >>> from slsim.codecs import create
        >>> payload = create("qu", bits=3).encode(torch.zeros(4, 100))
        >>> payload.shape, payload.num_bytes == len(payload.to_bytes())
        ((4, 100), True)
    """

    data: bytes
    shape: Shape
    fingerprint: int
    extended: bool
    content_start: int

    @property
    def num_bytes(self) -> int:
        """Exactly what is sent, header included."""
        return len(self.data)

    @property
    def content(self) -> memoryview:
        """Everything behind the header: side information and body."""
        return memoryview(self.data)[self.content_start :]

    def to_bytes(self) -> bytes:
        return self.data

    @classmethod
    def build(
        cls,
        shape: Shape,
        fingerprint: int,
        content: bytes | memoryview,
        extended: bool = False,
        side_bytes: int = 0,
    ) -> Payload:
        """A payload from its parts; `extended` says that its body is longer than nominal. Raises
        `CodecError` when the shape, with the content's side information, does not fit into the header."""
        start = header(shape, fingerprint, side_bytes, extended)
        return cls(b"".join((start, content)), shape, fingerprint, extended, len(start))

    @classmethod
    def from_bytes(cls, data: bytes) -> Payload:
        """The payload that `data` holds. Raises `CodecError` when the header is not one of ours."""
        if len(data) < _FIXED.size:
            raise CodecError(f"a payload has at least {_FIXED.size} bytes, this one {len(data)}")
        magic, version, dimensions, fingerprint = _FIXED.unpack_from(data)
        if magic != _MAGIC:
            raise CodecError(f"not an slsim payload: it begins with {magic!r}, not {_MAGIC!r}")
        if version != FORMAT_VERSION:
            raise CodecError(f"payload format {version}; this slsim reads format {FORMAT_VERSION}")
        extended, count = divmod(dimensions, EXTENDED)
        shape, start = _read_dimensions(data, count)
        return cls(data, shape, fingerprint, bool(extended), start)


@lru_cache(maxsize=1024)  # shapes come again and again
def header(shape: Shape, fingerprint: int, side_bytes: int = 0, extended: bool = False) -> bytes:
    """The header of a payload. Raises `CodecError` when it, with the side information, is too long."""
    dimensions = b"".join(varint(size) for size in shape)
    length = _FIXED.size + len(dimensions) + side_bytes
    if length > MAX_HEADER_BYTES:
        raise CodecError(f"the shape {shape} does not fit into a header of {MAX_HEADER_BYTES} bytes")
    return _FIXED.pack(_MAGIC, FORMAT_VERSION, len(shape) + EXTENDED * extended, fingerprint) + dimensions


def varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def read_varint(data: bytes | memoryview, position: int, end: int) -> tuple[int, int]:
    """An unsigned LEB128 integer of at most 77 bits at `position`, and where it ends. Raises `CodecError`
    past `end`, or when it is longer or not written in the shortest way."""
    value = shift = 0
    while position < end and shift < 77:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            if byte == 0 and shift > 7:
                raise CodecError("an integer is not written in the shortest way: the payload is damaged")
            return value, position
    raise CodecError("the payload ends inside its header, or its header is over 32 bytes")


def _read_dimensions(data: bytes, count: int) -> tuple[Shape, int]:
    shape, position, end = [], _FIXED.size, min(len(data), MAX_HEADER_BYTES)
    for _ in range(count):
        size, position = read_varint(data, position, end)
        shape.append(size)
    if math.prod(max(size, 1) for size in shape) > MAX_ELEMENTS:
        raise CodecError(f"the shape {tuple(shape)} is beyond every tensor: the payload is damaged")
    return tuple(shape), position
