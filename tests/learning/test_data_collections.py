"""torchvision's data sets, read from tiny files in their formats; nothing is downloaded here."""

import hashlib
import pickle
import struct
from urllib.error import URLError

import numpy as np
import pytest
import torchvision.datasets

from slsim.errors import DataError, FaultsError
from slsim.learning.data import registry

COLLECTIONS = {
    "fashion-mnist": ("FashionMNIST/raw", "https://github.com/zalandoresearch/fashion-mnist"),
    "cifar10": ("cifar-10-batches-py", "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"),
    "cifar100": ("cifar-100-python", "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"),
}


def idx(array):
    """As in Fashion-MNIST's files: a magic number, the sizes, the bytes."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def fashion(tmp_path):
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    written = {}
    for split, count in (("train", 5), ("t10k", 3)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8)
        (folder / f"{split}-images-idx3-ubyte").write_bytes(idx(images))
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(idx(labels))
        written[split] = images
    return tmp_path, written


def test_fashion_mnist(fashion):
    root, written = fashion
    data = registry.create("fashion-mnist", root=root).load()
    assert data.x_train.shape == (5, 1, 28, 28)
    assert np.array_equal(data.x_train[:, 0], written["train"])
    assert np.array_equal(data.x_test[:, 0], written["t10k"])
    assert data.y_train.tolist() == [0, 1, 2, 3, 4]
    assert data.x_train.dtype == np.uint8
    assert data.y_train.dtype == np.int64


class OldArray:
    """Pickles an array as the numpy of CIFAR's day did, whose dtype has the integers 0 and 1."""

    def __init__(self, array):
        self.array = array

    def __reduce__(self):
        make, arguments, (version, shape, _, order, content) = self.array.__reduce__()
        return make, arguments, (version, shape, OldType(), order, content)


class OldType:
    def __reduce__(self):
        return np.dtype, ("u1", 0, 1), (3, "|", None, None, None, -1, -1, 0)


def cifar(folder, patch, torchvision_class, names, labels_key):
    """Two images a batch file; torchvision's checksums are replaced by those of these files."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    written = {}
    for name in names:
        rows = rng.integers(0, 256, (2, 3072), dtype=np.uint8)
        entry = {"data": OldArray(rows), labels_key: [len(written), 7]}
        (folder / name).write_bytes(pickle.dumps(entry, protocol=2))
        written[name] = rows.reshape(2, 3, 32, 32)
    meta = torchvision_class.meta
    (folder / meta["filename"]).write_bytes(pickle.dumps({meta["key"]: ["a"]}, protocol=2))

    def sums(listed):
        return [[name, hashlib.md5((folder / name).read_bytes()).hexdigest()] for name, _ in listed]

    patch.setattr(torchvision_class, "train_list", sums(torchvision_class.train_list))
    patch.setattr(torchvision_class, "test_list", sums(torchvision_class.test_list))
    ((_, of_meta),) = sums([[meta["filename"], ""]])
    patch.setattr(torchvision_class, "meta", {**meta, "md5": of_meta})
    return written


def test_cifar10_with_the_pickles_of_an_old_numpy(tmp_path, monkeypatch):
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    folder = tmp_path / "cifar-10-batches-py"
    written = cifar(folder, monkeypatch, torchvision.datasets.CIFAR10, names, "labels")
    data = registry.create("cifar10", root=tmp_path).load()
    assert data.x_train.shape == (10, 3, 32, 32)
    assert np.array_equal(data.x_train[2:4], written["data_batch_2"])
    assert np.array_equal(data.x_test, written["test_batch"])
    assert data.y_train.tolist() == [0, 7, 1, 7, 2, 7, 3, 7, 4, 7]
    assert data.x_train.flags.c_contiguous


def test_cifar100_has_its_fine_labels(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-100-python"
    written = cifar(folder, monkeypatch, torchvision.datasets.CIFAR100, ["train", "test"], "fine_labels")
    data = registry.create("cifar100", root=tmp_path).load()
    assert np.array_equal(data.x_train, written["train"])
    assert data.y_test.tolist() == [1, 7]
    assert data.y_test.dtype == np.int64


@pytest.mark.parametrize("name", COLLECTIONS)
def test_what_is_missing_where_it_belongs_and_where_to_get_it(name, tmp_path):
    folder, address = COLLECTIONS[name]
    with pytest.raises(DataError) as error:
        registry.create(name, root=tmp_path / "none").load()
    message = str(error.value)
    assert str(tmp_path / "none" / folder) in message
    assert "set download = true" in message
    assert address in message
    assert not (tmp_path / "none").exists()


def test_only_files_that_are_missing_are_named(fashion):
    root, _ = fashion
    (root / "FashionMNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="raw lacks t10k-labels-idx1-ubyte; set download"):
        registry.create("fashion-mnist", root=root).load()


@pytest.mark.parametrize(
    ("name", "damage", "reason"),
    [
        (
            "train-images-idx3",
            lambda content: content[:1000],
            "must be 3,936 bytes long by .* is 1,000",
        ),
        ("train-images-idx3", lambda content: content + b"0", "must be 3,936 bytes .* it is 3,937"),
        ("train-images-idx3", lambda content: content[:10], "is no IDX file of bytes with 3 axes"),
        ("t10k-labels-idx1", lambda content: b"", "is no IDX file of bytes with 1 axes"),
        ("t10k-labels-idx1", lambda content: b"\x1f\x8b" + content, "is no IDX file of bytes with 1 axes"),
    ],
)
def test_damaged_files_are_one_clear_error(fashion, name, damage, reason):
    path = fashion[0] / "FashionMNIST" / "raw" / f"{name}-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=rf"raw is damaged \({name}-ubyte {reason}.*\); its files, "):
        registry.create("fashion-mnist", root=fashion[0]).load()


def test_a_wrong_checksum_is_one_clear_error_and_nothing_is_unpickled(tmp_path):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name in ("train", "test", "meta"):
        (folder / name).write_bytes(b"not CIFAR's")
    with pytest.raises(DataError, match=r"cifar-100-python is damaged \(.*corrupted"):
        registry.create("cifar100", root=tmp_path).load()


def test_a_download_that_fails_says_so(tmp_path, monkeypatch):
    def offline(*arguments, **options):
        raise URLError("no route to host")

    monkeypatch.setattr(torchvision.datasets.cifar, "download_and_extract_archive", offline)
    with pytest.raises(DataError, match=r"cannot be downloaded \(.*no route to host.*\); .*cs\.toronto\.edu"):
        registry.create("cifar10", root=tmp_path, download=True).load()


def test_download_is_handed_on_only_when_asked_for(fashion, monkeypatch):
    root, _ = fashion
    asked = []
    monkeypatch.setattr(torchvision.datasets.FashionMNIST, "download", lambda self: asked.append(self.train))
    registry.create("fashion-mnist", root=root).load()
    assert asked == []
    registry.create("fashion-mnist", root=root, download=True).load()
    assert asked == [True, False]


def test_download_is_true_or_false():
    with pytest.raises(FaultsError, match="download: .*valid boolean, found 'yes'"):
        registry.create("cifar10", download="yes")
