"""What a codec's methods must give, checked each time: bytes, sizes and values of a third party's codec may
be anything. Every error names the codec and the method."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from slsim.boundary import shown
from slsim.codecs.payload import MAX_HEADER_BYTES
from slsim.codecs.sizes import Shape
from slsim.codecs.symbols import Symbols
from slsim.errors import CodecError
from slsim.registry import Component, full_name


def broken(codec: Component, method: str, what: str) -> CodecError:
    """The error that a codec's method gave what it must not."""
    return CodecError(f"{full_name(type(codec))}, in {method}: {what}")


def size(codec: Component, method: str, given: object, most: float = math.inf) -> int:
    """A number of bytes that a method gave. Raises `CodecError` unless it is a whole one, 0 to `most`."""
    if not isinstance(given, (int, np.integer)) or isinstance(given, bool) or not 0 <= given <= most:
        due = "0 or more" if most == math.inf else f"0 to {most} (the header has {MAX_HEADER_BYTES})"
        raise broken(codec, method, f"gave {shown(given)}; a whole number of bytes is due, {due}")
    return int(given)


def content(codec: Component, given: object, nominal: int, most_extra: int) -> bytes | memoryview:
    """What `encode_values` gave. Raises `CodecError` unless it is bytes, as many as the codec's sizes say."""
    if isinstance(given, bytearray):
        given = bytes(given)
    single = isinstance(given, memoryview) and given.itemsize == 1 and given.ndim == 1 and given.contiguous
    if not isinstance(given, bytes) and not (isinstance(given, memoryview) and single):
        raise broken(codec, "encode_values", f"gave {shown(given)}; bytes are due")
    if not nominal <= len(given) <= nominal + most_extra:
        allowed = f"{nominal}" if not most_extra else f"{nominal} to {nominal + most_extra}"
        what = f"gave {len(given)} bytes; side_bytes, body_bytes and extra_bytes say {allowed}"
        raise broken(codec, "encode_values", what)
    return given


def values(codec: Component, given: object, shape: Shape) -> NDArray[np.float32]:
    """What `decode_values` gave. Raises `CodecError` unless it is a flat float32 array of `shape`'s size."""
    count = math.prod(shape)
    if not isinstance(given, np.ndarray):
        raise broken(codec, "decode_values", f"gave {shown(given)}; a flat float32 array is due")
    if given.dtype != np.float32 or given.shape != (count,):
        what = f"gave {given.dtype} of shape {given.shape}; float32 of shape ({count},) is due"
        raise broken(codec, "decode_values", what)
    return np.asarray(given)


def symbols(codec: Component, given: object, shape: Shape) -> Symbols:
    """What `level_symbols` gave. Raises `CodecError` unless it has a level for each element."""
    if not isinstance(given, Symbols):
        raise broken(codec, "level_symbols", f"gave {shown(given)}; Symbols are due")
    if given.levels.dtype != np.uint8 or given.levels.shape != (math.prod(shape),):
        what = f"gave levels {given.levels.dtype} of shape {given.levels.shape}"
        raise broken(codec, "level_symbols", f"{what}; uint8 of shape ({math.prod(shape)},) is due")
    return given
