"""Image files to one array of pixels: decoded on all cores, resized and cropped once, kept in memory or in
a file that is mapped into memory and used again."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from slsim import atomic
from slsim.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

Images = NDArray[np.uint8]
AT_ONCE = 256  # images decoded before the next ones are begun
FORMAT = 1  # of cache files; another one where images are decoded in another way


def image_bytes(size: int) -> int:
    """What one decoded image takes."""
    return 3 * size * size


def load(folder: Path, files: Sequence[Path], size: int, cache: Path | None) -> Images:
    """The images `files`, which lie below `folder`, as uint8 [n, 3, size, size]: in memory, or where there
    is a `cache` folder, mapped from the file in it, which is written unless it is there. Raises
    `DataError` naming an image that cannot be decoded, or what keeps the cache from being written."""
    if cache is not None:
        return _mapped(folder, files, size, cache)
    images = np.empty((len(files), 3, size, size), np.uint8)
    start = 0
    for part in _decoded(files, size):
        images[start : start + len(part)] = part
        start += len(part)
    return images


def decode(size: int, path: Path) -> Images:
    """One image, uint8 [3, size, size]: its shorter side resized to size · 256/224, then the centre cut out,
    as ImageNet is evaluated (torchvision's `Resize(256)` and `CenterCrop(224)`). Raises `DataError`."""
    from PIL import Image
    from torchvision.transforms import functional

    try:
        with Image.open(path) as image:
            resized = functional.resize(_coloured(image), [round(size * 256 / 224)])
            cropped = functional.center_crop(resized, [size, size])
    except Exception as error:  # a decoder may raise anything on a damaged file
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"{path} cannot be decoded as an image: {reason}") from error
    return np.asarray(cropped).transpose(2, 0, 1)


def _coloured(image: Image) -> Image:
    """In red, green and blue, 8 bits each; what is transparent keeps the colour that it hides."""
    if image.mode.startswith(("I", "F")):
        raise ValueError(f"its pixels have more than 8 bits a channel (mode {image.mode})")
    transparent = image.mode == "P" and "transparency" in image.info
    return (image.convert("RGBA") if transparent else image).convert("RGB")


def _decoded(files: Sequence[Path], size: int) -> Iterator[Images]:
    """All images in order, some at a time."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(files), AT_ONCE):
            yield np.stack(list(pool.map(partial(decode, size), files[start : start + AT_ONCE])))


def _mapped(folder: Path, files: Sequence[Path], size: int, cache: Path) -> Images:
    """The images from their file in `cache`, written whole or not at all; older ones of theirs go."""
    kind = f".slsim-{size}-{_digest(str(folder.resolve()))}-"
    path = cache / f"{kind}{_fingerprint(folder, files)}.npy"
    shape = (len(files), 3, size, size)
    try:
        kept = _opened(path, shape)
        if kept is not None:
            return kept
        _write(path, shape, _decoded(files, size))
        images = _opened(path, shape)
    except OSError as error:
        raise DataError(
            f"decoded images cannot be kept in {cache}: {error}; set cache to a folder with room for them"
        ) from error
    for older in set(cache.glob(f"{kind}*.npy")) - {path}:
        with suppress(OSError):  # another process may be using it, where that prevents its removal
            older.unlink()
    assert images is not None
    return images


def _opened(path: Path, shape: tuple[int, ...]) -> Images | None:
    """The file's array, mapped; None where there is no such file, or one that a crash has cut off."""
    if not path.is_file():
        return None
    try:
        images: Images = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError):
        return None
    return images if images.shape == shape and images.dtype == np.uint8 else None


def _write(path: Path, shape: tuple[int, ...], parts: Iterator[Images]) -> None:
    """An .npy file, whole or not at all. It is written front to back: a full disk is an error that way,
    where it would end the process when written through a mapping."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.sweep(path.parent)
    needed, free = math.prod(shape), shutil.disk_usage(path.parent).free
    if needed > free:
        raise OSError(f"{needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free")
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with atomic.writing(path) as file:
        np.lib.format.write_array_header_1_0(file, header)
        for part in parts:
            file.write(part.tobytes())


def _fingerprint(folder: Path, files: Sequence[Path]) -> str:
    """Changes when a file is added, removed, renamed or written."""
    try:
        stats = [(path.relative_to(folder), path.stat()) for path in files]
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}") from error
    listed = [[path.as_posix(), stat.st_size, stat.st_mtime_ns] for path, stat in stats]
    return _digest(json.dumps([FORMAT, listed]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]
