"""The breakdown of an average round, and what is named as its bottleneck."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from slsim import analysis
from slsim.clock import Timeline
from slsim.recording import Phase, Steps, Vocabulary
from slsim.recording.kinds import BARRIER_WAIT, PHASES, phase_column

SHUFFLE, PEERS = Phase("shuffle data", "disks"), Phase("all-reduce", "peers")


def run_of(
    *rounds: list[dict[str, float]], own: tuple[Phase, ...] = (), label: str = "one"
) -> SimpleNamespace:
    """A run whose rounds have turns with these seconds; a turn that ends early waits for the others."""
    phases = (*PHASES[:-1], *own, BARRIER_WAIT)
    seconds, ends, offsets = [], [], [0]
    for turns in rounds:
        duration = max(sum(turn.values()) for turn in turns)
        for turn in turns:
            row = turn | {"barrier wait": duration - sum(turn.values())}
            seconds.append([row.get(phase.name, 0.0) for phase in phases])
        ends.append(duration)
        offsets.append(len(seconds))
    clients, table = np.zeros(len(seconds), int), np.array(seconds).reshape(-1, len(phases))
    timeline = Timeline(phases, np.cumsum(ends), np.array(offsets), clients, table, {})
    steps = Steps.of([[] for _ in rounds], Vocabulary())
    recording = SimpleNamespace(steps=steps, rounds=np.arange(len(rounds)))
    return SimpleNamespace(label=label, setting=label, seed=0, timeline=timeline, recording=recording)


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
    assert sum(row[phase_column(phase.name)] for phase in PHASES) == row["round_s"]


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


def test_seconds_are_added_up_by_group_the_usual_ones_first() -> None:
    turn = {"client forward": 1.0, "decode": 2.0, "server wait": 4.0, "server compute": 8.0, "uplink": 16.0}
    row = analysis.breakdown([run_of([turn])]).iloc[0]
    groups = {name: row[name] for name in row.index if name.startswith("in_")}
    assert groups == {"in_devices_s": 3.0, "in_uplink_s": 16.0, "in_server_s": 12.0, "in_downlink_s": 0.0}


def test_a_phase_of_ones_own_has_a_column_of_its_own_and_a_group_may_too() -> None:
    """Of a run that spends no time in it, too; and the wait at the barrier is still the last."""
    usual = run_of([{"uplink": 3.0}], label="usual")
    own = run_of([{"uplink": 1.0, "shuffle data": 2.0}, {"all-reduce": 0.5}], own=(SHUFFLE, PEERS))
    table = analysis.breakdown([usual, own])
    columns = [phase_column(phase.name) for phase in (*PHASES[:-1], SHUFFLE, PEERS, BARRIER_WAIT)]
    groups = [f"in_{name}_s" for name in ("devices", "uplink", "server", "downlink", "disks", "peers")]
    assert list(table) == [
        "run",
        "setting",
        "seed",
        *columns,
        "round_s",
        *groups,
        "bottleneck",
        "bottleneck_share",
        *("round_median_s", "round_p95_s", "round_longest_s", "fairness"),
    ]
    first, second = table.iloc[0], table.iloc[1]
    assert (first["shuffle_data_s"], first["in_disks_s"], first["bottleneck"]) == (0.0, 0.0, "uplink")
    assert second["shuffle_data_s"] == second["in_disks_s"] == (2.0 + 0) / 2
    assert second["all-reduce_s"] == second["in_peers_s"] == (0 + 0.5) / 2
    assert (second["bottleneck"], second["bottleneck_share"]) == ("disks", pytest.approx(2 / 3))


def test_a_run_without_rounds_has_no_bottleneck() -> None:
    row = analysis.breakdown([run_of(label="none")]).iloc[0]
    assert (row["round_s"], row["bottleneck"]) == (0.0, "none")
