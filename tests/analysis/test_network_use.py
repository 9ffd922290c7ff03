"""What links did in a run, how long rounds took, and how evenly clients were served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import slsim
from slsim.analysis.network_use import fairness, links, round_spread

HEADERS = 36 * 4 * 66  # one a message each way: 36 rounds of 4 clients


def test_clients_links_are_one_row_each_way_and_carry_what_was_sent(tiny_study: Path) -> None:
    study = slsim.open_study(tiny_study)
    table = links(study.played).set_index(["run", "link"])
    for run in study.played:
        for way in ("uplink", "downlink"):
            row = table.loc[(run.label, f"{way}s")]
            assert (row["links"], row["shared"]) == (4, False)
            assert row["wire_bytes"] == pytest.approx(float(run.sent[f"{way}_bytes"].iloc[-1]) + HEADERS)
            assert row["utilisation"] == pytest.approx(
                row["busy_s"] / 4 / run.timeline.makespan_s
            )  # at full rate while busy


def test_a_shared_medium_has_a_row_of_its_own(tiny_study: Path) -> None:
    study = slsim.open_study(tiny_study)
    shared = study.replay({"network.medium": "2 Mbps"}, save=False)
    table = shared.links.set_index(["run", "link"])
    run = shared.played[0]
    row = table.loc[(run.label, "medium")]
    assert (row["links"], row["shared"]) == (1, True)
    assert row["wire_bytes"] == pytest.approx(
        run.sent[["uplink_bytes", "downlink_bytes"]].iloc[-1].sum() + 2 * HEADERS
    )
    assert 0.5 < row["utilisation"] <= 1


def test_clients_with_the_same_links_are_served_alike_and_others_are_not(tiny_study: Path) -> None:
    study = slsim.open_study(tiny_study)
    assert fairness(study.played[0]) == pytest.approx(1.0)
    classes: list[dict[str, Any]] = [{"share": 0.5, "rate": "1 Mbps"}, {"share": 0.5, "rate": "9 Mbps"}]
    slower = study.replay({"network.uplink": classes, "network.downlink": classes}, save=False)
    # Of rates 1 and 9 alone it would be (1 + 9)² / (2 · 82) = 0.61; latencies even it.
    assert fairness(slower.played[0]) < 0.95
    spread = round_spread(slower.played[0])
    assert spread["round_median_s"] <= spread["round_p95_s"] <= spread["round_longest_s"]
