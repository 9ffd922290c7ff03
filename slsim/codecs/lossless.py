"""The lossless stage: zstd over a codec's content, segment by segment, never changing what it decodes to.

Contents made of unlike things (a mask, float32 values) are cut into segments, and floats are regrouped by
the significance of their bytes, so that like stands by like. A segment that zstd does not shrink is stored.
Layout: for each segment its stored length as LEB128 (0: as it is), then all segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slsim.codecs.payload import read_varint, varint
from slsim.errors import CodecError

LENGTH_BYTES = 9  # the most that a length takes


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a content: its length in bytes, and the width of its items (4: float32)."""

    num_bytes: int
    width: int = 1


def compress(content: bytes | memoryview, segments: Sequence[Segment], level: int) -> bytes:
    """`content`, which is the segments one behind the other, as lengths and frames."""
    import pyarrow as pa

    zstd = pa.Codec("zstd", compression_level=level)
    lengths, stored, start = [], [], 0
    for segment in segments:
        raw = memoryview(content)[start : start + segment.num_bytes]
        start += segment.num_bytes
        frame = zstd.compress(_planes(raw, segment.width), asbytes=True) if segment.num_bytes else b""
        shrinks = len(frame) < segment.num_bytes
        lengths.append(varint(len(frame) if shrinks else 0))
        stored.append(frame if shrinks else raw)
    assert start == len(content)
    return b"".join([*lengths, *stored])


def decompress(data: memoryview, segments: Sequence[Segment]) -> bytes:
    """The content of `compress`. Never allocates more than the segments' lengths; raises `CodecError` when
    a frame is damaged or holds more or less than its segment."""
    lengths, position = [], 0
    for _ in segments:
        length, position = read_varint(data, position, len(data))
        lengths.append(length)
    if position + sum(n or s.num_bytes for n, s in zip(lengths, segments, strict=True)) != len(data):
        raise CodecError("the lengths of a compressed payload do not add up: it is damaged")
    contents = []
    for length, segment in zip(lengths, segments, strict=True):
        stored = data[position : position + (length or segment.num_bytes)]
        position += len(stored)
        contents.append(_inflate(stored, segment) if length else bytes(stored))
    return b"".join(contents)


def _inflate(frame: memoryview, segment: Segment) -> bytes:
    import pyarrow as pa

    try:
        raw = pa.Codec("zstd").decompress(frame, decompressed_size=segment.num_bytes, asbytes=True)
    except (OSError, ValueError, MemoryError) as error:
        raise CodecError(
            f"a zstd frame is damaged, or holds more than its {segment.num_bytes} bytes"
        ) from error
    return _unplanes(raw, segment.width)


def _planes(raw: memoryview, width: int) -> bytes | memoryview:
    """All first bytes of the items, then all second bytes, and so on."""
    return raw if width == 1 else np.frombuffer(raw, np.uint8).reshape(-1, width).T.tobytes()


def _unplanes(raw: bytes, width: int) -> bytes:
    return raw if width == 1 else np.frombuffer(raw, np.uint8).reshape(width, -1).T.tobytes()
