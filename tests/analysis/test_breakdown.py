"""The breakdown of an average round, and what is named as its bottleneck."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from slsim import analysis
from slsim.protocols import PHASES
from slsim.simulation import Timeline


def run_of(*rounds: list[dict[str, float]]) -> SimpleNamespace:
    """A run whose rounds have turns with these seconds; a turn that ends early waits for the others."""
    seconds, ends, offsets = [], [], [0]
    for turns in rounds:
        duration = max(sum(turn.values()) for turn in turns)
        for turn in turns:
            row = dict.fromkeys(PHASES, 0.0) | turn
            row["barrier wait"] = duration - sum(turn.values())
            seconds.append([row[phase] for phase in PHASES])
        ends.append(duration)
        offsets.append(len(seconds))
    timeline = Timeline(
        np.cumsum(ends), np.array(offsets), np.zeros(len(seconds), int), np.array(seconds), {}
    )
    return SimpleNamespace(label="one", timeline=timeline)


def test_phases_are_averaged_over_clients_and_then_over_rounds() -> None:
    table = analysis.breakdown(
        [run_of([{"uplink": 1.0}, {"uplink": 2.0, "decode": 1.0}], [{"downlink": 5.0}])]
    )
    row = table.iloc[0]
    assert row["uplink_s"] == (1.5 + 0) / 2
    assert row["decode_s"] == (0.5 + 0) / 2
    assert row["downlink_s"] == (0 + 5) / 2
    assert row["barrier_wait_s"] == (1.0 + 0) / 2
    assert row["round_s"] == (3 + 5) / 2
    assert sum(row[f"{phase.replace(' ', '_')}_s"] for phase in PHASES) == row["round_s"]


@pytest.mark.parametrize(
    ("turn", "bottleneck", "share"),
    [
        ({"uplink": 3.0, "downlink": 2.0}, "uplink", 0.6),
        ({"uplink": 1.0, "downlink": 3.0}, "downlink", 0.75),
        ({"client forward": 1.0, "encode": 2.0, "decode": 1.0, "uplink": 1.0}, "devices", 0.8),
        ({"server wait": 2.0, "server compute": 1.0, "uplink": 1.0}, "server", 0.75),
    ],
)
def test_the_bottleneck_is_what_the_last_client_spent_most_of_its_time_on(
    turn: dict[str, float], bottleneck: str, share: float
) -> None:
    """The others do not count: they wait at the barrier."""
    row = analysis.breakdown([run_of([turn, {"client forward": 0.5}])]).iloc[0]
    assert (row["bottleneck"], row["bottleneck_share"]) == (bottleneck, pytest.approx(share))


def test_a_run_without_rounds_has_no_bottleneck() -> None:
    run = SimpleNamespace(
        label="none",
        timeline=Timeline(np.array([]), np.array([0]), np.array([], int), np.zeros((0, len(PHASES))), {}),
    )
    row = analysis.breakdown([run]).iloc[0]
    assert (row["round_s"], row["bottleneck"]) == (0.0, "none")
