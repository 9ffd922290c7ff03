"""Well-known data sets as torchvision reads and downloads them."""

from __future__ import annotations

import math
import warnings
from abc import ABC
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from slsim.errors import DataError
from slsim.learning.data.arrays import channels_first
from slsim.learning.data.base import Dataset, DataSource

FASHION_FILES = tuple(
    f"{split}-{content}-ubyte" for split in ("train", "t10k") for content in ("images-idx3", "labels-idx1")
)
CIFAR10_FILES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")
CIFAR100_FILES = ("train", "test", "meta")

Split = tuple[NDArray[np.uint8], NDArray[np.int64]]


class Collection(DataSource, ABC):
    """A data set of torchvision's. A subclass is final: it names torchvision's class, the files that belong
    to the data set, the folder below `root` for them, and the official address to get them from."""

    source: ClassVar[str]
    folder: ClassVar[str]
    files: ClassVar[tuple[str, ...]]
    address: ClassVar[str]

    image_shape: ClassVar[tuple[int, int, int]]
    classes: ClassVar[int] = 10
    training: ClassVar[int]  # images, and to test with:
    testing: ClassVar[int] = 10_000

    root: Path = Field(
        Path("data"),
        description="The folder of the data set, beside the scenario or in the working directory.",
    )
    download: bool = Field(
        False, strict=True, description="Whether to fetch it into `root` where it is missing."
    )

    def check_there(self) -> None:
        if not self.download and (missing := self._missing()):
            raise DataError(
                f"{self.root / self.folder} lacks {', '.join(missing)}; set download = true, or unpack there "
                f"what is at {self.address}"
            )

    def outline(self) -> Dataset:
        return Dataset.outline(self.image_shape, self.classes, self.training, self.testing)

    def load(self) -> Dataset:
        self.check_there()
        return Dataset(*self._split(train=True), *self._split(train=False))

    def check(self, path: Path) -> None:
        """Raises `ValueError` for what is wrong with the file, where torchvision's reader does not say it."""

    def reads(self) -> list[Path]:
        return [self.root / self.folder / name for name in self.files]

    def _missing(self) -> list[str]:
        return [path.name for path in self.reads() if not path.is_file()]

    def _split(self, *, train: bool) -> Split:
        """Images and labels for training or testing. Raises `DataError`."""
        from torchvision import datasets

        try:
            for path in filter(Path.is_file, self.reads()):
                self.check(path)
            with warnings.catch_warnings():
                # NumPy 2.4.0 to 2.4.4 warn of the old pickles in CIFAR's batches, and read them rightly.
                warnings.filterwarnings("ignore", r"dtype\(\): align should be passed")
                # It has `data`, uint8 [n, h, w] or [n, h, w, c] of numpy or torch, and n `targets`, integers.
                found = getattr(datasets, self.source)(str(self.root), train=train, download=self.download)
        except Exception as error:  # whatever its reader raises on damaged files, and urllib offline
            failed = "cannot be downloaded" if self._missing() else "is damaged"
            raise DataError(
                f"{self.root / self.folder} {failed} ({error}); its files, {', '.join(self.files)}, "
                f"are at {self.address}"
            ) from error
        images = np.asarray(found.data)
        return channels_first(images, "last" if images.ndim == 4 else None), np.asarray(
            found.targets, np.int64
        )


class FashionMnist(Collection):
    """60,000 training and 10,000 test images of Fashion-MNIST, 28×28 grey, 10 classes."""

    source = "FashionMNIST"
    image_shape = (1, 28, 28)
    training = 60_000
    folder = "FashionMNIST/raw"
    files = FASHION_FILES
    address = "https://github.com/zalandoresearch/fashion-mnist"

    def check(self, path: Path) -> None:
        """An IDX file is 0, 0, 8 (for bytes), the number of axes, their lengths in 4 bytes each, bytes."""
        content, axes = path.read_bytes(), 3 if "images" in path.name else 1
        start = 4 + 4 * axes
        if content[:4] != bytes([0, 0, 8, axes]) or len(content) < start:
            raise ValueError(f"{path.name} is no IDX file of bytes with {axes} axes")
        due = start + math.prod(np.frombuffer(content[4:start], ">u4").tolist())
        if len(content) != due:
            raise ValueError(f"{path.name} must be {due:,} bytes long by its header, it is {len(content):,}")


class Cifar10(Collection):
    """50,000 training and 10,000 test images of CIFAR-10, 32×32 in colour, 10 classes."""

    source = "CIFAR10"
    image_shape = (3, 32, 32)
    training = 50_000
    folder = "cifar-10-batches-py"
    files = CIFAR10_FILES
    address = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"


class Cifar100(Collection):
    """50,000 training and 10,000 test images of CIFAR-100, 32×32 in colour, 100 classes."""

    source = "CIFAR100"
    image_shape = (3, 32, 32)
    classes = 100
    training = 50_000
    folder = "cifar-100-python"
    files = CIFAR100_FILES
    address = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
