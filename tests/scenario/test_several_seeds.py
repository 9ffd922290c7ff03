"""Seeds: every way to say them, what is refused, and cases that are settings times seeds."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tomli_w

from slsim.errors import ScenarioError
from slsim.scenario import Plan, override, plan, run_labels, setting_labels
from slsim.scenario.schema import json_schema

BASE: dict[str, Any] = {
    "name": "seeded",
    "data": {"name": "fashion-mini"},
    "model": {"name": "mlp", "cut": "shallow"},
}
CODECS = {"codec.uplink": ["identity", "ms"]}


def planned(document: dict[str, Any]) -> Plan:
    return plan({**BASE, **document}, "test", Path())


def changed(document: dict[str, Any], overrides: dict[str, Any]) -> Plan:
    return plan(override({**BASE, **document}, overrides), "test", Path())


@pytest.mark.parametrize(
    ("document", "seeds"),
    [
        ({}, (0,)),
        ({"seed": 4}, (4,)),
        ({"seed": [4]}, (4,)),
        ({"seed": [3, 0, 9]}, (3, 0, 9)),
        ({"seeds": 3}, (0, 1, 2)),
        ({"seeds": 3, "seed": 7}, (7, 8, 9)),
        ({"sweep": {"seed": [2, 1]}}, (2, 1)),
        ({"sweep": {"seed": [2, 1]}, "seed": 5}, (2, 1)),  # as a study of version 0.1 has it
        ({"seed": "0 .. 4 / 5"}, (0, 1, 2, 3, 4)),
        ({"seed": [7, "10 .. 30 / 3"]}, (7, 10, 20, 30)),
        ({"seed": [2**63 - 1, 0]}, (2**63 - 1, 0)),
    ],
)
def test_each_way_to_say_seeds(document: dict[str, Any], seeds: tuple[int, ...]) -> None:
    first = planned(document)
    assert first.seeds == seeds
    assert [case.scenario.seed for case in first.cases] == list(seeds)
    assert all(not case.values for case in first.cases)
    assert first.document()["seed"] == (list(seeds) if len(seeds) > 1 else seeds[0])


@pytest.mark.parametrize(
    ("document", "overrides", "seeds"),
    [
        ({}, {"seed": [0, 1]}, (0, 1)),
        ({}, {"seed": (0, 1)}, (0, 1)),
        ({}, {"seeds": 2}, (0, 1)),
        ({"seed": 3}, {"seeds": 2}, (3, 4)),
        ({"seed": [5, 6, 9]}, {"seeds": 2}, (5, 6)),
        ({"seed": [5, 6, 9]}, {"seed": 1}, (1,)),
        ({"seeds": 3}, {"seed": [7, 9]}, (7, 9)),
        ({"seeds": 3}, {"seed": 7}, (7, 8, 9)),
        ({"sweep": {"seed": [4, 5]}}, {"seed": 7}, (7,)),
        ({"sweep": {"seed": [4, 5]}}, {"seed": [7, 8]}, (7, 8)),
        ({"sweep": {"seed": [4, 7]}}, {"seeds": 2}, (4, 5)),
        ({"seeds": 3}, {"seed": "4 .. 6 / 3"}, (4, 5, 6)),
        ({"seed": "4 .. 6 / 3"}, {"seeds": 2}, (4, 5)),
        ({}, {"seed": 2, "seeds": 2}, (2, 3)),
        ({}, {"seeds": 2, "seed": 2}, (2, 3)),
    ],
)
def test_seeds_that_are_set_take_the_place_of_the_files(
    document: dict[str, Any], overrides: dict[str, Any], seeds: tuple[int, ...]
) -> None:
    assert changed(document, overrides).seeds == seeds


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        ({"seed": [0, 1], "seeds": 2}, "seeds", "there is seed too; say the seeds once"),
        ({"seed": [0, 1], "sweep": {"seed": [1]}}, 'sweep."seed"', "there is seed too"),
        ({"seeds": 2, "sweep": {"seed": [1]}}, 'sweep."seed"', "there is seeds too"),
        ({"seeds": 0}, "seeds", "must be a number of seeds, from 1 to 100,000, found 0"),
        ({"seeds": 2.0}, "seeds", "must be a number of seeds"),
        ({"seeds": True}, "seeds", "must be a number of seeds"),
        ({"seeds": [0, 1]}, "seeds", "must be a number of seeds"),
        ({"seeds": 10**6}, "seeds", "must be a number of seeds, from 1 to 100,000"),
        ({"seeds": 2, "seed": 2**63 - 1}, "seeds", "a seed is a whole number from 0 to 2⁶³ - 1"),
        ({"seeds": 2, "seed": -1}, "seed", "a seed is a whole number from 0 to 2⁶³ - 1, found -1"),
        ({"seed": []}, "seed", "must be a list of one seed or more"),
        ({"seed": [1, 2, 1]}, "seed[2]", "1 is there twice; each seed is run once"),
        ({"seed": [0, -1]}, "seed[1]", "found -1"),
        ({"seed": [0, "1"]}, "seed[1]", "found '1'"),
        ({"seed": [0, 1.0]}, "seed[1]", "found 1.0"),
        ({"seed": [True]}, "seed[0]", "found True"),
        ({"seed": [[1], 2]}, "seed[0]", "found [1]"),
        ({"seed": "0 .. 4 / 1"}, "seed", "a range has from 2 to 100,000 points, found '1'"),
        ({"seed": [3, "2 .. 4 / 3"]}, "seed[1]", "3 is there twice"),
        ({"sweep": {"seed": 3}}, 'sweep."seed"', "must be a list of one seed or more, found 3"),
        ({"sweep": {"seed": [3, 3]}}, 'sweep."seed"[1]', "twice"),
        ({"sweep": {"seeds": [3]}}, 'sweep."seeds"', "write them at the top of the file"),
    ],
)
def test_seeds_that_cannot_be_are_one_fault(document: dict[str, Any], path: str, message: str) -> None:
    with pytest.raises(ScenarioError) as error:
        planned(document)
    (fault,) = error.value.faults
    assert fault.path == path
    assert message in fault.message


def test_faults_of_seeds_are_told_beside_those_of_the_rest() -> None:
    with pytest.raises(ScenarioError) as error:
        planned({"seeds": 0, "training": {"epochs": 0}, "sweep": {"network.uplink": ["1"]}})
    assert {fault.path for fault in error.value.faults} == {
        "seeds",
        "training.epochs",
        'sweep."network.uplink"[0]',
    }


def test_settings_and_seeds_are_counted_together() -> None:
    with pytest.raises(ScenarioError, match=r"50,000 settings × 3 seeds = 150,000 cases; at most 100,000"):
        planned({"seeds": 3, "sweep": {"clients.count": list(range(1, 50_001))}})


def test_each_setting_has_one_case_a_seed_in_a_row() -> None:
    first = planned({"seed": [5, 2], "sweep": CODECS})
    found = [(case.scenario.codec.uplink.name, case.scenario.seed) for case in first.cases]
    assert found == [("identity", 5), ("identity", 2), ("ms", 5), ("ms", 2)]
    assert [[case.scenario.seed for case in cases] for cases in first.settings] == [[5, 2], [5, 2]]
    assert [case.values for case in first.cases[::2]] == [case.values for case in first.cases[1::2]]
    assert all("seed" not in case.values for case in first.cases)


def test_what_is_written_reads_back_as_the_same_cases() -> None:
    first = planned({"seeds": 3, "sweep": CODECS})
    written = first.document()
    assert written["seed"] == [0, 1, 2]
    assert "seeds" not in written
    assert plan(tomllib.loads(tomli_w.dumps(written)), "again", Path("/")) == first


def test_runs_are_called_by_their_seeds_only_where_there_are_several() -> None:
    one, two = planned({"sweep": CODECS}), planned({"seeds": 2, "sweep": CODECS})
    assert run_labels(one.cases) == ["identity", "MS (99 %, 2 bits)"]
    assert run_labels(two.cases) == [
        f"{codec}, seed {seed}" for codec in ("identity", "MS (99 %, 2 bits)") for seed in (0, 1)
    ]
    assert setting_labels(two.cases) == ["identity"] * 2 + ["MS (99 %, 2 bits)"] * 2
    assert run_labels(planned({"seeds": 2}).cases) == ["identity, seed 0", "identity, seed 1"]


def test_the_schema_knows_seeds() -> None:
    schema = jsonschema.Draft202012Validator(json_schema())
    for good in ({"seed": 3}, {"seed": [0, 1]}, {"seeds": 5}, {"seeds": 5, "seed": 2}):
        schema.validate({**BASE, **good})
    for bad in ({"seed": []}, {"seed": [0, 0]}, {"seed": [-1]}, {"seeds": 0}, {"seeds": [1]}, {"seed": "1"}):
        assert not schema.is_valid({**BASE, **bad}), bad


def test_threads_are_part_of_what_is_learned() -> None:
    one, two = planned({}), planned({"training": {"threads": 2}})
    assert one.cases[0].scenario.learning_table()["training"]["threads"] == 1
    assert two.cases[0].scenario.learning_table()["training"]["threads"] == 2
    for bad in (0, 1025, 1.0, True):
        with pytest.raises(ScenarioError, match="training.threads"):
            planned({"training": {"threads": bad}})
