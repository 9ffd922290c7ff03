"""The slices of rounds are what their timeline says, whatever the protocol and the links."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from trainings import scenario_of

from slsim.clock import Clock, Stage, Timeline
from slsim.clock.slices import TRANSFER, WAIT, WORK, slices
from slsim.errors import ClockError
from slsim.events import silent
from slsim.recording import SERVER, Recording
from slsim.study.job import train
from slsim.study.training import Training

PROTOCOLS: dict[str, dict[str, Any]] = {
    "splitfed": {},
    "splitfed by the server": {"aggregation": "server"},
    "splitfed in a ring": {"aggregation": "all-reduce"},
    "splitfed local": {"protocol": {"name": "splitfed", "local_epochs": 1}},
    "splitfed-v2": {},
    "sequential": {},
    "fedavg": {},
    "centralized": {},
    "u-shaped": {},
    "u-shaped in a ring": {"aggregation": "all-reduce"},
}
OUTAGE = "time_s,rate\n0,8 Mbps\n0.05,0 Mbps\n0.2,3 Mbps\n"
NETWORKS: dict[str, dict[str, Any]] = {
    "own": {"uplink": "1 Mbps", "downlink": "3 Mbps", "latency": "3 ms"},
    "shared": {"uplink": "1 Mbps", "downlink": "3 Mbps", "sharing": "shared"},
    "fifo": {"uplink": "1 Mbps", "downlink": "3 Mbps", "sharing": "fifo"},
    "medium": {"medium": "2 Mbps"},
    "tree": {"access_points": [{"count": 2, "rate": "2 Mbps"}, {"count": 1, "rate": "3 Mbps"}]},
    "tcp": {"uplink": "5 Mbps", "transport": "tcp", "latency": "20 ms"},
    "trace": {"uplink": {"trace": "outage.csv"}, "latency": "2 ms"},
    "jitter": {"uplink": "1 Mbps", "jitter": {"spread": 0.3, "every": "50 ms"}},
}
CASES = [
    (name, network)
    for name in PROTOCOLS
    for network in NETWORKS
    if not (name.endswith("ring") and network in ("medium", "tree"))  # which scenarios refuse
]
STEADY = ("own", "shared", "fifo")
DEVICE = {
    **{"name": "timed", "client_forward": "1 ms", "client_backward": "2 ms", "overhead": "0.1 ms"},
    **{"server_forward": "0.3 ms", "server_backward": "0.5 ms", "encode": "20 ns", "decode": "10 ns"},
    **{"head_forward": "1 ms", "head_backward": "1 ms"},
}


@pytest.fixture(scope="module")
def case(
    tiny_document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], tuple[Recording, Stage]]:
    """A short training of a protocol, and a network to play it on."""
    folder = tmp_path_factory.mktemp("slices")
    (folder / "outage.csv").write_text(OUTAGE)

    @cache
    def learned(name: str) -> tuple[dict[str, Any], Recording]:
        protocol = name.partition(" ")[0]
        document = {
            **tiny_document,
            "model": {**tiny_document["model"], **({"head_cut": 2} if protocol == "u-shaped" else {})},
            "clients": {"count": 4, "batch_size": 16, "device": DEVICE},
            "server": {"device": DEVICE},
            "codec": {"uplink": {"name": "ms", "sparsity": 0.9, "bits": 2}},
            "training": {"protocol": protocol, "max_rounds": 3, **PROTOCOLS[name]},
        }
        return document, train(Training.of(scenario_of(document)), silent)[1]

    def made(name: str, network: str) -> tuple[Recording, Stage]:
        document, recording = learned(name)
        links = NETWORKS[network]
        if network == "trace":
            links = {**links, "uplink": {"trace": str(folder / "outage.csv")}}
        return recording, Stage.of(scenario_of(document, network=links))

    return made


def assert_follow_from(found: pd.DataFrame, timeline: Timeline) -> None:
    """Ends of rounds and every client's seconds in each phase are those of the timeline."""
    ends_s = found.groupby("round")["end_s"].max()
    assert ends_s.to_numpy() == pytest.approx(timeline.round_ends_s[ends_s.index], rel=1e-9)
    seconds = (
        (found["end_s"] - found["start_s"]).groupby([found["round"], found["client"], found["phase"]]).sum()
    )
    for number in ends_s.index:
        turns = range(timeline.offsets[number], timeline.offsets[number + 1])
        assert set(found[found["round"] == number]["client"]) == set(timeline.clients[turns])
        for turn in turns:
            own = seconds.get((number, timeline.clients[turn]))
            due = dict(zip((phase.name for phase in timeline.phases), timeline.seconds[turn], strict=True))
            assert set(own.index) <= due.keys()
            assert due == pytest.approx({**dict.fromkeys(due, 0.0), **own}, rel=1e-9, abs=1e-9)


def covered_s(found: pd.DataFrame) -> float:
    """How long something was on its way."""
    starts, ends = found["start_s"].to_numpy(), found["end_s"].to_numpy()
    until = np.concatenate([[0.0], np.maximum.accumulate(ends)[:-1]])
    return float(np.maximum(0.0, ends - np.maximum(starts, until)).sum())


@pytest.mark.parametrize(("name", "network"), CASES)
def test_slices_are_what_the_timeline_says(case, name: str, network: str) -> None:
    recording, stage = case(name, network)
    timeline = Clock(stage).play(recording)
    found = slices(recording, stage, range(recording.num_rounds))
    assert_follow_from(found, timeline)
    transfers = found[found["what"] == TRANSFER]
    assert (transfers["links"].map(len) > 0).all()
    assert (found[found["what"] != TRANSFER]["links"].map(len) == 0).all()
    links = transfers.explode("links")
    num_bytes = links.groupby("links")["framed_bytes"].sum().to_dict()
    assert num_bytes == pytest.approx(
        {link: used.num_bytes for link, used in timeline.links.items()}, rel=1e-9
    )
    for link, crossing in links.groupby("links"):
        assert timeline.links[str(link)].busy_s <= covered_s(crossing) * (1 + 1e-9)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_step_is_one_slice_and_every_byte_is_in_it(case, name: str) -> None:
    recording, stage = case(name, "own")
    found = slices(recording, stage, range(recording.num_rounds))
    rows, steps = recording.steps.rows, recording.steps
    done = found[found["what"] != WAIT]
    for number, place in enumerate(recording.rounds.tolist()):
        own, inside = done[done["round"] == number], steps.round_of == place
        assert not own.duplicated("step").any()
        assert len(own) == (inside & ~rows["joined"]).sum()
        for column in ("num_bytes", "raw_bytes"):
            assert own[column].sum() == rows[column][inside].sum()
        assert set(own["who"]) == set(rows["who"][inside].tolist())
    transfers = found[found["what"] == TRANSFER]
    headers = 66 * -(-transfers["num_bytes"] // 1448)
    assert (transfers["framed_bytes"] == transfers["num_bytes"] + headers).all()


@pytest.mark.parametrize("network", STEADY)
def test_no_transfer_is_faster_than_its_links(case, network: str) -> None:
    recording, stage = case("splitfed", network)
    found = slices(recording, stage, [0, 1])
    links = found[found["what"] == TRANSFER].explode("links")
    rates_bps, latencies_s = (
        links["links"].map({name: getattr(link, column) for name, link in stage.topology.links.items()})
        for column in ("rate_bps", "latency_s")
    )
    on_the_wire_s = links["end_s"] - links["start_s"] - latencies_s
    assert (8 * links["framed_bytes"] <= rates_bps * on_the_wire_s * (1 + 1e-9)).all()
    if network == "own":  # nothing else slows them down
        assert (8 * links["framed_bytes"]).to_numpy() == pytest.approx(
            (rates_bps * on_the_wire_s).to_numpy(), rel=1e-9
        )


@pytest.mark.parametrize("network", ["own", "trace", "tcp"])
def test_some_rounds_are_as_among_all(case, network: str) -> None:
    """Those that depend on the rounds before them too."""
    recording, stage = case("splitfed", network)
    every, last = slices(recording, stage, range(3)), slices(recording, stage, [2])
    due = every[every["round"] == 2].reset_index(drop=True)
    times = ["start_s", "end_s"]
    assert last[times].to_numpy() == pytest.approx(due[times].to_numpy(), rel=1e-9)
    assert set(map(str, last.drop(columns=times).to_dict("records"))) == set(
        map(str, due.drop(columns=times).to_dict("records"))
    )


def test_a_clients_slices_follow_one_another(case) -> None:
    recording, stage = case("u-shaped in a ring", "shared")
    found = slices(recording, stage, range(3))
    for _, own in found.groupby("client"):
        assert own["start_s"].to_numpy()[1:] == pytest.approx(own["end_s"].to_numpy()[:-1], rel=1e-12)


def test_the_steps_of_a_round_by_hand(case) -> None:
    """A client on links of its own: forward of 16 samples, 1 ms each, and the overhead of 0.1 ms."""
    recording, stage = case("splitfed", "own")
    found = slices(recording, stage, [0])
    own = found[(found["client"] == 0) & (found["what"] != WAIT)]
    assert own["phase"].tolist() == [
        *("client forward", "encode", "uplink", "server compute", "downlink", "decode", "client backward")
    ]
    assert own["what"].tolist() == [WORK, WORK, TRANSFER, WORK, TRANSFER, WORK, WORK]
    assert own["who"].tolist() == [0, 0, 0, SERVER, SERVER, 0, 0]
    assert own["to"].tolist() == [0, 0, SERVER, 0, 0, 0, 0]
    assert own["start_s"].iloc[0] == 0
    assert own["end_s"].iloc[0] == pytest.approx(0.0161, rel=1e-12)
    assert own["kind"].iloc[2] == "activations + labels"
    assert own["codec"].iloc[2] == "ms"
    assert own["links"].iloc[2] == ("uplink0",)


@pytest.mark.parametrize("number", [-1, 3])
def test_a_round_that_is_not_there_is_an_error(case, number: int) -> None:
    recording, stage = case("splitfed", "own")
    with pytest.raises(ClockError, match=f"no round {number}: the recording has 3, counted from 0"):
        slices(recording, stage, [number])


def test_no_rounds_have_no_slices_whatever_is_asked_before_and_after(case) -> None:
    recording, stage = case("splitfed", "own")
    some, none, again = (slices(recording, stage, rounds) for rounds in ([0], [], [0]))
    assert none.empty
    assert list(none) == list(some)
    pd.testing.assert_frame_equal(again, some)
