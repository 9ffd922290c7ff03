"""Folders of images: which are read, how they are resized, where they are kept, and what is refused."""

import os

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, Resize

from slsim.errors import DataError
from slsim.learning.data import decoding, folder, registry

CLASSES = ("n01440764", "n01443537", "n01484850")


def picture(seed, height=40, width=30):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture
def root(tmp_path):
    """Two training images and one for testing in each of three classes."""
    for split, count in (("train", 2), ("val", 1)):
        for label, name in enumerate(CLASSES):
            for number in range(count):
                write(tmp_path / split / name / f"{number}.png", picture(10 * label + number))
    return tmp_path


def caches(path):
    return sorted(file.name for file in path.glob(".slsim-*"))


@pytest.mark.parametrize("name", ["folder", "imagenet"])
def test_images_and_labels_by_sorted_class(root, name):
    data = registry.create(name, root=root, size=14).load()
    assert data.x_train.shape == (6, 3, 14, 14)
    assert data.x_train.dtype == np.uint8
    assert data.y_train.tolist() == [0, 0, 1, 1, 2, 2]
    assert data.y_test.tolist() == [0, 1, 2]
    assert data.num_classes == 3
    assert np.array_equal(data.x_test, data.x_train[::2])  # the same pictures
    assert caches(root) == []


@pytest.mark.parametrize(("height", "width"), [(40, 30), (30, 40), (16, 16), (7, 50), (5, 5)])
@pytest.mark.parametrize("size", [7, 14, 224])
def test_an_image_is_resized_and_cropped_as_torchvision_does(tmp_path, height, width, size):
    path = write(tmp_path / "a.png", picture(3, height, width))
    expected = Compose([Resize(round(size * 256 / 224)), CenterCrop(size)])(Image.open(path))
    assert np.array_equal(decoding.decode(size, path), np.asarray(expected).transpose(2, 0, 1))


def test_an_image_of_the_resized_size_keeps_its_centre(tmp_path):
    pixels = picture(4, 8, 8)  # 7 · 256/224 = 8
    expected = pixels[0:7, 0:7].transpose(2, 0, 1)
    assert np.array_equal(decoding.decode(7, write(tmp_path / "a.png", pixels)), expected)


def test_grey_palette_and_transparent_images_become_coloured(tmp_path):
    grey = np.full((8, 8), 90, np.uint8)
    assert (decoding.decode(7, write(tmp_path / "grey.png", grey)) == 90).all()
    transparent = np.full((8, 8, 4), (10, 20, 30, 0), np.uint8)
    assert decoding.decode(7, write(tmp_path / "clear.png", transparent))[:, 0, 0].tolist() == [10, 20, 30]
    image = Image.fromarray(np.full((8, 8, 3), (10, 20, 30), np.uint8)).quantize(2)
    image.save(tmp_path / "palette.png", transparency=bytes([0, 128]))
    assert decoding.decode(7, tmp_path / "palette.png")[:, 0, 0].tolist() == [10, 20, 30]


def test_jpeg_files_are_read_and_other_files_are_not(root):
    write(root / "train" / CLASSES[0] / "9.JPEG", np.full((20, 20, 3), 200, np.uint8), quality=95)
    (root / "train" / CLASSES[0] / "notes.txt").write_text("not an image")
    data = registry.create("folder", root=root, size=14).load()
    assert len(data.x_train) == 7
    assert np.abs(data.x_train[2].astype(int) - 200).max() <= 2


def test_more_images_than_are_decoded_at_once_stay_in_order(root, monkeypatch):
    whole = registry.create("folder", root=root, size=14).load()
    monkeypatch.setattr(decoding, "AT_ONCE", 4)
    parts = registry.create("folder", root=root, size=14).load()
    assert np.array_equal(whole.x_train, parts.x_train)


def test_test_images_may_be_in_test(root):
    (root / "val").rename(root / "test")
    assert len(registry.create("folder", root=root, size=14).load().x_test) == 3


# --- kept in a file


def test_above_the_limit_images_are_mapped_from_a_file_in_the_folder(root, monkeypatch):
    inside = registry.create("folder", root=root, size=14).load()
    monkeypatch.setattr(folder, "IN_MEMORY_BYTES", 9 * 3 * 14 * 14)
    assert not isinstance(registry.create("folder", root=root, size=14).load().x_train, np.memmap)
    monkeypatch.setattr(folder, "IN_MEMORY_BYTES", 9 * 3 * 14 * 14 - 1)
    mapped = registry.create("folder", root=root, size=14).load()
    assert isinstance(mapped.x_train, np.memmap)
    assert np.array_equal(mapped.x_train, inside.x_train)
    assert np.array_equal(mapped.x_test, inside.x_test)
    assert mapped.channel_statistics()[0] == pytest.approx(inside.channel_statistics()[0])
    assert len(caches(root)) == 2
    assert all(name.startswith(".slsim-14-") and name.endswith(".npy") for name in caches(root))


def test_a_cache_is_used_again_until_an_image_changes(root, tmp_path, monkeypatch):
    source = registry.create("folder", root=root, size=14, cache=tmp_path / "kept" / "here")
    first = source.load()
    names = caches(tmp_path / "kept" / "here")
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "decode", None)  # nothing can be decoded
        assert np.array_equal(source.load().x_train, first.x_train)
    changed = write(root / "train" / CLASSES[0] / "0.png", picture(99))
    os.utime(changed, ns=(1, 1))
    second = source.load()
    assert not np.array_equal(second.x_train[0], first.x_train[0])
    assert np.array_equal(second.x_train[1:], first.x_train[1:])
    assert (
        len(caches(tmp_path / "kept" / "here")) == 2
    )  # the older one is gone, that of the test images stays
    assert len(set(caches(tmp_path / "kept" / "here")) & set(names)) == 1


def test_sizes_and_folders_share_a_cache_without_taking_one_anothers(root, tmp_path):
    kept = tmp_path / "kept"
    for size in (7, 14):
        registry.create("folder", root=root, size=size, cache=kept).load()
    assert len(caches(kept)) == 4


def test_a_cache_cut_off_by_a_crash_is_made_again(root, tmp_path):
    source = registry.create("folder", root=root, size=14, cache=tmp_path / "kept")
    whole = np.array(source.load().x_train)
    for content in (b"", b"\x93NUMPY", None):
        for path in (tmp_path / "kept").glob(".slsim-*"):
            path.write_bytes(path.read_bytes()[:200] if content is None else content)
        assert np.array_equal(source.load().x_train, whole)


def test_a_damaged_image_leaves_no_half_cache(root, tmp_path):
    (root / "train" / CLASSES[2] / "1.png").write_bytes(b"half an image")
    with pytest.raises(DataError, match=r"1\.png cannot be decoded as an image"):
        registry.create("folder", root=root, size=14, cache=tmp_path / "kept").load()
    assert caches(tmp_path / "kept") == []


def test_a_cache_that_cannot_be_written_says_what_to_do(root, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"cannot be kept in .*file.*; set cache to a folder with room"):
        registry.create("folder", root=root, size=14, cache=tmp_path / "file").load()
    monkeypatch.setattr(decoding.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 100}))
    with pytest.raises(DataError, match="0.0 GB are needed, 0.0 GB are free; set cache"):
        registry.create("folder", root=root, size=14, cache=tmp_path / "kept").load()


# --- what is refused


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a", b"\xff\xd8\xff\xe0 half a JPEG", b"\x89PNG\r\n\x1a\n" + bytes(50)]
)
def test_a_damaged_image_is_named(root, content):
    path = root / "val" / CLASSES[1] / "0.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"val/{CLASSES[1]}/0\.png cannot be decoded as an image: "):
        registry.create("folder", root=root, size=14).load()


def test_an_image_cut_off_is_named(root):
    path = root / "train" / CLASSES[1] / "0.png"
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(DataError, match=rf"train/{CLASSES[1]}/0\.png cannot be decoded as an image: "):
        registry.create("imagenet", root=root, size=14).load()


def test_sixteen_bits_a_channel_are_refused(root):
    write(root / "train" / CLASSES[1] / "0.png", np.full((20, 20), 40_000, np.uint16))
    with pytest.raises(DataError, match=r"0\.png cannot be decoded .*more than 8 bits a channel"):
        registry.create("folder", root=root, size=14).load()


def broken(root, how):
    if how == "no root":
        return root / "none", rf"there is no folder {root}/none; "
    if how == "no train":
        (root / "train").rename(root / "training")
        return root, rf"there is no folder {root}/train; "
    if how == "no val":
        (root / "val").rename(root / "valid")
        return root, rf"there is no folder {root}/val; "
    if how == "flat":
        for path in sorted((root / "val").rglob("*.png")):
            path.rename(root / "val" / f"{path.parent.name}.png")
        for path in (root / "val").glob("n*4"):
            path.rmdir() if path.is_dir() else None
        for path in [path for path in (root / "val").iterdir() if path.is_dir()]:
            path.rmdir()
        return root, rf"{root}/val has no folders of classes; "
    if how == "unequal":
        (root / "val" / CLASSES[2]).rename(root / "val" / "n02")
        return root, rf"train and {root}/val differ in 2 of their class folders \({CLASSES[2]}, n02\); "
    (root / "train" / CLASSES[1] / "0.png").unlink()
    (root / "train" / CLASSES[1] / "1.png").unlink()
    return root, rf"{root}/train: Found no valid file for the classes {CLASSES[1]}"


HOWS = ["no root", "no train", "no val", "flat", "unequal", "empty class"]


@pytest.mark.parametrize("how", HOWS)
def test_a_folder_laid_out_otherwise_is_told_how_it_must_be(root, how):
    path, words = broken(root, how)
    with pytest.raises(DataError, match=rf"(?s){words}.*images belong in train/<class>/"):
        registry.create("folder", root=path, size=14).load()


@pytest.mark.parametrize("how", HOWS)
def test_imagenet_laid_out_otherwise_is_told_where_to_get_it(root, how):
    path, words = broken(root, how)
    with pytest.raises(DataError, match=rf"(?s){words}.*train/n01440764/.*https://image-net\.org/download"):
        registry.create("imagenet", root=path, size=14).load()
