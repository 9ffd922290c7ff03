"""What a data set is, and the registry of what provides one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from slsim.errors import DataError
from slsim.learning.data.arrays import Array
from slsim.registry import Component, Registry

Shape = tuple[int, int, int]
Sizes = int | Sequence[int]

CHUNK_BYTES = 1 << 22  # of images that are looked at together for the statistics


@dataclass(frozen=True)
class Dataset:
    """Images uint8 [n, channels, height, width] and labels int64 [n], for training and for testing; classes
    are numbered from 0, and those of either split count.

    Images may be a read-only `numpy.memmap`: take batches of them, and never copy all at once. `groups` says
    for each training sample whose it is, numbers or text [n] by the name of the grouping, such as "writer":
    `partition = { by = "writer" }` keeps together what belongs together.

    Example:
        >>> images, labels = np.zeros((60, 1, 8, 8), np.uint8), np.arange(60) % 3
        >>> data = Dataset(images[:40], labels[:40], images[40:], labels[40:])
        >>> data.image_shape, data.num_classes
        ((1, 8, 8), 3)
    """

    x_train: NDArray[np.uint8]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.uint8]
    y_test: NDArray[np.int64]
    groups: Mapping[str, Array] = field(default_factory=dict)

    @classmethod
    def outline(cls, image_shape: Shape, classes: int, training: Sizes, testing: Sizes) -> Dataset:
        """A data set of these sizes, whose images are black and take no memory. `training` and `testing` are
        how many images there are, of each class where that is known, else of all."""
        y_train, y_test = (_labels_of(sizes, classes) for sizes in (training, testing))
        x_train, x_test = (
            np.broadcast_to(np.uint8(0), (labels.size, *image_shape)) for labels in (y_train, y_test)
        )
        return cls(x_train, y_train, x_test, y_test)

    @property
    def num_classes(self) -> int:
        return int(max(self.y_train.max(), self.y_test.max())) + 1

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)"""
        _, channels, height, width = self.x_train.shape
        return channels, height, width

    @property
    def chance(self) -> float:
        """The test accuracy of a constant guess: the share of the commonest class, at least 1 / classes."""
        commonest = int(np.bincount(self.y_test).max()) / self.y_test.size
        return max(commonest, 1 / self.num_classes)

    def group(self, name: str) -> NDArray[np.int64]:
        """Of each training sample its group's number, from 0 in sorted order. Raises `DataError`."""
        if name not in self.groups:
            listed = ", ".join(self.groups) or "none"
            raise DataError(
                f'the data does not say which "{name}" a sample is of; groupings that it has: {listed} '
                f"(an .npz file says it by an array {name}_train, a value for each training image)"
            )
        return np.unique(self.groups[name], return_inverse=True)[1].astype(np.int64)

    def channel_statistics(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and standard deviation of each channel over the training images, in 0 … 1: float32
        [channels]; the deviation of a channel of one value is 0. From exact integer sums, a few images at a
        time, so that nothing large is copied."""
        count, channels, height, width = self.x_train.shape
        sums, squares = [0] * channels, [0] * channels
        at_once = max(1, CHUNK_BYTES // (channels * height * width))
        for start in range(0, count, at_once):
            chunk = self.x_train[start : start + at_once]
            for channel in range(channels):
                values = np.asarray(chunk[:, channel])
                sums[channel] += int(values.sum(dtype=np.uint64))
                # 255² fits uint16
                squares[channel] += int(np.square(values, dtype=np.uint16).sum(dtype=np.uint64))
        pixels = count * height * width
        mean = [total / pixels / 255 for total in sums]
        deviation = [
            (pixels * square - total * total) ** 0.5 / pixels / 255
            for total, square in zip(sums, squares, strict=True)
        ]
        return np.asarray(mean, np.float32), np.asarray(deviation, np.float32)


def _labels_of(sizes: Sizes, classes: int) -> NDArray[np.int64]:
    if isinstance(sizes, int):
        return np.arange(sizes, dtype=np.int64) % classes
    return np.repeat(np.arange(len(sizes), dtype=np.int64), sizes)


class DataSource(Component, ABC):
    """Provides a data set. A subclass is final; its fields are what a scenario's [data] may set.

    Example:
        >>> from slsim.learning.data import registry
        >>> registry.create("fashion-mini").load().x_train.shape
        (6000, 1, 28, 28)
    """

    @abstractmethod
    def load(self) -> Dataset:
        """The data set, the same one each time. Raises `DataError` that says what is missing or wrong and
        where it belongs."""

    def check_there(self) -> None:
        """Raise `DataError` where the files are missing, as `load` does, without reading them."""

    def outline(self) -> Dataset | None:
        """The data set's sizes (`Dataset.outline`), found without reading images, so that a study can be
        planned before they are there; None where `load` has to be asked."""
        return None


registry: Registry[DataSource] = Registry("data", DataSource)  # type: ignore[type-abstract]  # only a bound
register = registry.register
