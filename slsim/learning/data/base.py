"""What a data set is, and the registry of what provides one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slsim.registry import Component, Registry

CHUNK_BYTES = 1 << 22  # of images that are looked at together for the statistics


@dataclass(frozen=True)
class Dataset:
    """Images uint8 [n, channels, height, width] and labels int64 [n], for training and for testing.

    Images may be a read-only `numpy.memmap`: take batches of them, and never copy all at once.
    """

    x_train: NDArray[np.uint8]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.uint8]
    y_test: NDArray[np.int64]

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

    def channel_statistics(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and standard deviation of each channel over the training images, in 0 … 1: float32
        [channels]. From exact integer sums, a few images at a time, so that nothing large is copied."""
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
        return np.asarray(mean, np.float32), np.maximum(np.asarray(deviation, np.float32), np.float32(1e-6))


class DataSource(Component, ABC):
    """Provides a data set. A subclass is final; its fields are what a scenario's [data] may set."""

    @abstractmethod
    def load(self) -> Dataset:
        """The data set. Raises `DataError` that says what is missing or wrong and where it belongs."""


registry: Registry[DataSource] = Registry("data", DataSource)  # type: ignore[type-abstract]  # only a bound
register = registry.register
