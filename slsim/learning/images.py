"""A data set as normalized tensors, made batch by batch; what is held stays uint8."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from slsim.learning import augmentation
from slsim.learning.data import Dataset
from slsim.learning.transfer import moved
from slsim.recording import TestSet
from slsim.scenario import Augmentation

TEST_BATCH = 1000  # images


class Images:
    """Images of a data set, float32 on `device`, each channel of mean 0 and deviation 1 over the training
    images.

    `augment` changes training images at random; `channels_last` lays images out so that convolutions need
    not (the values are the same).
    """

    def __init__(
        self, data: Dataset, augment: Augmentation | None, device: torch.device, channels_last: bool
    ) -> None:
        self._data = data
        self._augment = augment
        self._device = device
        self._format = torch.channels_last if channels_last else torch.contiguous_format
        self.y_train = data.y_train
        self.num_classes = data.num_classes
        self.test_set = TestSet(data.y_test.size, data.num_classes, data.chance)
        mean, deviation = data.channel_statistics()
        spread = np.where(deviation > 0, deviation, np.float32(np.inf))  # a channel without any becomes 0
        self._scale = torch.from_numpy(1 / (255 * spread)).view(-1, 1, 1).to(device)
        self._shift = torch.from_numpy(-mean / spread).view(-1, 1, 1).to(device)

    @property
    def augments(self) -> bool:
        """Whether training images are changed."""
        return self._augment is not None

    @property
    def raw_sample_bytes(self) -> int:
        """Bytes of one training sample as the data set holds it."""
        return int(self._data.x_train[:1].nbytes)

    def training(
        self, parts: Sequence[NDArray[np.int64]], rngs: Sequence[np.random.Generator]
    ) -> torch.Tensor:
        """The training images at these positions, [n, channels, height, width], those of clients
        concatenated along the batch; each client's are augmented by its own generator."""
        if self._augment is None:
            return self._normalized(self._data.x_train[np.concatenate(parts)])
        changed = [
            augmentation.apply(self._augment, self._data.x_train[part], rng)
            for part, rng in zip(parts, rngs, strict=True)
        ]
        return self._normalized(np.concatenate(changed))

    def test_batches(self, size: int = TEST_BATCH) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """All test images and their labels, in order."""
        for start in range(0, self._data.y_test.size, size):
            labels = moved(torch.from_numpy(self._data.y_test[start : start + size]), self._device)
            yield self._normalized(self._data.x_test[start : start + size]), labels

    def _normalized(self, images: NDArray[np.uint8]) -> torch.Tensor:
        writable = np.require(images, requirements=["C", "W"])  # a copy only of what is mapped read-only
        pixels = moved(torch.from_numpy(writable.reshape(-1)).view(images.shape), self._device)
        values = pixels.float().mul_(self._scale).add_(self._shift)
        return values.to(memory_format=self._format)  # unlike `contiguous`, strides of 1 channel too
