"""A model, a codec, data, a device and a trace of a user's own, and a scenario of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

OWN = '''
import math
import numpy as np
from torch import nn
from widths import WIDTH
from slsim.codecs import Codec
from slsim.devices import Device
from slsim.learning.data.files import Npz

class Half(Codec):
    """float16: half the bytes."""

    scale: str = "none"

    def encode_values(self, values, shape, rng):
        return values.astype("<f2").tobytes()

    def decode_values(self, content, shape):
        return np.frombuffer(content, "<f2").astype(np.float32)

    def body_bytes(self, shape):
        return 2 * math.prod(shape)

def net(image_shape, num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, WIDTH), nn.ReLU(), nn.Linear(WIDTH, num_classes))

class Data(Npz):
    """As .npz."""

class Slow(Device):
    """A second, whatever is to be done."""

    def piece_seconds(self, work):
        return 1.0
'''

FILES = ("own.py", "widths.py", "lte.csv", "own.npz")


def own_scenario(tiny: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The document of a scenario of two trainings of two rounds; its files are written into `folder`."""
    (folder / "own.py").write_text(OWN)
    (folder / "widths.py").write_text("WIDTH = 8\n")
    (folder / "lte.csv").write_text("time_s,rate\n0,20 Mbps\n1,3 Mbps\n")
    shutil.copy(tiny["data"]["path"], folder / "own.npz")
    return {
        **tiny,
        "data": {"name": "own.py:Data", "path": "own.npz"},
        "model": {"name": "own.py:net", "cut": 3},
        "network": {"uplink": {"trace": "lte.csv"}},
        "training": {**tiny["training"], "max_rounds": 2},
        "sweep": {"codec.uplink": ["identity", "own.py:Half"]},
    }
