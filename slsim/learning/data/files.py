"""Data sets in numpy files: the one that ships with slsim, and a user's own."""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from pydantic import Field

from slsim.errors import DataError
from slsim.learning.data import arrays
from slsim.learning.data.arrays import Array, Channels
from slsim.learning.data.base import Dataset, DataSource


class FashionMini(DataSource):
    """6,000 training and 1,000 test images of Fashion-MNIST, 28×28 grey, 10 classes; ships with slsim."""

    def load(self) -> Dataset:
        with resources.as_file(resources.files("slsim.learning") / "fashion_mini.npz") as path:
            return read_npz(path)


class Npz(DataSource):
    """Images and labels from a numpy file: x_train, y_train, x_test, y_test, or as docs/data.md says."""

    path: Path = Field(description="The .npz file, beside the scenario or in the working directory.")
    channels: Channels | None = Field(
        None, description="Which axis of an image holds its channels. Left out, its shape says it."
    )

    def load(self) -> Dataset:
        return read_npz(self.path, self.channels)


SPLITS = {
    **dict.fromkeys(("train", "training", "trainset", "tr"), "train"),
    **dict.fromkeys(("test", "testing", "testset", "te"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "valset"), "val"),
}
CONTENTS = {
    **dict.fromkeys(("x", "image", "images", "img", "imgs", "data", "input", "inputs"), "x"),
    **dict.fromkeys(("y", "label", "labels", "target", "targets"), "y"),
}
NAMES = {  # an array's name in lower case, letters alone: its split and its content
    name: (split, content)
    for split_name, split in SPLITS.items()
    for content_name, content in CONTENTS.items()
    for name in (split_name + content_name, content_name + split_name)
}
GROUPS = re.compile(r"train_(?P<first>\w+)|(?P<last>\w+)_train", re.IGNORECASE)  # writer_train
NEEDED = "x_train, y_train, x_test and y_test, or names as in docs/data.md"
SHOWN_ARRAYS = 12


def read_npz(path: Path, channels: Channels | None = None) -> Dataset:
    """Read the arrays of an .npz file (see `Npz`); nothing in it is unpickled. Raises `DataError`."""
    try:
        with path.open("rb") as file:
            if file.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX:
                raise ValueError("it is a single array (.npy); numpy.savez writes several, by name")
            with zipfile.ZipFile(file) as archive:
                return _dataset(archive, channels)
    except FileNotFoundError:
        raise DataError(f"there is no data file {path}") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except MemoryError:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise anything on a damaged file
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"{path} is not a readable .npz file: {reason}") from error


def _dataset(archive: zipfile.ZipFile, channels: Channels | None) -> Dataset:
    headers = {name: _header(archive, f"{name}.npy") for name in _names(archive)}
    names = _named(headers)
    splits = {split for split, _ in names}
    test = "val" if "val" in splits and "test" not in splits else "test"
    wanted = {(split, content): f"{content}_{split}" for content in "xy" for split in ("train", test)}
    if missing := [name for part, name in wanted.items() if part not in names]:
        listed = [f"{name} {dtype} {list(shape)}" for name, (shape, dtype) in headers.items()]
        more = f" and {len(listed) - SHOWN_ARRAYS} more" if len(listed) > SHOWN_ARRAYS else ""
        raise DataError(
            f"lacks {', '.join(missing)}; found {', '.join(listed[:SHOWN_ARRAYS]) or 'no arrays'}{more}; "
            f"needed are {NEEDED}"
        )

    def read(*parts: tuple[str, str]) -> dict[str, Array]:
        return {names[part]: _array(archive, names[part], *headers[names[part]]) for part in parts}

    x_train, x_test = arrays.read_images(read(("train", "x"), (test, "x")), channels)
    labels = read(("train", "y"), (test, "y"))
    y_train, y_test = arrays.read_labels(labels, [len(x_train), len(x_test)])
    groups = {
        by: _array(archive, name, *headers[name]).reshape(-1)
        for (split, by), name in names.items()
        if split == "group" and _one_a_sample(*headers[name], len(x_train))
    }
    return Dataset(x_train, y_train, x_test, y_test, groups)


def _one_a_sample(shape: tuple[int, ...], dtype: np.dtype[Any], count: int) -> bool:
    return dtype.kind in arrays.GROUPING and shape in {(count,), (count, 1)}


def _names(archive: zipfile.ZipFile) -> list[str]:
    return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def _header(archive: zipfile.ZipFile, member: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array, of which nothing else is read."""
    with archive.open(member) as file:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file)
        return shape, dtype


def _array(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    member = f"{name}.npy"
    if dtype.hasobject:
        raise DataError(f"{name} holds Python objects, which are not unpickled; save it as numbers or text")
    held, due = archive.getinfo(member).file_size, math.prod(shape) * dtype.itemsize
    if held < due:
        raise DataError(
            f"{name} is cut off: {dtype} {list(shape)} takes {due:,} bytes, the file has {held:,}"
        )
    with archive.open(member) as file:
        array: Array = npy.read_array(file, allow_pickle=False)
        file.read(1)  # at the end the checksum is compared
    return array


def _named(found: Mapping[str, object]) -> dict[tuple[str, str], str]:
    """The arrays by what they are: (split, "x" or "y"), and ("group", by) of those such as `writer_train`.
    Raises `DataError` where two are the same."""
    names: dict[tuple[str, str], str] = {}
    for name in found:
        part = NAMES.get(re.sub(r"[\W_]", "", name.lower()))
        if part is None and (match := GROUPS.fullmatch(name)):
            part = ("group", match["first"] or match["last"])
        if part is not None and names.setdefault(part, name) != name:
            raise DataError(f"{names[part]} and {name} are two arrays of one meaning; leave one of them out")
    return names
