"""The lossless stage: what stands behind a codec and makes its content shorter, without changing what it
decodes to.

A content is cut into segments, stretches of one kind. A segment that the stage does not shrink is stored.
Layout: for each segment its stored length as LEB128 (0: as it is), then all segments. There are two stages:
`zstd` below, and `context` in a module of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from slsim.codecs.payload import read_varint, varint
from slsim.codecs.sizes import Shape, packed_bytes
from slsim.errors import CodecError

ZSTD_LEVEL = 1  # where nothing else is asked for
FLOAT_WIDTHS = frozenset({2, 4})  # bytes of the items that are taken for floats
LENGTH_BYTES = 9  # the most that a length takes
Bytes = bytes | memoryview


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a content: its length in bytes and the width of its items in bytes (4: float32).

    Where it has an item for each element of a tensor, `of_items` and `of_codes` make one that knows the
    tensor's `shape`. Codes are packed, `bits` each, and `parts` equal parts of them begin at whole bytes.
    """

    num_bytes: int
    width: int = 1
    shape: Shape | None = None
    bits: int = 0
    parts: int = 1

    @classmethod
    def of_items(cls, shape: Shape, width: int) -> Segment:
        """Return the segment of an item of `width` bytes for each element of a tensor of `shape`."""
        return cls(_num_bytes(shape, width, 0, 1), width, shape)

    @classmethod
    def of_codes(cls, shape: Shape, bits: int, parts: int = 1) -> Segment:
        """Return the segment of a packed code of `bits` (1 … 8) for each element of a tensor of `shape`.

        Example:
            >>> Segment.of_codes((10, 3, 3), bits=2).num_bytes
            23
        """
        return cls(_num_bytes(shape, 1, bits, parts), 1, shape, bits, parts)

    def __post_init__(self) -> None:
        shape = self.shape
        if shape is not None and self.num_bytes != _num_bytes(shape, self.width, self.bits, self.parts):
            raise CodecError(f"a segment of a tensor of shape {shape} cannot have {self.num_bytes} bytes")

    @property
    def num_items(self) -> int:
        return math.prod(self.shape) if self.shape is not None else self.num_bytes // self.width


def _num_bytes(shape: Shape, width: int, bits: int, parts: int) -> int:
    """Return the length of a segment of a tensor."""
    if not bits:
        return width * math.prod(shape)
    return parts * packed_bytes(math.prod(shape) // max(parts, 1), bits)


class Stage(Protocol):
    """A lossless stage. `shrunk` gives a frame, or None where that would be no shorter; `restored` gives back
    exactly the segment's bytes, and raises `CodecError` where the frame is damaged, before it allocates more
    than a few times the segment's length."""

    def shrunk(self, raw: memoryview, segment: Segment) -> bytes | None: ...

    def restored(self, frame: memoryview, segment: Segment) -> Bytes: ...


@dataclass(frozen=True, slots=True)
class Zstd:
    """zstd, at a level (1 … 19). Items are regrouped by the significance of their bytes, so that like stands
    by like."""

    level: int = ZSTD_LEVEL

    def shrunk(self, raw: memoryview, segment: Segment) -> bytes | None:
        import pyarrow as pa

        zstd = pa.Codec("zstd", compression_level=self.level)
        frame: bytes = zstd.compress(_planes(raw, segment.width), asbytes=True)
        return frame if len(frame) < segment.num_bytes else None

    def restored(self, frame: memoryview, segment: Segment) -> bytes:
        import pyarrow as pa

        try:
            raw = pa.Codec("zstd").decompress(frame, decompressed_size=segment.num_bytes, asbytes=True)
        except (OSError, ValueError, MemoryError) as error:
            raise CodecError(
                f"a zstd frame is damaged, or holds more than its {segment.num_bytes} bytes"
            ) from error
        return _unplanes(raw, segment.width)


def stage(name: str, level: int | None = None) -> Stage:
    """Return the stage called `name`, zstd at `level`."""
    if name == "context":
        from slsim.codecs.context import Context

        return Context()
    return Zstd(level or ZSTD_LEVEL)


def compress(content: Bytes, segments: Sequence[Segment], stage: Stage) -> bytes:
    """`content`, which is the segments one behind the other, as lengths and frames."""
    lengths, stored, start = [], [], 0
    for segment in segments:
        raw = memoryview(content)[start : start + segment.num_bytes]
        start += segment.num_bytes
        frame = stage.shrunk(raw, segment) if segment.num_bytes else None
        lengths.append(varint(0 if frame is None else len(frame)))
        stored.append(raw if frame is None else frame)
    assert start == len(content)
    return b"".join([*lengths, *stored])


def decompress(data: memoryview, segments: Sequence[Segment], stage: Stage) -> bytes:
    """The content of `compress`. Raises `CodecError` when a frame is damaged or holds more or less than its
    segment."""
    lengths, position = [], 0
    for _ in segments:
        length, position = read_varint(data, position, len(data))
        lengths.append(length)
    if position + sum(n or s.num_bytes for n, s in zip(lengths, segments, strict=True)) != len(data):
        raise CodecError("the lengths of a compressed payload do not add up: it is damaged")
    contents: list[Bytes] = []
    for length, segment in zip(lengths, segments, strict=True):
        stored = data[position : position + (length or segment.num_bytes)]
        position += len(stored)
        contents.append(stage.restored(stored, segment) if length else stored)
    return b"".join(contents)


def _planes(raw: memoryview, width: int) -> Bytes:
    """All first bytes of the items, then all second bytes, and so on."""
    return raw if width == 1 else np.frombuffer(raw, np.uint8).reshape(-1, width).T.tobytes()


def _unplanes(raw: bytes, width: int) -> bytes:
    return raw if width == 1 else np.frombuffer(raw, np.uint8).reshape(width, -1).T.tobytes()
