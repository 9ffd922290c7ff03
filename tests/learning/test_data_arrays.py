"""Forms in which people save arrays: read where there is one reading without loss, else refused with what was
found."""

import io
import re
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slsim.errors import DataError
from slsim.learning.data import registry
from slsim.learning.data.arrays import channels_first, read_images, read_labels, whole_numbers

PROPERTY = settings(derandomize=True, deadline=None, max_examples=100)
RNG = np.random.default_rng(0)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def pixels(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


X, X_TEST = pixels(6, 5, 7), pixels(3, 5, 7)


def read(folder, channels=None, **content):
    path = folder / "mine.npz"
    np.savez(path, **content)
    return registry.create("npz", path=path, channels=channels).load()


# --- names


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("X_train", "Y_train", "X_test", "Y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("trainX", "trainY", "testX", "testY"),
        ("train_set_x", "train_set_y", "test_set_x", "test_set_y"),
        ("training_images", "training_labels", "test_images", "test_labels"),
        ("train-data", "train-targets", "test-data", "test-targets"),
        ("x_train", "y_train", "val_images", "val_labels"),  # to test with, where there is no test split
    ],
)
def test_names_that_others_use(tmp_path, names):
    data = read(tmp_path, **dict(zip(names, (X, LABELS, X_TEST, LABELS[:3]), strict=True)))
    assert np.array_equal(data.x_train[:, 0], X)
    assert np.array_equal(data.x_test[:, 0], X_TEST)
    assert data.y_train.tolist() == LABELS.tolist()
    assert data.y_test.tolist() == [0, 1, 2]


def test_medmnist_is_tested_with_its_test_images_not_those_for_validation(tmp_path):
    splits = {"train": X, "val": pixels(2, 5, 7), "test": X_TEST}
    content = {f"{split}_images": images for split, images in splits.items()}
    content |= {f"{split}_labels": np.zeros((len(images), 1), np.uint8) for split, images in splits.items()}
    data = read(tmp_path, **content)
    assert np.array_equal(data.x_test[:, 0], X_TEST)
    assert data.y_test.tolist() == [0, 0, 0]


def test_other_names_are_listed_with_type_and_shape(tmp_path):
    with pytest.raises(DataError) as error:
        read(tmp_path, a=X, b=LABELS, c=np.array([{}], object), x_test=X_TEST)
    message = str(error.value)
    assert "lacks x_train, y_train, y_test; found a uint8 [6, 5, 7], b int64 [6], c object [1]" in message
    assert "\n" not in message


def test_two_arrays_of_one_meaning_are_named(tmp_path):
    with pytest.raises(DataError, match="x_train and train_images are two arrays of one meaning"):
        read(tmp_path, x_train=X, train_images=X, y_train=LABELS, x_test=X_TEST, y_test=LABELS[:3])


def test_whose_a_sample_is(tmp_path):
    content = {"x_train": X, "y_train": LABELS, "x_test": X_TEST, "y_test": LABELS[:3]}
    writers = np.array(["b", "a", "b", "c", "a", "b"])
    data = read(
        tmp_path, **content, writer_train=writers, train_user=writers[:, None], seed_train=np.array(5)
    )
    assert data.groups.keys() == {"writer", "user"}
    assert data.group("writer").tolist() == data.group("user").tolist() == [1, 0, 1, 2, 0, 1]


# --- axes


@pytest.mark.parametrize(
    ("shape", "image_shape"),
    [
        ((5, 7), (1, 5, 7)),
        ((32, 32, 3), (3, 32, 32)),
        ((3, 32, 32), (3, 32, 32)),
        ((1, 28, 28), (1, 28, 28)),
        ((28, 28, 1), (1, 28, 28)),
        ((4, 30, 20), (4, 30, 20)),
        ((128, 1), (1, 128, 1)),
        ((13, 64, 64), (13, 64, 64)),  # more bands than a picture has, and square images
        ((64, 64, 13), (13, 64, 64)),
    ],
)
def test_axes_that_have_one_reading(shape, image_shape):
    (images,) = read_images({"x": pixels(2, *shape)})
    assert images.shape[1:] == image_shape
    assert images.flags.c_contiguous


@pytest.mark.parametrize("shape", [(3, 3, 3), (4, 8, 4), (2, 5, 3), (1, 9, 1), (28, 28, 28), (13, 60, 70)])
def test_axes_that_have_two_readings_need_a_word(shape):
    a, b, c = shape
    images = pixels(2, *shape)
    both = re.escape(f"x, [n, {a}, {b}, {c}], may be {a} channels of {b}×{c} or {c} channels of {a}×{b}; ")
    with pytest.raises(DataError, match=f'{both}.*channels = "first" or channels = "last"'):
        read_images({"x": images})
    assert np.array_equal(read_images({"x": images}, "first")[0], images)
    assert np.array_equal(read_images({"x": images}, "last")[0], images.transpose(0, 3, 1, 2))


def test_a_scenario_says_which_axis(tmp_path):
    content = {
        "x_train": pixels(6, 3, 4, 3),
        "y_train": LABELS,
        "x_test": pixels(3, 3, 4, 3),
        "y_test": LABELS[:3],
    }
    assert read(tmp_path, "first", **content).image_shape == (3, 4, 3)
    assert read(tmp_path, "last", **content).image_shape == (3, 3, 4)
    with pytest.raises(DataError, match=r"mine\.npz: x_train, \[n, 3, 4, 3\], may be"):
        read(tmp_path, **content)


def test_channels_first_by_hand():
    images = np.arange(12, dtype=np.uint8).reshape(1, 2, 3, 2)
    assert channels_first(images, "last")[0].tolist() == [[[0, 2, 4], [6, 8, 10]], [[1, 3, 5], [7, 9, 11]]]


# --- values of pixels


@pytest.mark.parametrize("dtype", ["uint16", ">u2", "int64", "float16", "float32", "float64", ">f4"])
def test_whole_numbers_of_any_type_are_read_exactly(dtype):
    assert np.array_equal(read_images({"x": X.astype(dtype)})[0][:, 0], X)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_what_was_divided_by_255_is_read_exactly(dtype):
    (images,) = read_images({"x": (X / 255).astype(dtype)})
    assert np.array_equal(images[:, 0], X)
    assert np.array_equal(read_images({"x": X.astype(dtype) * np.array(1 / 255, dtype)})[0][:, 0], X)


def test_black_and_white():
    assert read_images({"x": np.eye(3)[None] > 0})[0].tolist() == [[np.eye(3).tolist()]]


@pytest.mark.parametrize(
    ("images", "found"),
    [
        (RNG.random((4, 128, 1), np.float32), r"float32 \[4, 128, 1\] from 0\.0.* to 0\.99"),
        (X - 128.0, r"float64 \[6, 5, 7\] from -1"),
        (X.astype(np.uint16) * 2, r"uint16 \[6, 5, 7\] from "),
        (X.astype(np.int8), r"int8 \[6, 5, 7\] from -1"),
        (np.where(X.max() == X, np.nan, X / 255), r"float64 .* with NaN or infinity"),
    ],
)
def test_pixels_that_8_bits_do_not_hold_are_refused_with_their_range(images, found):
    with pytest.raises(DataError, match=rf"images must have 8 bits, .* found x {found}.*; to round values "):
        read_images({"x": images})


def test_splits_scaled_otherwise_are_refused_with_both_ranges():
    scaled = {"x_train": np.array([[[0, 0.2, 1]]]), "x_test": np.array([[[0, 9, 255]]], np.uint8)}
    with pytest.raises(DataError, match=r"x_train float64 .* from 0 to 1, x_test uint8 .* from 0 to 255;"):
        read_images(scaled)


# --- labels


@pytest.mark.parametrize(
    "labels",
    [
        LABELS[:, None],
        LABELS.astype(float),
        LABELS.astype(">u4"),
        LABELS.astype(np.uint64),
        np.eye(3)[LABELS],
        np.eye(3, dtype=bool)[LABELS],
        np.array(["cat", "dog", "owl"])[LABELS],
        np.array([b"cat", b"dog", b"owl"])[LABELS][:, None],
    ],
    ids=["a column", "floats", "big-endian", "unsigned", "one-hot", "one-hot booleans", "text", "bytes"],
)
def test_labels_that_have_one_reading(labels):
    train, test = read_labels({"y_train": labels, "y_test": labels[2:4]}, [6, 2])
    assert train.tolist() == LABELS.tolist()
    assert test.tolist() == [2, 0]
    assert train.dtype == test.dtype == np.int64


def test_text_and_numbers_are_no_labels_of_one_kind():
    with pytest.raises(DataError, match=r"all be numbers or all be text, found a <U1 \[2\], b int64 \[2\]"):
        read_labels({"a": np.array(["0", "1"]), "b": np.array([0, 1])}, [2, 2])


def test_names_of_classes_are_numbered_over_both_splits():
    train, test = read_labels({"a": np.array(["dog", "cat"]), "b": np.array(["ant", "dog"])}, [2, 2])
    assert (train.tolist(), test.tolist()) == ([2, 1], [0, 2])


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (LABELS[:5], r"y must hold one label for each of 6 images, it is int64 \[5\]"),
        (np.array(3), r"y must hold one label for each of 6 images, it is int64 \[\]"),
        (
            np.eye(3)[LABELS] * 0.9,
            r"y, float64 \[6, 3\], is not one label a sample, and not one-hot in row 0",
        ),
        (np.vstack([np.eye(3), np.ones((3, 3))]), r"not one-hot in row 3"),
        (LABELS + np.array([0, 0.5, 0, 0, 0, 0]), r"y\[1\] is 1\.5; a label is a whole number from 0 to"),
        (np.where(LABELS == 2, np.nan, LABELS), r"y\[2\] is nan"),
        (np.where(LABELS == 1, np.inf, LABELS), r"y\[1\] is inf"),
        (LABELS * 1e18, r"y\[1\] is 1e\+18; a label is a whole number from 0 to 9007199254740991"),
        (LABELS - 1, r"y\[0\] is -1"),
        (np.array([0, 1, 2**63, 0, 1, 2], np.uint64), r"y\[2\] is 9223372036854775808"),
        (LABELS * 1j, r"y must hold whole numbers, it is complex128 \[6\]"),
    ],
)
def test_labels_in_doubt_are_refused_with_their_position(labels, reason):
    with pytest.raises(DataError, match=reason):
        read_labels({"y": labels}, [6])


@PROPERTY
@given(st.lists(st.integers(0, 2**63 - 1), min_size=1))
def test_no_label_wraps(labels):
    assert whole_numbers("y", np.array(labels, np.uint64)).tolist() == labels


# --- damaged files


def test_a_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, x_train=X, y_train=LABELS, x_test=X_TEST, y_test=LABELS[:3])
    content = path.read_bytes()
    position = content.index(X.tobytes()) + 9
    path.write_bytes(content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :])
    with pytest.raises(DataError, match=r"mine\.npz is not a readable \.npz file: Bad CRC-32"):
        registry.create("npz", path=path).load()


def test_a_header_that_promises_more_than_the_file_holds(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, y_train=LABELS, x_test=X_TEST, y_test=LABELS[:3])
    member = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (6, 5, 700_000_000_000)}
    np.lib.format.write_array_header_1_0(member, header)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x_train.npy", member.getvalue())
    with pytest.raises(DataError, match=r"x_train is cut off: uint8 \[6, 5, 700000000000\] takes 21,000"):
        registry.create("npz", path=path).load()


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(DataError, match=r"is not a readable \.npz file: Is a directory"):
        registry.create("npz", path=tmp_path).load()
