"""No traceback: whatever scenario, file or model is brought, the command ends in 0 or 2 with a reason, or in
1 where a component of one's own failed."""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tomli_w

from slsim import cli

Write = Callable[[dict[str, Any]], Path]
Command = Callable[..., tuple[int, str]]

ODD: list[Any] = [
    0, -1, 1, 10**12, 10**400, 2**63, 0.5, -0.5, 1e308, 5e-324, float("inf"), float("nan"), True, False,
    "", " ", "x", "../..", "a\0b", "[/b]", "\n", "é", "1", "1 Mbps", "-1 Mbps", "1e999999 Mbps", "1e-308 bps",
    "5 ms", "0 s", "baseline - 200%", "none.toml", "none.py:None", ".py:", "cpu", "x" * 300, "mlp",
    [], [[]], [1], ["1 Mbps", "1000 kbps"], [{}], {}, {"name": "qu"}, {"name": 3}, {"share": 1.0},
    [{"share": 0.5}], {"rate": "1 bps"}, {"trace": "none.csv"}, {"milestones": [float("inf")], "factor": 0.5},
]  # fmt: skip
NEW_KEYS = ["x", "name", "share", "cut", "count", "bits", "sparsity", "per_round", "rate", "", "a.b", "sweep"]


@pytest.fixture
def slsim(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Runs a command in this process: its exit status, and what it printed to stderr."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["slsim", *map(str, arguments)])
        status = 0
        try:
            cli.main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        return status, capsys.readouterr().err

    return command


def check(status: int, errors: str, allowed: tuple[int, ...] = (0, 2)) -> None:
    assert status in allowed, errors
    assert "Traceback" not in errors
    assert "slsim failed" not in errors
    assert status == 0 or errors.strip()


def tables_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        document,
        *(one for value in document.values() if isinstance(value, dict) for one in tables_of(value)),
    ]


def mutated(document: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """The document with one to three of its keys removed, set to something odd, or new."""
    document = copy.deepcopy(document)
    for _ in range(rng.randint(1, 3)):
        table = rng.choice(tables_of(document))
        key = rng.choice([*table, rng.choice(NEW_KEYS)])
        if rng.random() < 0.15:
            table.pop(key, None)
        else:
            table[key] = copy.deepcopy(rng.choice(ODD))
    return document


def drawn(tiny: dict[str, Any]) -> dict[str, Any]:
    """A scenario with something of everything, of one round."""
    return {
        **tiny,
        "seed": 0,
        "data": {**tiny["data"], "partition": {"dirichlet": 0.5}, "augment": {"crop": 1, "flip": True}},
        "clients": {**tiny["clients"], "per_round": 2, "device": "atlas-200-dk"},
        "server": {"device": {"name": "rtx-3090"}, "parallel": 1},
        "codec": {"uplink": {"name": "ms", "sparsity": 0.9, "bits": 2}, "downlink": "identity"},
        "network": {
            "uplink": {"rate": "10 Mbps", "latency": "1 ms"},
            "latency": "1 ms",
            "framing": {"segment": 1448, "header": 66},
            "jitter": {"spread": 0.1, "every": "1 s"},
        },
        "training": {
            "protocol": {"name": "splitfed"},
            "max_rounds": 1,
            "schedule": {"milestones": [1], "factor": 0.5},
            "target_accuracy": 0.5,
        },
        "sweep": {"codec.uplink.bits": [2]},
    }


@pytest.mark.parametrize("seed", range(70))
def test_a_drawn_scenario_is_read_or_refused_with_a_reason(
    seed: int, tiny: dict[str, Any], slsim: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = mutated(drawn(tiny), random.Random(seed))
    (tmp_path / "s.toml").write_text(tomli_w.dumps(document), encoding="utf-8")
    check(*slsim("partition", "s.toml"))


FILES: dict[str, bytes] = {
    "empty": b"",
    "not UTF-8": b'name = "\xff"',
    "a byte order mark and nothing else": b"\xef\xbb\xbf",
    "UTF-16": 'name = "x"'.encode("utf-16"),
    "nested": b"a = " + b"[" * 5000 + b"]" * 5000,
    "nested tables": b"[" + b".".join([b"a"] * 5000) + b"]",
    "nested 40 deep": b"a = " + b"[" * 40 + b"]" * 40,
    "a number of 5,000 digits": b"seed = " + b"9" * 5000,
    "a number of 400 digits": b"seed = " + b"9" * 400,
    "a date": b"name = 2020-01-01\nseed = 12:00:00",
    "a key twice": b"seed = 1\nseed = 2",
    "zip": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_is_no_scenario_is_refused_with_a_reason(
    what: str, slsim: Command, tmp_path: Path
) -> None:
    (tmp_path / "s.toml").write_bytes(FILES[what])
    status, errors = slsim("run", "s.toml")
    check(status, errors, (2,))
    assert errors.startswith("s.toml: ")


def test_a_byte_order_mark_is_read(tiny: dict[str, Any], slsim: Command, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_bytes(b"\xef\xbb\xbf" + tomli_w.dumps(tiny).encode())
    assert slsim("partition", "s.toml")[0] == 0


@pytest.mark.parametrize("path", ["none.toml", ".", "a\0b.toml", "\udcff.toml", "x" * 5000])
def test_a_path_that_is_no_file_is_refused_with_a_reason(path: str, slsim: Command) -> None:
    check(*slsim("run", path), (2,))


SETTINGS: dict[str, str] = {
    "training.epochs": "9" * 400,
    "training.schedule": "{milestones=[inf], factor=0.5}",
    "training.learning_rate": "nan",
    "clients.count": "1000000000000",
    "clients.batch_size": str(2**80),
    "seed": str(2**63),
    "data.augment": "{crop=1000000000}",
    "data.path": '"a\\u0000b"',
    "network.uplink": '"1e999999 Mbps"',
    "network.latency": "'5'",
    "network.uplink.x.y": "1",
    "codec.uplink": '"own.py:Missing"',
    "model.name": '["mlp", "none"]',
    "sweep": "3",
    "name": '["a", "b"]',
    "a": "[" * 3000,
    "data.partition": "{shards=1000000000}",
    "clients.device": "[{device='rtx-3090', share=2}]",
}


@pytest.mark.parametrize("key", SETTINGS)
def test_an_absurd_setting_is_refused_with_a_reason(
    key: str, tiny: dict[str, Any], slsim: Command, write: Write
) -> None:
    check(*slsim("run", write(tiny), "--set", f"{key}={SETTINGS[key]}"), (2,))


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ({"uplink": "1e-308 bps"}, "from 1 bps"),
        ({"jitter": {"spread": 0.5, "every": "1 ns"}}, "1 ms or more"),
        ({"jitter": {"spread": 0.5, "every": "1 ms"}, "uplink": "1 bps"}, "has not ended"),
        ({"framing": {"segment": 1, "header": 10**15}, "uplink": "1 bps"}, ""),
    ],
)
def test_a_network_that_cannot_be_played_is_told_before_anything_is_trained(
    network: dict[str, Any],
    words: str,
    tiny: dict[str, Any],
    slsim: Command,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("slsim.study.one_round.MOST_EVENTS", 1000)
    tiny["training"]["max_rounds"] = 1
    status, errors = slsim("run", write({**tiny, "network": network}))
    check(status, errors)
    assert words in errors
    assert status == 0 or not Path("results").exists()


OWN = '''
import os, math
import numpy as np
from slsim.codecs import Codec
from slsim.devices import Device
from torch import nn

class Base(Codec):
    """Mine."""
    def encode_values(self, values, shape, rng): return values.tobytes()
    def decode_values(self, content, shape): return np.frombuffer(content, "<f4")
    def body_bytes(self, shape): return 4 * math.prod(shape)

class Raises(Base):
    def encode_values(self, values, shape, rng): raise RuntimeError("[/b] my memory is wrong")

class Exits(Base):
    def encode_values(self, values, shape, rng): raise SystemExit(0)

class Writes(Base):
    def encode_values(self, values, shape, rng):
        values *= 0
        return values.tobytes()

class Sizes(Base):
    def body_bytes(self, shape): return None

class Moves(Base):
    def encode_values(self, values, shape, rng):
        os.chdir("/")
        return super().encode_values(values, shape, rng)

class Negative(Device):
    """Mine."""
    def piece_seconds(self, work): return -0.1

class Fails(nn.Module):
    def forward(self, x):
        if self.training and x.shape[0] == 20: raise KeyError("deep inside")
        return x

def fails(image_shape, num_classes):
    return nn.Sequential(nn.Flatten(), Fails(), nn.Linear(math.prod(image_shape), num_classes))

def exits(image_shape, num_classes): raise SystemExit(3)
def nothing(image_shape, num_classes): return None
'''


@pytest.fixture
def own(tiny: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """A scenario of one round, beside a file of one's own."""
    (tmp_path / "own.py").write_text(OWN)
    tiny["training"].update(max_rounds=1, evaluate_every=1, target_accuracy=0.5)
    return tiny


@pytest.mark.parametrize(
    ("codec", "words"),
    [
        ("Raises", "codec own.py:Raises, in encode_values: RuntimeError: [/b] my memory is wrong"),
        ("Exits", "codec own.py:Exits, in encode_values: SystemExit: 0"),
        ("Writes", "codec own.py:Writes, in encode_values: ValueError: output array is read-only"),
        (
            "Sizes",
            "codec own.py:Sizes, in body_bytes: gave None (NoneType); "
            "a whole number of bytes is due, 0 or more",
        ),
    ],
)
def test_a_codec_that_fails_is_named_and_the_other_trainings_are_done(
    codec: str, words: str, own: dict[str, Any], slsim: Command, write: Write
) -> None:
    own["sweep"] = {"codec.uplink": ["identity", f"own.py:{codec}", {"name": "qu", "bits": 3}]}
    status, errors = slsim("run", write(own))
    check(status, errors, (1,))
    assert f"failed: {codec}: {words} (traceback: " in errors
    (file,) = Path("results/tiny/trainings").glob(f"{codec}-*.error.txt")
    assert "Traceback" in file.read_text()
    runs = pd.read_csv("results/tiny/runs.csv").set_index("run")
    assert dict(runs["status"]) == {"identity": "finished", codec: "failed", "QU (3 bits)": "finished"}
    assert runs.loc[codec, "failure"] == words
    assert slsim("check", "results/tiny")[0] == 0


def test_a_training_that_failed_is_done_once_its_codec_is_mended(
    own: dict[str, Any], slsim: Command, write: Write, tmp_path: Path
) -> None:
    own["sweep"] = {"codec.uplink": ["own.py:Exits"]}
    status, errors = slsim("run", write(own))
    check(status, errors, (1,))
    assert errors.startswith("no training could be done:\nExits: codec own.py:Exits")
    (tmp_path / "own.py").write_text(OWN.replace("raise SystemExit(0)", "return values.tobytes()"))
    assert slsim("run", write(own))[0] == 0


def test_a_codec_that_changes_the_directory_changes_nothing(
    own: dict[str, Any], slsim: Command, write: Write, tmp_path: Path
) -> None:
    own["sweep"] = {"codec.uplink": ["own.py:Moves"]}
    assert slsim("run", write(own))[0] == 0
    assert (tmp_path / "results" / "tiny" / "summary.csv").is_file()


def test_a_device_without_a_time_is_told_before_anything_is_trained(
    own: dict[str, Any], slsim: Command, write: Write
) -> None:
    own["clients"]["device"] = "own.py:Negative"
    status, errors = slsim("run", write(own))
    check(status, errors, (2,))
    assert "device own.py:Negative, in piece_seconds: gave -0.1 (float) for client forward" in errors
    assert not Path("results").exists()


@pytest.mark.parametrize("model", ["fails", "exits", "nothing"])
def test_a_model_that_fails_is_named(model: str, own: dict[str, Any], slsim: Command, write: Write) -> None:
    own["model"] = {"name": f"own.py:{model}", "cut": 1}
    own["sweep"] = {}
    status, errors = slsim("run", write(own))
    check(status, errors, (1, 2))
    assert model in errors
