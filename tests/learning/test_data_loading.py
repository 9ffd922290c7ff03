"""What a data source gives is checked once, where it comes in."""

from pathlib import Path

import numpy as np
import pytest

from slsim.errors import DataError
from slsim.learning.data import Dataset, checked, load_data
from slsim.scenario import plan

LABELS = np.array([0, 1, 2, 0])
IMAGES = np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 1, 2, 3)


def dataset(**changes):
    return Dataset(**{"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES, "y_test": LABELS} | changes)


def test_what_is_right_is_given_back():
    data = dataset(groups={"writer": np.array(["b", "a", "a", "b"])})
    given = checked(data, "mine")
    assert given.x_train is IMAGES
    assert given.groups is data.groups
    assert given.y_train.tolist() == LABELS.tolist()


@pytest.mark.parametrize("dtype", ["uint8", ">i2", "uint64"])
def test_labels_of_any_integer_type_become_int64(dtype):
    given = checked(dataset(y_test=LABELS.astype(dtype)), "mine")
    assert given.y_test.dtype == np.int64
    assert given.y_test.tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, r"what load gives must be a slsim\.learning\.data\.Dataset, it is of type NoneType"),
        ((IMAGES, LABELS), "it is of type tuple"),
        (dataset(x_train=IMAGES / 255), r"x_train must be .* uint8 .*, it is float64 \[4, 1, 2, 3\]"),
        (dataset(x_train=IMAGES[:, 0]), r"x_train must be .*, it is uint8 \[4, 2, 3\]"),
        (dataset(x_test=IMAGES.tolist()), "x_test must be a numpy array, .*, it is of type list"),
        (dataset(x_test=IMAGES[:0], y_test=LABELS[:0]), r"x_test must be .*, it is uint8 \[0, 1, 2, 3\]"),
        (dataset(x_test=IMAGES[..., :2]), r"x_train are \[1, 2, 3\], those of x_test \[1, 2, 2\]"),
        (
            dataset(y_train=LABELS[:3]),
            r"y_train must be .*int64 \[4\], one label an image, it is int64 \[3\]",
        ),
        (dataset(y_train=LABELS * 1.0), r"y_train must be .*int64 \[4\], .*, it is float64 \[4\]"),
        (dataset(y_test=None), "y_test must be .*, it is of type NoneType"),
        (dataset(y_test=LABELS - 1), r"y_test\[0\] is -1; a label is a whole number from 0 to"),
        (dataset(y_test=np.array([0, 1, 2, 2**63], np.uint64)), r"y_test\[3\] is 9223372036854775808"),
        (dataset(groups={"writer": LABELS[:3]}), r'groups\["writer"\] must be .*\[4\], it is int64 \[3\]'),
    ],
)
def test_what_is_wrong_is_named_with_its_source_and_what_was_found(data, reason):
    with pytest.raises(DataError, match=f"^data mine: .*{reason}"):
        checked(data, "mine")


@pytest.mark.parametrize(
    ("train", "test", "named"),
    [
        ([0, 1, 70_000, 0], LABELS, r"y_train\[2\] is 70000, among 4 different labels"),
        (LABELS, [0, 1, 2, 10**9], r"y_test\[3\] is 1000000000, among 4 different labels"),
        (
            [0, 1, 1_000, 2],
            LABELS,
            r"y_train\[2\] is 1000, .* model of 1,001 classes would be built; number the",
        ),
    ],
)
def test_a_label_out_of_all_proportion_is_named_with_its_position(train, test, named):
    with pytest.raises(DataError, match=named):
        checked(dataset(y_train=np.array(train), y_test=np.array(test)), "mine")


def test_many_classes_and_gaps_between_a_few_are_fine():
    assert checked(dataset(y_train=np.array([0, 1, 2, 999])), "mine").num_classes == 1_000
    many = np.arange(300) * 9
    images = np.zeros((300, 1, 1, 1), np.uint8)
    assert checked(Dataset(images, many, images, many), "mine").num_classes == 299 * 9 + 1


OWN = """
import numpy as np
from slsim.learning.data import Dataset, DataSource

class Own(DataSource):
    "Noise."
    seed: int | None = None

    def load(self):
        rng = np.random.default_rng(self.seed)
        images = rng.integers(0, 256, (20, 1, 8, 9), dtype=np.uint8)
        return Dataset(images, np.arange(20) % 3, images, np.arange(20) % 3)
"""


def scenario(folder: Path, **data):
    (folder / "own.py").write_text(OWN)
    document = {"name": "own", "data": {"name": "own.py:Own", **data}, "model": {"name": "mlp", "cut": 1}}
    return plan(document, "own.toml", folder).cases[0].scenario


def test_a_source_that_gives_other_data_each_time_is_refused(tmp_path):
    assert load_data(scenario(tmp_path, seed=3)).image_shape == (1, 8, 9)
    with pytest.raises(
        DataError, match="data Own: load gives other data each time; draw from a generator of"
    ):
        load_data(scenario(tmp_path))


def test_a_crop_must_leave_something_of_an_image(tmp_path):
    load_data(scenario(tmp_path, seed=3, augment={"crop": 7}))
    for crop in (8, 10_000):
        with pytest.raises(DataError, match=rf"crop = {crop} may .* of 8×9 pixels; it must be below 8"):
            load_data(scenario(tmp_path, seed=3, augment={"crop": crop}))
