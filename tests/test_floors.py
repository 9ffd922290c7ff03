"""The house rules that a machine can check: imports go only downward, and the planes stay apart."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import slsim

PACKAGE = Path(slsim.__file__).parent

FLOORS = {
    "slsim.errors": 0,
    "slsim.atomic": 0,
    "slsim.own_code": 0,
    "slsim.units": 0,
    "slsim.seeds": 0,
    "slsim.boundary": 0,
    "slsim.entry_points": 0,
    "slsim.interruption": 0,
    "slsim.lazy": 0,
    "slsim.own_files": 0,
    "slsim.registry": 0,
    "slsim.traces": 0,
    "slsim.scenario": 1,
    "slsim.recording": 1,
    "slsim.codecs": 2,
    "slsim.network": 2,
    "slsim.devices": 2,
    "slsim.learning": 3,
    "slsim.testing": 3,
    "slsim.calibration": 4,
    "slsim.protocols": 4,
    "slsim.simulation": 5,
    "slsim.saved": 5,
    "slsim.results": 6,
    "slsim.analysis": 7,
    "slsim.checks": 7,
    "slsim.report": 8,
    "slsim.study": 9,
    "slsim.validation": 9,
    "slsim.cli": 10,
    "slsim.__main__": 11,
    "slsim": 10,
}
WITHIN_FLOOR = {  # a room may use one beside it, where that is no circle
    "slsim.atomic": {"slsim.errors"},
    "slsim.units": {"slsim.errors"},
    "slsim.boundary": {"slsim.errors"},
    "slsim.entry_points": {"slsim.errors", "slsim.boundary"},
    "slsim.own_code": {"slsim.errors"},
    "slsim.registry": {
        "slsim.errors",
        "slsim.units",
        "slsim.boundary",
        "slsim.entry_points",
        "slsim.own_files",
        "slsim.own_code",
    },
    "slsim.traces": {"slsim.errors", "slsim.units"},
    "slsim.checks": {"slsim.analysis"},
    "slsim.validation": {"slsim.study"},
}
FORBIDDEN = {
    "slsim.scenario": {"torch", "simpy"},
    "slsim.recording": {"torch", "simpy"},
    "slsim.devices": {"torch", "simpy"},
    "slsim.network": {"torch"},
    "slsim.codecs": {"simpy"},
    "slsim.learning": {"simpy"},
}


def imports_of(source: str) -> set[str]:
    """Every module that a source imports, at any depth, under `if TYPE_CHECKING` included."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they go"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room_of(module: str) -> str:
    """The room that holds `module`: `slsim.codecs.ms` is in `slsim.codecs`."""
    room = ".".join(module.split(".")[:2])
    return room if room in FLOORS else "slsim"


def violations(module: str, source: str) -> list[str]:
    """What `module` imports and must not."""
    room = room_of(module)
    wrong = []
    for imported in sorted(imports_of(source)):
        top = imported.partition(".")[0]
        if top in FORBIDDEN.get(room, set()):
            wrong.append(f"{module} imports {top}")
        other = room_of(imported)
        if top != "slsim" or other == room or imported == "slsim":
            continue
        if FLOORS[other] >= FLOORS[room] and other not in WITHIN_FLOOR.get(room, set()):
            wrong.append(f"{module} (floor {FLOORS[room]}) imports {other} (floor {FLOORS[other]})")
    return wrong


def modules() -> list[tuple[str, Path]]:
    files = sorted(PACKAGE.rglob("*.py"))
    names = [".".join(("slsim", *file.relative_to(PACKAGE).with_suffix("").parts)) for file in files]
    return [(name.removesuffix(".__init__"), file) for name, file in zip(names, files, strict=True)]


@pytest.mark.parametrize(("module", "file"), modules(), ids=[name for name, _ in modules()])
def test_imports_go_only_downward(module: str, file: Path) -> None:
    assert violations(module, file.read_text(encoding="utf-8")) == []


def test_every_file_is_in_a_room_with_a_floor() -> None:
    rooms = {".".join(name.split(".")[:2]) for name, _ in modules()}
    assert rooms == set(FLOORS)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("slsim.codecs.ms", "import simpy"),
        ("slsim.learning.trainer", "from simpy.events import Event"),
        ("slsim.network.flows", "def f():\n    import torch.nn"),
        ("slsim.devices", "from slsim.study import run"),
        ("slsim.codecs.ms", "from slsim.network import Link"),
        ("slsim.scenario.plan", "if True:\n    from slsim import codecs"),
        ("slsim.analysis.summary", "from slsim.checks import Check"),
    ],
)
def test_the_check_can_fail(module: str, source: str) -> None:
    assert len(violations(module, source)) == 1
