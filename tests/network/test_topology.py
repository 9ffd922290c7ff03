"""Topologies from a scenario's [network]: which links there are, and who crosses which."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from pydantic import ValidationError

from slsim.network import Network, Transfer
from slsim.network.topology import build
from slsim.scenario import NetworkTable, rewrite_traces


def links(network: Network) -> dict[str, tuple[float, float, str]]:
    return {link.name: (link.rate_bps, link.latency_s, link.sharing) for link in network.links}


def test_dedicated_links_are_each_clients_own() -> None:
    topology = build(NetworkTable(uplink="10 Mbps", downlink="50 Mbps"), clients=2)
    assert links(topology.network) == {
        "uplink0": (10e6, 0.002, "fair"),
        "downlink0": (50e6, 0.002, "fair"),
        "uplink1": (10e6, 0.002, "fair"),
        "downlink1": (50e6, 0.002, "fair"),
    }
    assert topology.uplinks == (("uplink0",), ("uplink1",))
    assert topology.downlinks == (("downlink0",), ("downlink1",))
    assert topology.round_trip_s(0) == 0.004


@pytest.mark.parametrize(("sharing", "link"), [("shared", "fair"), ("fifo", "fifo")])
def test_one_link_for_all_a_direction(sharing: str, link: str) -> None:
    topology = build(NetworkTable(sharing=sharing), clients=3)
    assert links(topology.network) == {"uplink": (100e6, 0.002, link), "downlink": (100e6, 0.002, link)}
    assert topology.uplinks == (("uplink",),) * 3


def test_a_medium_is_crossed_in_both_directions() -> None:
    topology = build(NetworkTable(medium="54 Mbps"), clients=2)
    assert links(topology.network)["medium"] == (54e6, 0.0, "fair")
    assert topology.uplinks[1] == ("uplink1", "medium")
    assert topology.downlinks[1] == ("medium", "downlink1")


def test_the_servers_ingress_and_egress_are_shared() -> None:
    topology = build(NetworkTable(ingress="200 Mbps", egress="300 Mbps"), clients=2)
    assert topology.uplinks[0] == ("uplink0", "ingress")
    assert topology.downlinks[0] == ("egress", "downlink0")
    assert links(topology.network)["egress"] == (300e6, 0.0, "fair")


def test_access_points_in_a_tree_are_dealt_out_in_turn() -> None:
    tree = [
        {"count": 4, "rate": "54 Mbps", "duplex": "half"},
        {"count": 2, "rate": "1 Gbps", "latency": "1 ms"},
    ]
    topology = build(NetworkTable(access_points=tree, ingress="1 Gbps"), clients=6)
    assert topology.uplinks[5] == ("uplink5", "tree1.1", "tree2.1.up", "ingress")
    assert topology.downlinks[5] == ("tree2.1.down", "tree1.1", "downlink5")
    assert topology.uplinks[2][1:3] == ("tree1.2", "tree2.0.up")
    assert links(topology.network)["tree2.0.down"] == (1e9, 0.001, "fair")
    assert topology.round_trip_s(0) == pytest.approx(0.006, rel=1e-12)


def test_each_link_says_what_it_is_for() -> None:
    tree = [{"count": 2, "rate": "1 Gbps"}]
    table = NetworkTable(access_points=tree, medium="54 Mbps", ingress="1 Gbps", egress="1 Gbps")
    topology = build(table, clients=2)
    up = [topology.links[name].role for name in topology.uplinks[1]]
    down = [topology.links[name].role for name in topology.downlinks[1]]
    assert up == ["uplink", "medium", "access point", "ingress"]
    assert down == ["egress", "access point", "medium", "downlink"]


def test_one_level_of_access_points_needs_no_list() -> None:
    table = NetworkTable(access_points={"count": 2, "rate": "54 Mbps"})
    assert build(table, clients=3).uplinks[2] == ("uplink2", "tree1.0.up")


def test_classes_of_clients_get_shares_of_the_links() -> None:
    classes = [
        {"rate": "5 Mbps", "share": 0.3, "latency": "40 ms"},
        {"rate": "100 Mbps", "share": 0.7},
    ]
    topology = build(NetworkTable(uplink=classes), clients=10)
    rates = [links(topology.network)[f"uplink{client}"][:2] for client in range(10)]
    assert rates == [(5e6, 0.040)] * 3 + [(100e6, 0.002)] * 7


def test_jitter_is_seeded_and_stays_within_its_spread() -> None:
    table = NetworkTable(jitter={"spread": 0.2, "every": "100 ms"})

    def rates(seed: int, link: int = 0) -> list[tuple[float, float]]:
        stream = build(table, clients=2, seed=seed).network.streams[link]
        return [(change.time_s, change.rate_bps) for change in itertools.islice(stream(), 50)]

    assert rates(0) == rates(0)
    assert rates(0) != rates(1)
    assert rates(0, link=0) != rates(0, link=1)
    assert [time_s for time_s, _ in rates(0)[:3]] == pytest.approx([0.0, 0.1, 0.2])
    assert all(80e6 <= rate_bps <= 120e6 for _, rate_bps in rates(0))


def test_a_trace_is_followed_by_each_client_from_its_own_place(tmp_path) -> None:
    path = tmp_path / "lte.csv"
    path.write_text("time_s,rate\n0,10 Mbps\n4,20 Mbps\n")
    uplink = {"trace": str(path), "period": "10 s", "shift": "5 s"}
    topology = build(NetworkTable(uplink=uplink), clients=3)
    assert [links(topology.network)[f"uplink{client}"][0] for client in range(3)] == [10e6, 20e6, 10e6]
    changes = itertools.islice(topology.network.streams[1](), 2)
    assert [(change.time_s, change.link, change.rate_bps) for change in changes] == [
        (5.0, "uplink1", 10e6),
        (9.0, "uplink1", 20e6),
    ]


def test_burst_credit_is_of_the_access_links() -> None:
    topology = build(NetworkTable(burst="16.384 kB", ingress="1 Gbps"), clients=1)
    assert {link.name: link.burst_bytes for link in topology.network.links} == {
        "uplink0": 16384,
        "downlink0": 16384,
        "ingress": 0,
    }


@pytest.fixture
def trace(tmp_path):
    def written(name: str, text: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(path)

    return written


def test_traces_stand_wherever_a_rate_does(trace) -> None:
    path = trace("lte.csv", "time_s,rate\n0,10 Mbps\n4,20 Mbps\n")
    follows = {"trace": path, "period": "10 s", "shift": "5 s"}
    table = NetworkTable(
        medium=follows, ingress=follows, egress=follows, access_points={"count": 2, "rate": follows}
    )
    topology = build(table, clients=2)
    rates = {name: rate for name, (rate, _, _) in links(topology.network).items()}
    assert rates["medium"] == rates["ingress"] == rates["egress"] == rates["tree1.0.up"] == 10e6
    assert rates["tree1.1.up"] == rates["tree1.1.down"] == 20e6
    changes = {change.link: change.time_s for change in (next(s()) for s in topology.network.streams)}
    assert changes == {
        "medium": 4.0,
        "ingress": 4.0,
        "egress": 4.0,
        "tree1.0.up": 4.0,
        "tree1.0.down": 4.0,
        "tree1.1.up": 5.0,
        "tree1.1.down": 5.0,
    }


def test_a_folder_of_traces_is_dealt_out_in_turn(trace, tmp_path) -> None:
    for rate in (1, 2, 3):
        trace(f"cells/{rate}.csv", f"time_s,rate\n0,{rate} Mbps\n")
    trace("cells/README.md", "not a trace")
    table = NetworkTable(
        uplink={"trace": str(tmp_path / "cells")},
        access_points={"count": 4, "rate": {"trace": str(tmp_path / "cells") + "/"}},
    )
    rates = links(build(table, clients=5).network)
    assert [rates[f"uplink{client}"][0] for client in range(5)] == [1e6, 2e6, 3e6, 1e6, 2e6]
    assert [rates[f"tree1.{place}.up"][0] for place in range(4)] == [1e6, 2e6, 3e6, 1e6]
    assert [file.name for file in table.files()] == ["1.csv", "2.csv", "3.csv"]


@pytest.mark.parametrize("name", ["medium", "ingress", "egress", "uplink", "downlink"])
def test_one_link_follows_one_trace(trace, tmp_path, name: str) -> None:
    for rate in (1, 2):
        trace(f"cells/{rate}.csv", f"time_s,rate\n0,{rate} Mbps\n")
    with pytest.raises(ValidationError, match=f"{name} is one link, so it follows one trace"):
        NetworkTable(sharing="shared", **{name: {"trace": str(tmp_path / "cells")}})


def test_a_trace_that_begins_with_an_outage(trace) -> None:
    path = trace("tunnel.csv", "time_s,rate\n0,0 Mbps\n4,8 Mbps\n")
    topology = build(NetworkTable(uplink={"trace": path}, latency="0 s"), clients=1)
    (end_s,) = topology.network.completion_times([Transfer(("uplink0",), 1_000_000)])
    assert end_s == 5.0


def test_a_mahimahi_trace_is_a_link_of_opportunities(trace) -> None:
    path = trace("cell.up", "104\n209\n314\n")
    topology = build(NetworkTable(uplink={"trace": path, "shift": "105 ms"}, latency="0 s"), clients=4)
    ends_s = topology.network.completion_times([Transfer((f"uplink{k}",), 300) for k in range(4)])
    assert ends_s == pytest.approx([0.104, 0.104, 0.104, 0.103])  # 0, 105, 210 and 315 = 1 ms into it
    assert not topology.network.streams


def test_a_shaper_needs_a_rate(trace) -> None:
    path = trace("cell.up", "104\n")
    with pytest.raises(ValidationError, match="burst is of a shaper with a rate; the uplink follows a Mahim"):
        NetworkTable(uplink={"trace": path}, burst="1 kB")


def test_the_files_of_a_network_can_be_moved(trace) -> None:
    old, new = trace("old.csv", "0,1 Mbps\n"), trace("new.csv", "0,1 Mbps\n")
    uplink = [{"trace": old, "share": 0.5}, {"rate": "1 Mbps", "share": 0.5}]
    written = {"uplink": uplink, "medium": {"trace": old}}
    assert NetworkTable.model_validate(written).files() == [Path(old)]
    moved = rewrite_traces(
        {"network": written, "sweep": {"network.egress": [{"trace": old}]}}, {old: new}.get
    )
    assert NetworkTable.model_validate(moved["network"]).files() == [Path(new)]
    assert moved["sweep"] == {"network.egress": [{"trace": new}]}
