"""Random changes to training images: a crop after padding, and a flip, of whole batches at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slsim.scenario import Augmentation

Images = NDArray[np.uint8]


def apply(chosen: Augmentation, images: Images, rng: np.random.Generator) -> Images:
    """The images, uint8 [n, channels, height, width], each changed on its own; the given ones stay as they
    are. With `crop`, an image is padded by so many black pixels on every side and a window of its size is
    cut out, every position being as likely; with `flip`, it is mirrored left to right with probability 1/2
    (He et al., 2016, arXiv 1512.03385, Section 4.2, on CIFAR). Drawn are, in this order and only where they
    are asked for, the windows' upper left corners, int64 [n, 2], and who is mirrored, [n]."""
    if chosen.crop is not None:
        images = cropped(images, chosen.crop, rng.integers(0, 2 * chosen.crop + 1, size=(len(images), 2)))
    if chosen.flip:
        images = flipped(images, rng.random(len(images)) < 0.5)
    return images


def cropped(images: Images, padding: int, corners: NDArray[np.int64]) -> Images:
    """Each image's window in the image padded with zeros; `corners` [n, 2] are the row and the column at
    which it begins: (padding, padding) leaves an image as it is."""
    height, width = images.shape[2:]
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
    rows, columns = corners.T
    chosen: Images = windows[np.arange(len(images)), :, rows, columns]
    return chosen


def flipped(images: Images, who: NDArray[np.bool_]) -> Images:
    """The images, those of which `who` [n] is true mirrored left to right."""
    return np.where(who[:, None, None, None], images[..., ::-1], images)
