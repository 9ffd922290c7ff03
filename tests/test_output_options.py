"""`--json` prints what readers see as data, `--quiet` nothing but errors; completion is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import slsim
from slsim.study.study import SAVED

Write = Callable[[dict[str, Any]], Path]
Command = Callable[..., Any]


def data_of(output: str) -> Any:
    """The JSON that was printed, of which nothing is infinite."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(output, parse_constant=refuse)


def test_a_run_prints_its_tables_as_json_and_its_progress_elsewhere(
    tiny: dict[str, Any], write: Write, tmp_path: Path, command: Command
) -> None:
    done = command("run", write(tiny), "--results", tmp_path / "r", "--json")
    assert done.returncode == 0
    found = data_of(done.stdout)
    assert tuple(found) == (*SAVED, "notes")
    assert [one["codec_name"] for one in found["summary"]] == ["identity", "qu", "ms"]
    assert "36 of 36 rounds" in done.stderr
    quiet = command("run", write(tiny), "--results", tmp_path / "r", "--quiet")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "inside"),
    [
        (("show",), "summary"),
        (("replay", "--set", "network.uplink=1 Mbps"), "runs"),
        (("check",), None),
        (("compare",), None),
        (("clean",), None),
        (("frontier", "--against", "qu"), "bd_rates"),
    ],
)
def test_what_a_study_is_asked_is_answered_as_json(
    tiny_study: Path, command: Command, arguments: tuple[str, ...], inside: str | None
) -> None:
    name, *rest = arguments
    done = command(name, tiny_study, *rest, "--json")
    assert done.returncode == 0, done.stderr
    found = data_of(done.stdout)
    assert isinstance(found if inside is None else found[inside], list)


def test_what_needs_no_study_is_answered_as_json(
    tiny: dict[str, Any], write: Write, tmp_path: Path, command: Command
) -> None:
    path = write(tiny)
    codecs = data_of(command("list", "codecs", "--json").stdout)["codecs"]
    assert {"qu", "ms"} <= {one["name"] for one in codecs}
    plan = data_of(command("plan", path, "--no-measure", "--results", tmp_path, "--json").stdout)
    assert [one["state"] for one in plan["trainings"]] == ["to do"] * 3
    shares = data_of(command("partition", path, "--results", tmp_path, "--json").stdout)["partition"]
    assert sum(one["samples"] for one in shares) == 240
    half = ("--model", "mlp", "--cut", "deep", "--image-shape", "1x8x8", "--classes", "4", "--repeats", "1")
    device = data_of(command("calibrate", *half, "--codec", "ms", "--json").stdout)
    assert device["codecs"]["ms"]["encode"].endswith("s")
    claims = data_of(command("check", "--json").stdout)
    assert all(one["passed"] for one in claims)


def test_a_frontier_is_told_over_a_setting_or_a_part_of_its_name(tiny_study: Path, command: Command) -> None:
    done = command("frontier", tiny_study, "--against", "QU", "--counted", "uplink")
    assert "QU (3 bits)" in done.stdout
    assert "Best test accuracy within so many bytes up, in %" in done.stdout
    wrong = command("frontier", tiny_study, "--against", "mss")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith('there is no setting "mss"; ')


def test_errors_are_told_where_all_else_is_quiet(tiny_study: Path, command: Command) -> None:
    assert command("replay", tiny_study, "--quiet").stdout == ""
    (damaged,) = (tiny_study / "trainings").glob("qu-*")
    (damaged / "steps.parquet").write_bytes(b"no")
    done = command("replay", tiny_study, "--quiet")
    assert done.returncode == 1
    assert "cannot be read" in done.stderr


def test_a_shell_can_complete(command: Command) -> None:
    assert "--install-completion" in command("--help").stdout


def test_a_frontier_is_over_each_settings_own_baseline_unless_told(
    tiny_study: Path, command: Command
) -> None:
    assert "identity both" in command("frontier", tiny_study).stdout
    study = slsim.open_study(tiny_study)
    own, over = study.bd_rate(), study.bd_rate("identity")
    assert own["bd_rate"].tolist() == pytest.approx(over["bd_rate"].tolist(), nan_ok=True)
    assert list(own) == list(over)
