"""Data sets in numpy files: the one that ships with slsim, and a user's own."""

from __future__ import annotations

import zipfile
import zlib
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from slsim.errors import DataError
from slsim.learning.data.base import Dataset, DataSource, register


@register("fashion-mini")
class FashionMini(DataSource):
    """6,000 training and 1,000 test images of Fashion-MNIST, 28×28 grey, 10 classes; ships with slsim."""

    def load(self) -> Dataset:
        with resources.as_file(resources.files("slsim.learning") / "fashion_mini.npz") as path:
            return read_npz(path)


@register("npz")
class Npz(DataSource):
    """Images from a numpy file: x_train, x_test uint8 [n, h, w] or [n, h, w, c]; y_train, y_test [n]."""

    path: Path = Field(description="the .npz file, relative to the working directory")

    def load(self) -> Dataset:
        return read_npz(self.path)


def read_npz(path: Path) -> Dataset:
    """Reads and checks the arrays of an .npz file (see `Npz`); nothing in it is unpickled."""
    arrays = _arrays(path)
    for split in ("train", "test"):
        images, labels = arrays[f"x_{split}"], arrays[f"y_{split}"]
        if images.dtype != np.uint8 or images.ndim not in (3, 4) or not images.size:
            found = f"{images.dtype} {list(images.shape)}"
            raise DataError(f"{path}: x_{split} must be uint8 [n, h, w] or [n, h, w, c], it is {found}")
        if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
            raise DataError(
                f"{path}: y_{split} must hold one integer label for each of the images of x_{split}"
            )
        if labels.min() < 0:
            raise DataError(f"{path}: y_{split} holds a negative label, {labels.min()}")
    if arrays["x_train"].shape[1:] != arrays["x_test"].shape[1:]:
        raise DataError(f"{path}: images for training and for testing must be of one shape")
    return Dataset(
        channels_first(arrays["x_train"]),
        arrays["y_train"].astype(np.int64),
        channels_first(arrays["x_test"]),
        arrays["y_test"].astype(np.int64),
    )


ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in ARRAYS}
    except FileNotFoundError:
        raise DataError(f"there is no data file {path}") from None
    except KeyError as error:
        raise DataError(f"{path} lacks an array: {error.args[0]}") from None
    except (
        OSError,
        ValueError,
        TypeError,
        EOFError,
        NotImplementedError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise DataError(f"{path} is not a readable .npz file: {error}") from None


def channels_first(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[n, h, w] or [n, h, w, c] as [n, c, h, w], in memory in that order."""
    with_channels = images[..., None] if images.ndim == 3 else images
    return np.ascontiguousarray(np.moveaxis(with_channels, 3, 1))
