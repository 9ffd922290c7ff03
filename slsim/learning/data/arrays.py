"""Arrays as people save them, made images uint8 [n, channels, height, width] and labels int64 [n].

A form is read where it has only one reading, and without loss; otherwise a `DataError` names the array and
says what was found. Arrays are given by the names that their user knows them by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from slsim.errors import DataError

Array = NDArray[Any]
Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Channels = Literal["first", "last"]

FEW = 4  # channels: grey or colour, each with or without transparency
NUMBERS, TEXT = "biuf", "SU"  # kinds of dtype
GROUPING = NUMBERS + TEXT
PART_BYTES = 1 << 24  # of pixels that are converted together


def described(array: Array) -> str:
    """The array's type and shape, such as "uint8 [40, 28, 28]"."""
    return f"{array.dtype} {list(array.shape)}"


def read_images(found: Mapping[str, Array], channels: Channels | None = None) -> list[Images]:
    """The images of each array, [n, h, w], [n, h, w, c] or [n, c, h, w], as uint8 [n, c, h, w]. `channels`
    says which axis holds the channels, where the shape alone does not. Raises `DataError`."""
    for name, array in found.items():
        if array.dtype.kind not in NUMBERS or array.ndim not in (3, 4) or not array.size:
            raise DataError(
                f"{name} must hold images, [n, h, w], [n, h, w, c] or [n, c, h, w], it is {described(array)}"
            )
    shapes = {name: list(array.shape[1:]) for name, array in found.items()}
    (first, shape), *others = shapes.items()
    for name, other in others:
        if other != shape:
            raise DataError(f"images must be of one shape, those of {first} are {shape}, of {name} {other}")
    axis = _channels(first, shape, channels) if len(shape) == 3 else None
    return [channels_first(array, axis) for array in _bytes(found)]


def channels_first(images: Images, channels: Channels | None = None) -> Images:
    """[n, h, w], or with `channels` "first" or "last", as [n, c, h, w], in memory in that order."""
    if channels is None:
        return np.ascontiguousarray(images[:, None])
    return np.ascontiguousarray(np.moveaxis(images, 3, 1) if channels == "last" else images)


def _channels(name: str, shape: Sequence[int], given: Channels | None) -> Channels:
    """Which axis holds the channels: the only one of few, or else the one beside square images."""
    if given is not None:
        return given
    a, b, c = shape
    readings: dict[Channels, tuple[int, int, int]] = {"first": (a, b, c), "last": (c, a, b)}
    few = [axis for axis, (count, _, _) in readings.items() if count <= FEW]
    square = [axis for axis, (_, height, width) in readings.items() if height == width]
    likely = few or square
    if len(likely) == 1:
        return likely[0]
    raise DataError(
        f"{name}, [n, {a}, {b}, {c}], may be {a} channels of {b}×{c} or {c} channels of {a}×{b}; say which: "
        'channels = "first" or channels = "last"'
    )


def _bytes(found: Mapping[str, Array]) -> list[Images]:
    """The same pixels as uint8: all whole numbers from 0 to 255, or all 255ths from 0 to 1."""
    if all(array.dtype == np.uint8 for array in found.values()):
        return list(found.values())
    for scale in (1, 255):
        if all(_fits(part, scale) for array in found.values() for part in _parts(array)):
            return [_scaled(array, scale) for array in found.values()]
    listed = ", ".join(f"{name} {described(array)} {_range(array)}" for name, array in found.items())
    raise DataError(
        "images must have 8 bits, whole numbers from 0 to 255 or 255ths from 0 to 1, "
        f"found {listed}; to round values from a to b, save "
        '((x - a) / (b - a) * 255).round().astype("uint8")'
    )


def _parts(array: Array) -> Iterator[Array]:
    yield from np.array_split(array, min(len(array), 1 + array.nbytes // PART_BYTES))


def _fits(part: Array, scale: int) -> bool:
    """Whether `part` times `scale` is whole numbers from 0 to 255, up to its own rounding."""
    if part.dtype.kind != "f":
        return scale == 1 and bool(part.min() >= 0 and part.max() <= 255)
    values = part.astype(np.float64) * scale
    tolerance = 0.0 if scale == 1 else scale * float(np.finfo(part.dtype).eps)
    inside = (values >= 0) & (values <= 255 + tolerance)  # False where it is no number
    return bool(inside.all()) and bool((np.abs(values - np.rint(values)) <= tolerance).all())


def _scaled(array: Array, scale: int) -> Images:
    images = np.empty(array.shape, np.uint8)
    start = 0
    for part in _parts(array):
        images[start : start + len(part)] = np.rint(part.astype(np.float64) * scale)
        start += len(part)
    return images


def _range(array: Array) -> str:
    low, high = float(array.min()), float(array.max())
    return f"from {low:.6g} to {high:.6g}" if np.isfinite([low, high]).all() else "with NaN or infinity"


def read_labels(found: Mapping[str, Array], counts: Sequence[int]) -> list[Labels]:
    """The label of each of `counts` samples an array: whole numbers of any type, one a sample or one-hot, or
    text, whose sorted values are numbered from 0 over all arrays. Raises `DataError`."""
    flat = {
        name: _one_each(name, array, count)
        for (name, array), count in zip(found.items(), counts, strict=True)
    }
    text = [array.dtype.kind in TEXT for array in flat.values()]
    if any(text) and not all(text):
        listed = ", ".join(f"{name} {described(array)}" for name, array in flat.items())
        raise DataError(f"labels must all be numbers or all be text, found {listed}")
    if all(text):
        _, numbers = np.unique(np.concatenate(list(flat.values())), return_inverse=True)
        return np.split(numbers.astype(np.int64), np.cumsum(counts)[:-1])
    return [whole_numbers(name, array) for name, array in flat.items()]


def _one_each(name: str, array: Array, count: int) -> Array:
    """Of [n], [n, 1] or one-hot [n, classes], one value a sample, [n]."""
    if array.shape[:1] == (count,) and array.size == count:
        return array.reshape(count)
    if array.shape[:1] != (count,) or array.ndim != 2 or array.dtype.kind not in NUMBERS:
        raise DataError(f"{name} must hold one label for each of {count} images, it is {described(array)}")
    ones = array == 1
    wrong = np.flatnonzero(((array != 0) & ~ones).any(axis=1) | (ones.sum(axis=1) != 1))
    if wrong.size:
        raise DataError(
            f"{name}, {described(array)}, is not one label a sample, and not one-hot in row {wrong[0]}"
        )
    labels: Labels = ones.argmax(axis=1)
    return labels


def whole_numbers(name: str, array: Array) -> Labels:
    """The values of `array` [n] as int64, each from 0 to 2⁶³ - 1, of floating point to 2⁵³ - 1. Raises
    `DataError` naming one that is not."""
    if array.dtype.kind not in NUMBERS:
        raise DataError(f"{name} must hold whole numbers, it is {described(array)}")
    floating = array.dtype.kind == "f"
    values, most = (array.astype(np.float64), 2**53 - 1) if floating else (array, 2**63 - 1)
    right = (values >= 0) & (values <= most)
    if floating:
        right &= np.rint(values) == values
    if not right.all():
        position = int(np.argmin(right))
        raise DataError(
            f"{name}[{position}] is {array[position]}; a label is a whole number from 0 to {most}"
        )
    return array.astype(np.int64)
