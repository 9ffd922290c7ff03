"""Images as tensors: each channel of mean 0 and deviation 1 over the training images."""

import numpy as np
import pytest
import torch

from slsim.learning.data import Dataset
from slsim.learning.images import Images


def test_a_channel_of_one_value_in_training_is_0_in_testing_too():
    images = np.random.default_rng(0).integers(0, 256, (6, 2, 3, 4), dtype=np.uint8)
    train, test = images.copy(), images.copy()
    train[:, 1], test[:, 1] = 255, 254
    labels = np.zeros(6, np.int64)
    normal = Images(Dataset(train, labels, test, labels), None, torch.device("cpu"), channels_last=True)
    given = normal.training([np.arange(6)], [])
    ((tested, _),) = normal.test_batches()
    assert not given[:, 1].any()
    assert not tested[:, 1].any()
    assert given[:, 0].mean() == pytest.approx(0, abs=1e-6)
    assert torch.equal(tested[:, 0], given[:, 0])
