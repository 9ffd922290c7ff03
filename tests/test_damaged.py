"""Whatever happens to a file of a study, it is named, the commands that do not need it work, and nobody sees
a traceback."""

from __future__ import annotations

import copy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from own_components import FILES, own_scenario

from slsim import cli
from slsim.study import run

Command = Callable[..., tuple[int, str, str]]
Damage = Callable[[Path], None]
STUDY = Path("results", "tiny")
COMMANDS: dict[str, tuple[str, ...]] = {
    "show": ("show", str(STUDY)),
    "plot": ("plot", str(STUDY)),
    "check": ("check", str(STUDY)),
    "replay": ("replay", str(STUDY), "--set", "network.uplink=2 Mbps"),
}


@pytest.fixture(scope="module")
def made(tiny_document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a study was made, results/tiny, of components and a trace of one's own, and with a
    hook. All that it was made of is gone since, but for code that is another now."""
    folder = tmp_path_factory.mktemp("made")
    document = own_scenario(copy.deepcopy(tiny_document), folder)
    document["training"] |= {"hooks": [{"name": "leakage", "samples": 8}], "evaluate_every": 1}
    (folder / "scenario.toml").write_text(tomli_w.dumps(document), encoding="utf-8")
    run(folder / "scenario.toml", folder / "results")
    for name in FILES:
        (folder / name).unlink()
    (folder / "own.py").write_text("raise RuntimeError('edited since')\n")
    return folder


@pytest.fixture
def there(made: Path, tmp_path: Path) -> Path:
    """A copy of that folder, with nothing in it but the study."""
    shutil.copytree(made / STUDY, tmp_path / STUDY)
    return tmp_path


@pytest.fixture
def slsim(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], there: Path) -> Command:
    """Runs a command in this process, without drawing: its exit status, what it printed, and its errors."""
    monkeypatch.chdir(there)
    monkeypatch.setattr(
        "slsim.report.figures.drawing._saved", lambda place, name, each, width_in, formats: [f"{name}.png"]
    )

    def command(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["slsim", *map(str, arguments)])
        status = 0
        try:
            cli.main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        return status, *capsys.readouterr()

    return command


def missing(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def a_folder(path: Path) -> None:
    missing(path)
    path.mkdir()


def truncated(path: Path) -> None:
    half = b"" if path.is_dir() else path.read_bytes()[: path.stat().st_size // 3]
    missing(path)
    path.write_bytes(half)


def garbage(path: Path) -> None:
    missing(path)
    path.write_bytes(bytes(range(256)) * 8)


def foreign(path: Path) -> None:
    """Sound, but something else."""
    others = {".toml": b"a = 1\n", ".json": b'[{"a": 1}]', ".csv": b"a,b\n1,2\n", ".py": b"x = 1\n"}
    tables = sorted(one for one in path.parent.glob("*.parquet") if one != path)
    other = tables[0].read_bytes() if path.suffix == ".parquet" else b"x"
    missing(path)
    path.write_bytes(others.get(path.suffix, other))


DAMAGES = (missing, a_folder, truncated, garbage, foreign)
TRAINING = "trainings/Half-none-*"
# Of each file: the commands that cannot do their work without it, those that say that it is damaged, and the
# damages that are tried.
FILES_OF: dict[str, tuple[set[str], set[str], tuple[Damage, ...]]] = {
    "scenario.toml": ({"check", "replay"}, set(), DAMAGES),
    "manifest.json": (set(), {"check"}, DAMAGES),
    "summary.csv": (set(), {"show", "plot", "check"}, DAMAGES),
    "runs.csv": (set(), {"show", "check"}, (truncated, foreign)),
    "crossovers.csv": (set(), {"show", "check"}, (missing, garbage)),
    "curves.csv": (set(), {"show", "plot", "check"}, (missing, truncated)),
    "breakdown.csv": (set(), {"show", "plot", "check"}, (truncated, foreign)),
    "measurements.csv": (set(), {"show", "plot", "check"}, (truncated, garbage)),
    f"{TRAINING}/recording.json": (set(), {"check", "replay"}, (missing, truncated, foreign)),
    f"{TRAINING}/steps.parquet": (set(), {"check", "replay"}, DAMAGES),
    f"{TRAINING}/rounds.parquet": (set(), {"check", "replay"}, (foreign,)),
    f"{TRAINING}/evaluations.parquet": (set(), {"check", "replay"}, (garbage,)),
    f"{TRAINING}/measurements.parquet": (set(), {"check", "replay"}, (missing,)),
    "inputs/*/lte.csv": ({"check", "replay"}, set(), (missing, foreign)),
    "inputs/*/own.py": (set(), {"check"}, (garbage, a_folder)),
    "inputs/*/widths.py": (set(), {"check"}, (missing,)),
}


@pytest.mark.parametrize(
    ("file", "damage"), [(file, damage) for file, (*_, tried) in FILES_OF.items() for damage in tried]
)
def test_a_damaged_file_is_named_and_the_rest_works(
    file: str, damage: Damage, slsim: Command, there: Path
) -> None:
    (path,) = (there / STUDY).glob(file)
    damage(path)
    needing, telling, _ = FILES_OF[file]
    for name, command in COMMANDS.items():
        status, out, errors = slsim(*command)
        assert status == (2 if name in needing else 1 if name in telling else 0), (name, out, errors)
        told = out + errors
        assert "Traceback" not in told
        assert "slsim failed" not in told
        named = (f"{path.parent.name}/{path.name}", f"{path.parent.parent.name}/{path.parent.name}")
        assert status == 0 or any(one in told.replace("\n", "") for one in named), (name, told)


def test_a_study_answers_elsewhere_without_what_it_was_made_of(
    slsim: Command, there: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packed, sent and unpacked: the originals are gone, and the code is not what it was."""
    archive = shutil.make_archive(str(there / "sent"), "zip", there / STUDY)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.unpack_archive(archive, elsewhere / STUDY)
    shutil.rmtree(there / STUDY)
    monkeypatch.chdir(elsewhere)
    for command in COMMANDS.values():
        status, _, errors = slsim(*command)
        assert (status, errors) == (0, "")
    before = (elsewhere / STUDY / "summary.csv").read_text()
    (replayed,) = (elsewhere / STUDY / "replays").iterdir()
    assert slsim("show", replayed)[0] == 0
    assert slsim("check", replayed)[0] == 0
    slsim("replay", STUDY)
    assert (elsewhere / STUDY / "summary.csv").read_text() == before


@pytest.mark.parametrize("command", ["show", "plot", "check", "replay", "clean"])
@pytest.mark.parametrize("path", ["nowhere", ".", "notes.txt", "results/tiny/scenario.toml", "a\0b"])
def test_what_is_no_study_is_named(command: str, path: str, slsim: Command, there: Path) -> None:
    (there / "notes.txt").write_text("a file\n")
    status, _, errors = slsim(command, path)
    assert status == 2
    assert "Traceback" not in errors
    assert "slsim failed" not in errors
    assert path == "a\0b" or f"{path} is no study" in errors or f"there is no study in {path}" in errors
