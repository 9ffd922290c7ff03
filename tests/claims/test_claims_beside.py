"""A study beside a claim: the same codecs with the same parameters, and what is in one of the two only."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from claim_cases import written

from slsim import claims
from slsim.claims import Measured, beside
from slsim.claims.alongside import in_short, unmatched
from slsim.codecs import create

Command = Callable[..., Any]
VGG = {"data": "cifar10", "model": "vgg19", "cut": "medium"}
PAPER = claims.load("mask-encoded-sparsification")


def measured(name: str, where: dict[str, str] | None = None, **parameters: Any) -> Measured:
    """A setting of a codec that saved ten times the traffic."""
    codec = create(name, **parameters).model_dump(mode="json", exclude_none=True)
    return Measured(f"my {name}", {"name": name, **codec}, where or {"data": "mine"}, 3, 3, 10.0, 9.0, 11.0)


def test_a_codec_stands_beside_the_column_of_the_same_parameters() -> None:
    (found,) = beside(PAPER, [measured("ms"), measured("ms", bits=3), measured("identity")])
    assert (found.column, found.measured.setting) == ("ms", "my ms")
    assert found.printed == "12.29 to 13.63, INF in 1 of 9"
    assert found.at_most == "13.79"
    assert not found.alike


def test_the_row_of_the_same_data_model_and_cut_is_shown_alone() -> None:
    (found,) = beside(PAPER, [measured("qu", VGG)])
    assert found.alike
    assert found.printed == "9.92"
    (other,) = beside(PAPER, [measured("qu", {**VGG, "cut": "2"})])
    assert not other.alike
    assert other.printed == "9.92 to 10.37, INF in 7 of 9"


def test_what_is_in_one_of_both_only_is_said() -> None:
    told = list(unmatched(PAPER, [measured("ms"), measured("identity")]))
    assert told == [
        "not in the claim: my identity",
        "not in the study, with these parameters: qu, sp, rt",
    ]
    (_, nothing) = unmatched(claims.load("splitlite"), [measured("ms")])
    assert "nothing to compare" in nothing


@pytest.mark.parametrize(
    ("texts", "short"),
    [
        (["INF"], "INF"),
        (["INF", "INF"], "INF in 2 of 2"),
        (["9.50"], "9.50"),
        (["10.1", "9.50"], "9.50 to 10.1"),
        (["9.50", "9.50", "INF"], "9.50, INF in 1 of 3"),
    ],
)
def test_figures_of_several_rows_are_told_in_short(texts: list[str], short: str) -> None:
    assert in_short(texts) == short


def test_the_command_puts_a_study_beside_a_claim(tiny_study: Path, tmp_path: Path, command: Command) -> None:
    changes = {
        "columns.qu4.codec": {"name": "qu", "bits": 3},
        "rows.0.setting": {"data": "npz", "model": "mlp", "cut": "shallow"},
    }
    written(tmp_path, **changes)
    done = command("check", tiny_study, "--against", "mine.toml")
    assert done.returncode == 0
    lines = [line for line in done.stdout.splitlines() if line.startswith("│")]
    row = [cell.strip() for cell in lines[-1].strip("│").split("│")]
    assert row[0] == "QU (3 bits)"
    assert not math.isnan(float(row[1]))
    assert row[2:] == ["1 of 1", "7.62", "10.67"]  # 512 / 48
    assert "Not in the claim: identity, MS (90 %, 2 bits)." in done.stdout
    assert "No row is of" not in done.stdout
    assert "ok   mine: 2 checks" in done.stdout


def test_a_tampered_summary_or_claim_fails_beside_one_another(
    tiny_study: Path, tmp_path: Path, command: Command
) -> None:
    written(tmp_path, **{"rows.0.printed.qu4": "9.62"})
    done = command("check", tiny_study, "--against", "mine.toml")
    assert done.returncode == 1
    assert "mine.toml: rows[0].printed.qu4" in done.stdout
    summary = pd.read_csv(tiny_study / "summary.csv", dtype=str, keep_default_na=False)
    summary.loc[2, "traffic_multiplier"] = "9.5"
    summary.to_csv(tiny_study / "summary.csv", index=False)
    written(tmp_path)
    done = command("check", tiny_study, "--against", "mine.toml")
    assert done.returncode == 1
    assert "FAIL summary.csv, MS (90 %, 2 bits)" in done.stdout
    assert "traffic_multiplier: 9.5 saved, " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--against", "splitlite"), "needs a study"),
        (("results/tiny", "--claim", "splitlite"), "stands alone"),
        (("results/tiny", "--against", "none.toml"), "none.toml: cannot be read"),
        (("results/tiny", "--against", "none"), 'no claim "none" ships'),
        (("none", "--against", "splitlite"), "none is no study"),
    ],
)
def test_what_does_not_go_together_is_told(
    arguments: tuple[str, ...], words: str, tiny_study: Path, command: Command
) -> None:
    done = command("check", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
