"""Topologies from a scenario's [network]: which links there are, and who crosses which."""

from __future__ import annotations

import itertools

import pytest

from slsim.network import Network
from slsim.network.topology import build
from slsim.scenario import NetworkTable


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
