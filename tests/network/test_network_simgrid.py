"""Completion times that SimGrid 4.1 found for 14 scenarios; `fluid_transfers.json` says how to read them."""

import json
from pathlib import Path

import pytest

from slsim.network import Link, Network, RateChange, Transfer

SCENARIOS = json.loads(Path(__file__).with_name("fluid_transfers.json").read_text())["scenarios"]


def test_there_are_14_scenarios():
    assert len(SCENARIOS) == 14


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
def test_completion_times_are_those_of_simgrid(scenario):
    network = Network(
        [Link(**link) for link in scenario["links"]],
        [RateChange(**change) for change in scenario.get("rate_changes", [])],
    )
    rows = scenario["transfers"]
    end_s = network.completion_times(
        Transfer(tuple(row["route"]), row["num_bytes"], row["start_s"], row.get("rate_cap_bps"))
        for row in rows
    )
    assert end_s == pytest.approx([row["end_s"] for row in rows], rel=1e-9)
