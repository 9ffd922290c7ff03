"""The data of a scenario, loaded and checked once, where it comes in: a source may be anyone's."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from slsim import boundary
from slsim.errors import DataError
from slsim.learning.data.arrays import GROUPING, described, whole_numbers
from slsim.learning.data.base import Dataset
from slsim.scenario import Scenario

MANY_CLASSES = 1000  # a label of this size and of …
OUT_OF_PROPORTION = 10  # … so many times the number of different labels is a mistake
COMPARED = 1000  # images of either split, by which two loadings are compared


def load_data(scenario: Scenario) -> Dataset:
    """The data set of a scenario, fit for what the scenario does with it. Raises `DataError`."""
    chosen = scenario.data.component
    source = chosen.create()
    data = checked(source.load(), chosen.label)
    if boundary.is_outside(type(source)) and _digest(data) != _digest(checked(source.load(), chosen.label)):
        raise DataError(
            f"data {chosen.label}: load gives other data each time; draw from a generator of a fixed seed, "
            "such as numpy.random.default_rng(0), so that all trainings learn from the same"
        )
    _, height, width = data.image_shape
    augment = scenario.data.augment
    if augment is not None and augment.crop is not None and augment.crop >= min(height, width):
        raise DataError(
            f"data.augment.crop = {augment.crop} may leave nothing of images of {height}×{width} pixels; it "
            f"must be below {min(height, width)}"
        )
    return data


def checked(data: object, source: str) -> Dataset:
    """What a source called `source` has loaded, if it is as `Dataset` says, with labels of any integer type
    as int64. Raises `DataError` that says what was found instead."""
    try:
        if not isinstance(data, Dataset):
            raise DataError(
                f"what load gives must be a slsim.learning.data.Dataset, it is {_described(data)}"
            )
        for name in ("x_train", "x_test"):
            _check_images(name, getattr(data, name))
        shapes = [list(images.shape[1:]) for images in (data.x_train, data.x_test)]
        if shapes[0] != shapes[1]:
            raise DataError(
                f"images of x_train are {shapes[0]}, those of x_test {shapes[1]}; they must be alike"
            )
        y_train = _checked_labels("y_train", data.y_train, len(data.x_train))
        y_test = _checked_labels("y_test", data.y_test, len(data.x_test))
        _check_proportion(y_train, y_test)
        for name, group in data.groups.items():
            _check_group(f'groups["{name}"]', group, y_train.size)
    except DataError as error:
        raise DataError(f"data {source}: {error}") from None
    return replace(data, y_train=y_train, y_test=y_test)


def _check_images(name: str, images: object) -> None:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4 or not images.size:
        raise DataError(
            f"{name} must be a numpy array, uint8 [n, channels, height, width], it is {_described(images)}"
        )


def _checked_labels(name: str, labels: object, count: int) -> NDArray[np.int64]:
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu" or labels.shape != (count,):
        raise DataError(
            f"{name} must be a numpy array, int64 [{count}], one label an image, it is {_described(labels)}"
        )
    return whole_numbers(name, labels)


def _check_group(name: str, group: object, count: int) -> None:
    if not isinstance(group, np.ndarray) or group.dtype.kind not in GROUPING or group.shape != (count,):
        raise DataError(
            f"{name} must be a numpy array of numbers or text, [{count}], it is {_described(group)}"
        )


def _check_proportion(y_train: NDArray[np.int64], y_test: NDArray[np.int64]) -> None:
    """A label far above the number of classes would make a huge model."""
    different = np.union1d(y_train, y_test)
    largest = int(different[-1])
    if largest < max(MANY_CLASSES, OUT_OF_PROPORTION * different.size):
        return
    name, labels = ("y_train", y_train) if y_train.max() == largest else ("y_test", y_test)
    raise DataError(
        f"{name}[{int(labels.argmax())}] is {largest}, among {different.size} different labels: a model of "
        f"{largest + 1:,} classes would be built; number the classes from 0"
    )


def _described(value: object) -> str:
    return described(value) if isinstance(value, np.ndarray) else f"of type {type(value).__name__}"


def _digest(data: Dataset) -> bytes:
    """Of all labels and some images."""
    digest = hashlib.sha256()
    for images, labels in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        some = images[:: -(-len(images) // COMPARED)]
        for array in (np.array(images.shape), some, labels):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()
