"""Crops and flips of whole batches, each image on its own, by hand and against a loop over images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slsim.learning.augmentation import apply, cropped, flipped
from slsim.scenario import Augmentation

PROPERTY = settings(derandomize=True, deadline=None, max_examples=60)
SMALL = np.array([[[[1, 2, 3], [4, 5, 6]]]], np.uint8)  # one image, one channel, 2 × 3


def some_images(count, channels=3, height=6, width=5):
    return np.random.default_rng(1).integers(1, 256, (count, channels, height, width), dtype=np.uint8)


@pytest.mark.parametrize(
    ("corner", "window"),
    [
        ((1, 1), [[1, 2, 3], [4, 5, 6]]),  # where the image is
        ((0, 0), [[0, 0, 0], [0, 1, 2]]),  # up and to the left: what it shows moves down and right
        ((2, 2), [[5, 6, 0], [0, 0, 0]]),
        ((0, 2), [[0, 0, 0], [2, 3, 0]]),
        ((2, 1), [[4, 5, 6], [0, 0, 0]]),
    ],
)
def test_a_crop_by_hand(corner, window):
    assert cropped(SMALL, 1, np.array([corner]))[0, 0].tolist() == window


def test_a_flip_by_hand():
    both = np.concatenate([SMALL, SMALL])
    result = flipped(both, np.array([False, True]))[:, 0]
    assert result.tolist() == [[[1, 2, 3], [4, 5, 6]], [[3, 2, 1], [6, 5, 4]]]


def test_padding_beyond_an_images_size_may_leave_it_black():
    assert not cropped(SMALL, 4, np.array([[0, 0]])).any()


@PROPERTY
@given(
    st.integers(1, 20),
    st.sampled_from([1, 3]),
    st.one_of(st.none(), st.integers(1, 9)),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_a_batch_is_what_a_loop_over_its_images_gives(count, channels, crop, flip, seed):
    images = some_images(count, channels)
    result = apply(Augmentation(crop=crop, flip=flip), images, np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 2 * crop + 1, size=(count, 2)) if crop else [(0, 0)] * count
    mirrored = rng.random(count) < 0.5 if flip else [False] * count
    for image, (row, column), mirror, got in zip(images, corners, mirrored, result, strict=True):
        padded = np.pad(image, ((0, 0), (crop or 0,) * 2, (crop or 0,) * 2))
        expected = padded[:, row : row + 6, column : column + 5]
        assert np.array_equal(got, expected[:, :, ::-1] if mirror else expected)
    assert result.shape == images.shape
    assert result.dtype == np.uint8


def test_each_image_is_changed_on_its_own():
    copies = np.repeat(some_images(1, height=16, width=16), 400, axis=0)
    result = apply(Augmentation(crop=2, flip=True), copies, np.random.default_rng(0))
    assert len({image.tobytes() for image in result}) == 5 * 5 * 2  # all there are


def test_every_position_is_as_likely_and_every_other_image_flipped():
    copies = np.repeat(np.arange(1, 4, dtype=np.uint8).reshape(1, 1, 1, 3), 6_000, axis=0)
    crops = apply(Augmentation(crop=1), copies, np.random.default_rng(0))
    assert np.count_nonzero(crops.any(axis=(1, 2, 3))) == pytest.approx(2_000, abs=150)  # 1 row of 3 shows
    flips = apply(Augmentation(flip=True), copies, np.random.default_rng(0))
    assert np.count_nonzero(flips[:, 0, 0, 0] == 3) == pytest.approx(3_000, abs=200)


def test_the_same_generator_gives_the_same_and_the_images_stay():
    images = some_images(30)
    before = images.copy()
    images.flags.writeable = False
    chosen = Augmentation(crop=4, flip=True)
    first, again, other = (apply(chosen, images, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(images, before)


def test_nothing_asked_for_draws_nothing():
    images = some_images(4)
    rng = np.random.default_rng(0)
    assert apply(Augmentation(), images, rng) is images
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state


def test_an_empty_batch():
    assert apply(Augmentation(crop=2, flip=True), some_images(0), np.random.default_rng(0)).shape == (
        0,
        3,
        6,
        5,
    )
