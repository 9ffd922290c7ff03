"""The house rules that a machine can check: imports go only downward, those that are carried out later too,
and the planes stay apart."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import slsim
from slsim import entry_points
from slsim.registry import kinds

PACKAGE = Path(slsim.__file__).parent
QUICKSTART = PACKAGE.parent / "scenarios" / "quickstart.toml"

FLOORS = {
    "slsim.errors": 0,
    "slsim.atomic": 0,
    "slsim.own_code": 0,
    "slsim.compiled": 0,
    "slsim.units": 0,
    "slsim.seeds": 0,
    "slsim.boundary": 0,
    "slsim.entry_points": 0,
    "slsim.circumstances": 0,
    "slsim.code_hash": 0,
    "slsim.interruption": 0,
    "slsim.lazy": 0,
    "slsim.locks": 0,
    "slsim.threads": 0,
    "slsim.own_files": 0,
    "slsim.registry": 0,
    "slsim.traces": 0,
    "slsim.verdict": 0,
    "slsim.named": 0,
    "slsim.scenario": 1,
    "slsim.recording": 1,
    "slsim.codecs": 2,
    "slsim.network": 2,
    "slsim.devices": 2,
    "slsim.events": 2,
    "slsim.forecast": 2,
    "slsim.claims": 3,
    "slsim.clock": 3,
    "slsim.learning": 3,
    "slsim.testing": 4,
    "slsim.calibration": 4,
    "slsim.protocols": 4,
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
    "slsim.locks": {"slsim.atomic"},
    "slsim.units": {"slsim.errors"},
    "slsim.named": {"slsim.errors", "slsim.units"},
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
FORBIDDEN = {  # packages, and rooms on lower floors
    "slsim.scenario": {"torch", "simpy"},
    "slsim.recording": {"torch", "simpy"},
    "slsim.devices": {"torch", "simpy"},
    "slsim.network": {"torch"},
    "slsim.codecs": {"simpy"},
    "slsim.claims": {"torch", "simpy"},
    "slsim.clock": {"torch", "slsim.learning", "slsim.protocols"},
    "slsim.learning": {"simpy", "slsim.clock"},
    "slsim.protocols": {"simpy", "slsim.clock"},
}


NAME = re.compile(r"\bslsim(?:\.\w+)+")


def imports_of(source: str) -> set[str]:
    """Every module that a source imports, at any depth, under `if TYPE_CHECKING` included, or names in a
    string, by which the source may import the module when it runs."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they go"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {name for name in NAME.findall(node.value) if room_of(name) != "slsim"}
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
        top, other = imported.partition(".")[0], room_of(imported)
        if forbidden := {top, other} & FORBIDDEN.get(room, set()):
            wrong.append(f"{module} imports {forbidden.pop()}")
            continue
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
        ("slsim.learning.exchange", "from simpy.events import Event"),
        ("slsim.clock.events", "import torch"),
        ("slsim.clock.program", "from slsim.protocols import SplitFed"),
        ("slsim.clock.clock", "if TYPE_CHECKING:\n    from slsim.learning.exchange import Exchange"),
        ("slsim.learning.loop", "from slsim.clock import Clock"),
        ("slsim.protocols.local", "import simpy"),
        ("slsim.protocols.base", "from slsim.clock import Timeline"),
        ("slsim.devices.base", "from slsim.clock import Stage"),
        ("slsim.network.flows", "def f():\n    import torch.nn"),
        ("slsim.devices", "from slsim.study import run"),
        ("slsim.codecs.ms", "from slsim.network import Link"),
        ("slsim.scenario.plan", "if True:\n    from slsim import codecs"),
        ("slsim.analysis.summary", "from slsim.checks import Check"),
        ("slsim.registry", "HOME = 'slsim.codecs.base'"),
        ("slsim.registry", "importlib.import_module(f'slsim.codecs.{name}')"),
        ("slsim.codecs.base", "import_module('slsim.study')"),
    ],
)
def test_the_check_can_fail(module: str, source: str) -> None:
    assert len(violations(module, source)) == 1


# What runs when a module is imported: no circles.


def runs_at_import(body: Iterable[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports among the statements of a module that are carried out when the module is imported."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If):
            only_for_types = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            yield from runs_at_import(node.orelse if only_for_types else [*node.body, *node.orelse])
        elif isinstance(node, ast.With | ast.ClassDef):
            yield from runs_at_import(node.body)
        elif isinstance(node, ast.Try):
            handlers = [step for handler in node.handlers for step in handler.body]
            yield from runs_at_import([*node.body, *handlers, *node.orelse, *node.finalbody])


def import_graph(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Of each module, by name, those of `sources` that are imported with it."""
    graph: dict[str, set[str]] = {}
    for module, source in sources.items():
        found: set[str] = set()
        for node in runs_at_import(ast.parse(source).body):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            else:
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                found |= {name if name in sources else str(node.module) for name in inner}
        graph[module] = found & sources.keys()
    return graph


def circle(sources: Mapping[str, str]) -> list[str]:
    """The modules of a circle of imports; none where there is no circle."""
    try:
        TopologicalSorter(import_graph(sources)).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_two_files_import_each_other() -> None:
    assert circle({name: file.read_text(encoding="utf-8") for name, file in modules()}) == []


def test_a_circle_is_found() -> None:
    lazily = "def f():\n    import a"
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a"
    assert circle({"a": "import b", "b": lazily}) == circle({"a": "import b", "b": typed}) == []
    assert set(
        circle({"a": "from b import c", "b": "", "b.c": "try:\n    import a\nfinally:\n    pass"})
    ) == {
        "a",
        "b.c",
    }


# What runs when a scenario is loaded.

HEAVY = {
    "simpy",
    "torch",
    "torchvision",
    "pandas",
    "pyarrow",
    "matplotlib",
    "numba",
    "scipy",
    "rich",
    "typer",
}
NAMED = {  # by quickstart.toml and by the defaults of what it leaves out
    "slsim.codecs.identity",
    "slsim.codecs.ms",
    "slsim.codecs.qu",
    "slsim.codecs.rt",
    "slsim.codecs.sp",
    "slsim.devices.catalogue",
    "slsim.learning.data.files",
    "slsim.learning.models.small",
    "slsim.network.transport",
    "slsim.protocols.splitfed",
}
OF_LEARNING = {
    "slsim.learning.outline",
    "slsim.learning",
    "slsim.learning.data",
    "slsim.learning.data.arrays",
    "slsim.learning.data.base",
    "slsim.learning.data.files",
    "slsim.learning.models",
    "slsim.learning.models.base",
    "slsim.learning.models.small",
}
OF_NETWORK = {
    "slsim.network",
    "slsim.network.framing",
    "slsim.network.links",
    "slsim.network.transport",
}
ABOVE = {room for room, floor in FLOORS.items() if floor > FLOORS["slsim.protocols"]}


def loaded_with(scenario: Path) -> set[str]:
    """The modules that are imported once a scenario is loaded, in a process of its own."""
    program = f"import sys, slsim.scenario as s; s.load({str(scenario)!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def offered() -> set[str]:
    """The modules that hold components."""
    groups = [entry_points.claims(f"slsim.{kind}").values() for kind in kinds()]
    return {point.module for points in groups for claims in points for point in claims}


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules that loading the quickstart's scenario imports."""
    return loaded_with(QUICKSTART)


def test_loading_a_scenario_imports_nothing_heavy(loaded: set[str]) -> None:
    assert loaded & HEAVY == set()


def test_loading_a_scenario_imports_only_the_components_that_it_names(loaded: set[str]) -> None:
    assert loaded & offered() == NAMED


def test_loading_a_scenario_imports_no_machinery(loaded: set[str]) -> None:
    assert {name for name in loaded if room_of(name) == "slsim.learning"} == OF_LEARNING
    assert {name for name in loaded if room_of(name) == "slsim.network"} == OF_NETWORK
    rooms = {room_of(name) for name in loaded if name.startswith("slsim.")}
    assert rooms & {"slsim.clock", *ABOVE} == set()


def test_a_scenario_with_hooks_imports_those_that_it_names_and_nothing_heavy() -> None:
    loaded = loaded_with(QUICKSTART.with_name("theory.toml"))
    assert loaded & HEAVY == set()
    hooks = {"slsim.learning.hooks", "slsim.learning.hooks.base", "slsim.learning.hooks.theory"}
    assert {name for name in loaded if name.startswith("slsim.learning.hooks")} == hooks
