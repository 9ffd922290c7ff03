"""Data sets: images and labels as they come (uint8), and the registry of what provides them.

Importing this package imports neither torch nor torchvision: a source needs them, if at all, in `load`. A
source's module is imported when the source is first named, or its class first asked for.
"""

from typing import TYPE_CHECKING

from slsim import lazy
from slsim.learning.data.base import Dataset, DataSource, register, registry

if TYPE_CHECKING:
    from slsim.learning.data.collections import Cifar10, Cifar100, FashionMnist
    from slsim.learning.data.files import FashionMini, Npz, read_npz
    from slsim.learning.data.folder import Folder, ImageNet
    from slsim.learning.data.loading import checked, load_data

__all__ = [
    "Cifar10",
    "Cifar100",
    "DataSource",
    "Dataset",
    "FashionMini",
    "FashionMnist",
    "Folder",
    "ImageNet",
    "Npz",
    "checked",
    "load_data",
    "read_npz",
    "register",
    "registry",
]

_HOMES = {
    "collections": ("Cifar10", "Cifar100", "FashionMnist"),
    "files": ("FashionMini", "Npz", "read_npz"),
    "folder": ("Folder", "ImageNet"),
    "loading": ("checked", "load_data"),
}
__getattr__ = lazy.attributes(__name__, _HOMES)
