"""The lossless stage "context": adaptive binary range coding of codes and floats by what is around them.

A code's chances are those of its channel, its left and its upper neighbour, and of the same element of
earlier samples, mixed as they have proved right (see `kernels.context`). A random mask costs about its
entropy, which for k of d elements is log₂ C(d, k) bits; one that has a structure costs less.

A frame of codes is what the range coder wrote. One of floats begins with a byte: how many of the lowest bits
are 0 in all, and whether any float is 0; those are then marked first, as codes of one bit. Items of another
width than two and four bytes are codes of eight bits, and lie as planes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slsim.codecs import kernels
from slsim.codecs.lossless import FLOAT_WIDTHS, Segment
from slsim.errors import CodecError

Codes = NDArray[np.uint8]
Grid = tuple[int, int, int, int]

MARKED = 32  # in a frame of floats' first byte: zeros are marked; the bits below tell how many bits are spare
MOST_SPARE = {2: 4, 4: 20}  # by the width of a float


@dataclass(frozen=True, slots=True)
class Context:
    """See the module."""

    def shrunk(self, raw: memoryview, segment: Segment) -> bytes | None:
        frame = (_shrunk_floats if segment.width in FLOAT_WIDTHS else _shrunk_codes)(raw, segment)
        return frame if frame is not None and len(frame) < segment.num_bytes else None

    def restored(self, frame: memoryview, segment: Segment) -> bytes:
        return (_restored_floats if segment.width in FLOAT_WIDTHS else _restored_codes)(frame, segment)


def _check_end(coder: NDArray[np.int64], frame: memoryview) -> None:
    if not kernels.is_at_end(coder, len(frame)):
        raise CodecError("a frame of the lossless stage does not end where its segment does: it is damaged")


def _room(frame: memoryview, grid: Grid) -> Codes:
    """Return room for a code of each element. Raises `CodecError` before it allocates more than `frame` can
    tell of."""
    count = math.prod(grid)
    if count > kernels.decisions_at_most(len(frame)):
        raise CodecError(f"a frame of {len(frame)} bytes cannot hold {count} items: it is damaged")
    return np.zeros(count, np.uint8)


def _grid(segment: Segment) -> Grid:
    """Return the segment's items as samples × channels × height × width."""
    if segment.width not in {1, *FLOAT_WIDTHS}:
        return 1, segment.width, 1, segment.num_items  # planes
    shape = segment.shape
    if shape is None or len(shape) < 2:
        return 1, 1, 1, segment.num_items
    height = math.prod(shape[2:-1])
    return shape[0], shape[1], height, shape[-1] if len(shape) > 2 else 1


# Codes.


def _shrunk_codes(raw: memoryview, segment: Segment) -> bytes | None:
    codes = _codes(raw, segment)
    if codes is None:
        return None
    coder, stream = kernels.encoder(segment.num_bytes)
    kernels.code_grid(codes, _grid(segment), segment.bits or 8, coder, stream, decoding=False)
    return kernels.encoded(coder, stream)


def _restored_codes(frame: memoryview, segment: Segment) -> bytes:
    grid = _grid(segment)
    codes = _room(frame, grid)
    coder, stream = kernels.decoder(frame)
    kernels.code_grid(codes, grid, segment.bits or 8, coder, stream, decoding=True)
    _check_end(coder, frame)
    return _packed(codes, segment)


def _codes(raw: memoryview, segment: Segment) -> Codes | None:
    """Return the items, one a byte; None where bits of no code are set, which no frame could tell."""
    packed = np.frombuffer(raw, np.uint8)
    if not segment.bits:
        return packed.reshape(-1, segment.width).T.flatten()
    rows = packed.reshape(segment.parts, -1)
    size = math.prod(_grid(segment)) // segment.parts
    if (rows[:, -1] & (1 << -size * segment.bits % 8) - 1).any():
        return None
    return np.concatenate([kernels.unpack_codes(row, size, segment.bits) for row in rows])


def _packed(codes: Codes, segment: Segment) -> bytes:
    """Return what `_codes` was given."""
    if not segment.bits:
        return codes.reshape(segment.width, -1).T.tobytes()
    size = codes.size // segment.parts
    room = np.zeros(-(-size // 8) * 8, np.uint8)
    packed = []
    for part in codes.reshape(segment.parts, size):
        room[:size] = part
        packed.append(kernels.pack_codes(room, size, segment.bits).tobytes())
    return b"".join(packed)


# Floats.


def _shrunk_floats(raw: memoryview, segment: Segment) -> bytes | None:
    words = np.frombuffer(raw, f"<u{segment.width}").astype(np.uint32)
    lowest = int(np.bitwise_or.reduce(words)) | 1 << MOST_SPARE[segment.width]
    spare = (lowest & -lowest).bit_length() - 1
    coder, stream = kernels.encoder(segment.num_bytes)
    is_marked = not words.all()
    if is_marked:
        marks = (words != 0).view(np.uint8)
        kernels.code_grid(marks, _grid(segment), 1, coder, stream, decoding=False)
        words = words[words != 0]
    kernels.code_floats(words, 8 * segment.width, spare, coder, stream, decoding=False)
    frame = kernels.encoded(coder, stream)
    return frame and bytes([spare | MARKED * is_marked]) + frame


def _restored_floats(frame: memoryview, segment: Segment) -> bytes:
    is_marked, spare = divmod(frame[0], MARKED)
    if spare > MOST_SPARE[segment.width] or is_marked > 1 or len(frame) < 2:
        raise CodecError("a frame of floats does not begin as one: it is damaged")
    grid = _grid(segment)
    marks = _room(frame[1:], grid)
    coder, stream = kernels.decoder(frame[1:])
    if is_marked:
        kernels.code_grid(marks, grid, 1, coder, stream, decoding=True)
    else:
        marks[:] = 1
    words = np.zeros(np.count_nonzero(marks), np.uint32)
    kernels.code_floats(words, 8 * segment.width, spare, coder, stream, decoding=True)
    _check_end(coder, frame[1:])
    restored = np.zeros(marks.size, f"<u{segment.width}")
    restored[marks.view(bool)] = words
    return restored.tobytes()
