"""Data sets: the one that ships, and files of the user's."""

from importlib import resources

import numpy as np
import pytest

from slsim.errors import DataError, FaultsError
from slsim.learning.data import Dataset, base, registry

FOLDER = resources.files("slsim.learning")


@pytest.fixture(scope="module")
def fashion():
    return registry.create("fashion-mini").load()


def test_fashion_mini_is_balanced(fashion):
    assert np.bincount(fashion.y_train).tolist() == [600] * 10
    assert np.bincount(fashion.y_test).tolist() == [100] * 10
    assert fashion.num_classes == 10


def test_fashion_mini_has_grey_images_of_28_by_28(fashion):
    assert fashion.x_train.shape == (6_000, 1, 28, 28)
    assert fashion.x_test.shape == (1_000, 1, 28, 28)
    assert fashion.image_shape == (1, 28, 28)
    assert fashion.x_train.dtype == fashion.x_test.dtype == np.uint8
    assert fashion.y_train.dtype == fashion.y_test.dtype == np.int64


def test_fashion_mini_uses_all_grey_levels(fashion):
    assert (fashion.x_train.min(), fashion.x_train.max()) == (0, 255)


def test_no_test_image_of_fashion_mini_is_a_training_image(fashion):
    train = {image.tobytes() for image in fashion.x_train}
    test = {image.tobytes() for image in fashion.x_test}
    assert len(train) == 6_000
    assert len(test) == 1_000
    assert not train & test


def test_the_statistics_of_fashion_mini_are_those_of_fashion_mnist(fashion):
    mean, deviation = fashion.channel_statistics()
    assert mean == pytest.approx([0.2860], abs=0.01)  # of all 60,000 images
    assert deviation == pytest.approx([0.3530], abs=0.01)


def test_fashion_mini_is_a_small_file_with_its_licence():
    with resources.as_file(FOLDER / "fashion_mini.npz") as path:
        assert 0 < path.stat().st_size < 4_000_000
    licence = (FOLDER / "fashion_mini.LICENSE").read_text(encoding="utf-8")
    assert "MIT License" in licence
    assert "Zalando" in licence


# --- .npz files


def arrays(**changes):
    """Six training and four test images of 2×3 pixels, of three classes."""
    return {
        "x_train": np.arange(36, dtype=np.uint8).reshape(6, 2, 3),
        "y_train": np.array([0, 1, 2, 0, 1, 2]),
        "x_test": np.arange(24, dtype=np.uint8).reshape(4, 2, 3),
        "y_test": np.array([2, 1, 0, 0]),
    } | changes


def read(folder, content):
    path = folder / "mine.npz"
    np.savez(path, **content)
    return registry.create("npz", path=path).load()


def test_grey_images_get_a_channel(tmp_path):
    data = read(tmp_path, arrays())
    assert data.x_train.shape == (6, 1, 2, 3)
    assert data.x_train[1, 0].tolist() == [[6, 7, 8], [9, 10, 11]]
    assert data.y_test.tolist() == [2, 1, 0, 0]
    assert data.image_shape == (1, 2, 3)
    assert data.num_classes == 3


def test_colour_channels_move_to_the_front(tmp_path):
    red, green = np.full((6, 5, 6), 10, np.uint8), np.arange(180, dtype=np.uint8).reshape(6, 5, 6)
    test = np.zeros((4, 5, 6, 2), np.uint8)
    data = read(tmp_path, arrays(x_train=np.stack([red, green], axis=3), x_test=test))
    assert data.image_shape == (2, 5, 6)
    assert np.array_equal(data.x_train[:, 0], red)
    assert np.array_equal(data.x_train[:, 1], green)
    assert data.x_train.flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_labels_of_any_integer_type(tmp_path, dtype):
    data = read(tmp_path, arrays(y_train=np.array([0, 1, 2, 0, 1, 2], dtype)))
    assert data.y_train.dtype == np.int64
    assert data.y_train.tolist() == [0, 1, 2, 0, 1, 2]


def test_a_compressed_file(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez_compressed(path, **arrays())
    assert registry.create("npz", path=path).load().x_train.shape == (6, 1, 2, 3)


def test_a_class_of_the_test_images_alone_counts(tmp_path):
    assert read(tmp_path, arrays(y_test=np.array([0, 0, 0, 7]))).num_classes == 8


def test_statistics_of_each_channel():
    images = np.zeros((2, 2, 1, 2), np.uint8)
    images[:, 0] = [[[0, 255]], [[0, 255]]]  # mean 0.5, deviation 0.5
    images[:, 1] = 51  # mean 0.2, no deviation
    labels = np.array([0, 1])
    mean, deviation = Dataset(images, labels, images, labels).channel_statistics()
    assert mean == pytest.approx([0.5, 0.2])
    assert deviation.tolist() == [0.5, 0.0]


def test_statistics_are_exact_in_chunks_of_a_mapped_file(tmp_path, monkeypatch):
    monkeypatch.setattr(base, "CHUNK_BYTES", 700)  # 2 images and some of the next
    images = np.random.default_rng(5).integers(0, 256, (101, 3, 10, 10), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    labels = np.zeros(101, np.int64)
    mean, deviation = Dataset(mapped, labels, mapped, labels).channel_statistics()
    assert mean.dtype == deviation.dtype == np.float32
    assert mean == pytest.approx(images.mean(axis=(0, 2, 3), dtype=np.float64) / 255, abs=1e-7)
    assert deviation == pytest.approx(images.std(axis=(0, 2, 3), dtype=np.float64) / 255, abs=1e-7)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"there is no data file .*nowhere\.npz"):
        registry.create("npz", path=tmp_path / "nowhere.npz").load()


def test_a_path_is_required():
    with pytest.raises(FaultsError, match="path: missing; this key is required"):
        registry.create("npz")


@pytest.mark.parametrize("name", ["x_train", "y_train", "x_test", "y_test"])
def test_a_missing_array_is_named(tmp_path, name):
    content = arrays()
    del content[name]
    missing = name.replace("test", "val")  # where there is nothing of a test split, that of validation counts
    with pytest.raises(
        DataError, match=rf"mine\.npz: lacks ({name}|{missing}); found .*; needed are x_train, "
    ):
        read(tmp_path, content)


@pytest.mark.parametrize("shape", [(36,), (6, 6), (6, 1, 2, 3, 1)])
def test_images_have_two_or_three_axes(tmp_path, shape):
    with pytest.raises(DataError, match=r"x_train must hold images, \[n, h, w\], \[n, h, w, c\] or "):
        read(tmp_path, arrays(x_train=np.zeros(shape, np.uint8)))


def test_no_images_are_no_data(tmp_path):
    empty = arrays(x_test=np.zeros((0, 2, 3), np.uint8), y_test=np.zeros(0, int))
    with pytest.raises(DataError, match=r"x_test must hold images, .*, it is uint8 \[0, 2, 3\]"):
        read(tmp_path, empty)


def test_labels_are_not_negative(tmp_path):
    with pytest.raises(
        DataError, match=r"mine\.npz: y_train\[5\] is -1; a label is a whole number from 0 to"
    ):
        read(tmp_path, arrays(y_train=np.array([0, 1, 2, 0, 1, -1])))


@pytest.mark.parametrize("content", [b"x_train,y_train\n", b"\x89PNG\r\n\x1a\n" + bytes(100)])
def test_a_file_of_another_kind(tmp_path, content):
    path = tmp_path / "mine.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"mine\.npz is not a readable \.npz file"):
        registry.create("npz", path=path).load()


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return self.path.write_text, ("sprung",)


def test_nothing_is_unpickled(tmp_path):
    sprung = tmp_path / "sprung"
    labels = np.array([Trap(sprung)] * 6, dtype=object)
    with pytest.raises(DataError, match=r"mine\.npz: y_train holds Python objects, which are not unpickled"):
        read(tmp_path, arrays(y_train=labels))
    assert not sprung.exists()
    with np.load(tmp_path / "mine.npz", allow_pickle=True) as file:
        assert file["y_train"].size == 6
    assert sprung.exists()  # the trap was armed


def test_images_for_testing_have_the_shape_of_those_for_training(tmp_path):
    with pytest.raises(DataError, match="of one shape"):
        read(tmp_path, arrays(x_test=np.zeros((4, 3, 3), np.uint8)))


@pytest.mark.parametrize("content", [b"", b"not a zip file", b"PK\x03\x04 half"])
def test_a_file_that_is_no_npz_is_one_clear_error(tmp_path, content):
    path = tmp_path / "mine.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not a readable .npz file"):
        registry.create("npz", path=path).load()


def test_a_npy_file_is_one_clear_error(tmp_path):
    np.save(tmp_path / "mine.npy", np.zeros(3))
    with pytest.raises(DataError, match="is not a readable .npz file"):
        registry.create("npz", path=tmp_path / "mine.npy").load()


def test_a_damaged_member_is_one_clear_error(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez_compressed(path, **arrays())
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="is not a readable .npz file"):
        registry.create("npz", path=path).load()
