"""Makes `slsim/learning/fashion_mini.npz` from the original Fashion-MNIST files.

    python scripts/make_fashion_mini.py /usr/share/datasets/fashion-mnist

The folder holds the four `*-ubyte.gz` files of github.com/zalandoresearch/fashion-mnist (on Debian:
`apt-get install dataset-fashion-mnist`). The first 600 training and the first 100 test images of each
class are kept, in their original order, so the result is the same on every machine.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

OUTPUT = Path(__file__).parent.parent / "slsim" / "learning" / "fashion_mini.npz"


def read_idx(path: Path) -> NDArray[np.uint8]:
    """An IDX file of unsigned bytes: two zero bytes, type 8, the number of dimensions, each as uint32."""
    raw = gzip.decompress(path.read_bytes())
    dimensions = raw[3]
    assert raw[:3] == b"\x00\x00\x08", f"{path} is not an IDX file of bytes"
    shape = np.frombuffer(raw, dtype=">u4", count=dimensions, offset=4)
    return np.frombuffer(raw, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def first_of_each_class(labels: NDArray[np.uint8], count: int) -> NDArray[np.intp]:
    """The positions of the first `count` samples of every class, ascending."""
    return np.sort(np.concatenate([np.flatnonzero(labels == label)[:count] for label in range(10)]))


def main(folder: Path) -> None:
    arrays = {}
    for split, prefix, count in (("train", "train", 600), ("test", "t10k", 100)):
        images = read_idx(folder / f"{prefix}-images-idx3-ubyte.gz")
        labels = read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz")
        chosen = first_of_each_class(labels, count)
        arrays[f"x_{split}"], arrays[f"y_{split}"] = images[chosen], labels[chosen]
    np.savez_compressed(OUTPUT, allow_pickle=False, **arrays)
    print(f"{OUTPUT}: {OUTPUT.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
