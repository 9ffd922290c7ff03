"""Settings of a command line: TOML where it parses, lists by commas, text otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from slsim.errors import FaultsError
from slsim.scenario.settings import parse_settings


def test_settings_are_toml_where_they_parse_and_repeat_to_sweep() -> None:
    settings = [
        "network.uplink=1 Mbps",
        "network.uplink=2 Mbps",
        "training.epochs=3",
        "codec.uplink={name='qu', bits=2}",
    ]
    assert parse_settings(settings) == {
        "network.uplink": ["1 Mbps", "2 Mbps"],
        "training.epochs": 3,
        "codec.uplink": {"name": "qu", "bits": 2},
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 Mbps, 10 Mbps", ["1 Mbps", "10 Mbps"]),
        ("0.1,0.01", [0.1, 0.01]),
        ("1, 2.5, three, true", [1, 2.5, "three", True]),
        ('{name="qu",bits=3},identity', [{"name": "qu", "bits": 3}, "identity"]),
        ("identity,{name='ms', sparsity=0.9}", ["identity", {"name": "ms", "sparsity": 0.9}]),
        ("[1, 2], [3]", [[1, 2], [3]]),
        ("[1, 2]", [1, 2]),
        ('"a, b"', "a, b"),
        ("'a, b', c", ["a, b", "c"]),
        ('"a, b", "c"', ["a, b", "c"]),
        ("1 Mbps .. 1 Gbps / 20", "1 Mbps .. 1 Gbps / 20"),
        ("1 Mbps .. 4 Mbps / 3, 1 Gbps", ["1 Mbps .. 4 Mbps / 3", "1 Gbps"]),
        ("it's, that", "it's, that"),
        ("f(a, b)", "f(a, b)"),
        ("[a, b", "[a, b"),
        ("baseline - 1%", "baseline - 1%"),
        (" text ", "text"),
        ("", ""),
        ("a=b", "a=b"),
    ],
)
def test_a_value_is_toml_or_a_list_by_commas_or_text(text: str, value: Any) -> None:
    assert parse_settings([f"key={text}"]) == {"key": value}


def test_a_key_again_has_all_its_values() -> None:
    assert parse_settings(["a=1,2", "a=3", " a =[4, 5]"]) == {"a": [1, 2, 3, [4, 5]]}
    assert parse_settings(["seed=0", "seeds=5"]) == {"seed": 0, "seeds": 5}
    assert parse_settings(None) == parse_settings([]) == {}


@pytest.mark.parametrize("setting", ["a", "=1", " =1", "a=1,,2", "a=1,", "a=,"])
def test_what_is_no_setting_is_one_fault(setting: str) -> None:
    with pytest.raises(FaultsError, match="--set: .*(is not KEY=VALUE|has an empty value)"):
        parse_settings([setting])
