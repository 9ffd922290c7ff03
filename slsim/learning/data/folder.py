"""Folders of images, a folder a class: a user's own, and ImageNet in the same layout."""

from __future__ import annotations

import os
from abc import ABC
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from slsim.errors import DataError
from slsim.learning.data import decoding
from slsim.learning.data.base import Dataset, DataSource

TESTS = ("val", "test")  # the first of these that exists holds the test images
IMAGES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # as torchvision has it
IN_MEMORY_BYTES = 4_000_000_000  # of decoded images; more are kept in a file and mapped into memory


class ImageTree(DataSource, ABC):
    """A folder of images, read by `read_folder`. A subclass is final: it says what must be in there."""

    layout: ClassVar[str]

    root: Path = Field(
        description="The folder of the images, beside the scenario or in the working directory."
    )
    size: int = Field(224, strict=True, ge=1, le=4096, description="The height and width of every image.")
    cache: Path | None = Field(
        None,
        description="The folder for decoded images. Left out, they are in memory, or above 4 GB in `root`.",
    )

    def reads(self) -> list[Path]:
        return _splits(self.root)

    def check_there(self) -> None:
        if not self.root.is_dir():
            raise DataError(f"there is no folder {self.root}; {self.layout}")
        for split in _splits(self.root):
            if not split.is_dir():
                raise DataError(f"there is no folder {split}; {self.layout}")

    def outline(self) -> Dataset | None:
        """Counted by names alone; as published, where it is known and the folder is not there."""
        try:
            self.check_there()
        except DataError:
            return self.published()
        training, testing = (_counted(split) for split in _splits(self.root))
        return Dataset.outline((3, self.size, self.size), len(training), training, testing)

    def published(self) -> Dataset | None:
        """The sizes of a well-known data set."""
        return None

    def load(self) -> Dataset:
        return read_folder(self.root, self.size, self.cache, self.layout)


class Folder(ImageTree):
    """Images in root/train/<class>/ and root/val/<class>/ (or test), resized and centre-cropped once."""

    layout = "images belong in train/<class>/ and in val/<class>/ or test/<class>/ below it"


class ImageNet(ImageTree):
    """ImageNet: root/train/n01440764/ … and root/val/n01440764/ …, resized and centre-cropped once."""

    layout = (
        "ImageNet's (ILSVRC2012) belong in train/n01440764/ … and val/n01440764/ … below it; its archives "
        "are at https://image-net.org/download.php, for an account, and torchvision.datasets.ImageNet(root, "
        "split) unpacks those lying in the folder that way, for split 'train' and 'val'"
    )

    def published(self) -> Dataset:
        return Dataset.outline((3, self.size, self.size), 1000, 1_281_167, 50_000)


def read_folder(root: Path, size: int, cache: Path | None, layout: str) -> Dataset:
    """The images below `root` as uint8 [n, 3, size, size]: `train` and, to test with, `val` or else `test`.
    A class is a folder; labels number the sorted class names (the conventions of
    `torchvision.datasets.ImageFolder`); hidden files and folders are left out. Up to 4 GB are held in
    memory; more, or any where a `cache` folder is given, are mapped from a file there (or in `root`), which
    is used again until an image file changes. Raises `DataError`: with what `layout` says where folders are
    not as they must be."""
    if not root.is_dir():
        raise DataError(f"there is no folder {root}; {layout}")
    splits = _splits(root)
    classes = [_classes(split, layout) for split in splits]
    if classes[0] != classes[1]:
        raise DataError(f"{splits[0]} and {splits[1]} {_difference(*classes)}; {layout}")
    listed = [_listed(split, classes[0], layout) for split in splits]
    images = sum(len(files) for files, _ in listed)
    if cache is None and images * decoding.image_bytes(size) > IN_MEMORY_BYTES:
        cache = root
    (x_train, y_train), (x_test, y_test) = (
        (decoding.load(split, files, size, cache), labels)
        for split, (files, labels) in zip(splits, listed, strict=True)
    )
    return Dataset(x_train, y_train, x_test, y_test)


def _splits(root: Path) -> list[Path]:
    """The folder of the training images and that of the test images."""
    test = next((root / name for name in TESTS if (root / name).is_dir()), root / TESTS[0])
    return [root / "train", test]


def _classes(split: Path, layout: str) -> list[str]:
    from torchvision.datasets.folder import find_classes

    if not split.is_dir():
        raise DataError(f"there is no folder {split}; {layout}")
    try:
        return [name for name in find_classes(split)[0] if not name.startswith(".")]
    except FileNotFoundError:
        raise DataError(f"{split} has no folders of classes; {layout}") from None


def _counted(split: Path) -> list[int]:
    """How many images each class has, by the names of the files below its folder."""
    classes = sorted(one for one in split.iterdir() if one.is_dir() and not one.name.startswith("."))
    return [
        sum(
            file.lower().endswith(IMAGES) and not file.startswith(".")
            for _, _, files in os.walk(one)
            for file in files
        )
        for one in classes
    ]


def _difference(ours: list[str], theirs: list[str]) -> str:
    """What tells two lists of class names apart, up to three names of it."""
    apart = sorted(set(ours) ^ set(theirs))
    named = ", ".join(apart[:3]) + (" …" if len(apart) > 3 else "")
    return f"differ in {len(apart)} of their class folders ({named})"


def _listed(split: Path, classes: list[str], layout: str) -> tuple[list[Path], NDArray[np.int64]]:
    """A split's image files, sorted, and their labels."""
    from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset

    numbers = {name: number for number, name in enumerate(classes)}
    try:
        found = make_dataset(split, numbers, IMG_EXTENSIONS)
    except FileNotFoundError as error:
        raise DataError(f"{split}: {error}; {layout}") from None
    files = [(Path(name), label) for name, label in found]
    shown = [(path, label) for path, label in files if not path.name.startswith(".")]
    return [path for path, _ in shown], np.asarray([label for _, label in shown], np.int64)
