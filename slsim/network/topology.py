"""Which links there are between the clients and the server, from a scenario's [network]."""

from __future__ import annotations

from dataclasses import dataclass

from slsim.network.links import Link
from slsim.network.network import Network
from slsim.scenario import NetworkTable


@dataclass(frozen=True)
class Topology:
    """A network, and each client's route up to the server and down from it (names of links)."""

    network: Network
    uplinks: tuple[tuple[str, ...], ...]
    downlinks: tuple[tuple[str, ...], ...]


def build(table: NetworkTable, clients: int) -> Topology:
    """ "dedicated": an uplink and a downlink for each client. "shared": one uplink and one downlink that
    all clients share fairly. Uplink and downlink never disturb each other (full duplex)."""
    owners = [f"{client}" for client in range(clients)] if table.sharing == "dedicated" else [""]
    links = [
        Link(f"{direction}link{owner}", rate_bps=rate_bps, latency_s=table.latency)
        for owner in owners
        for direction, rate_bps in (("up", table.uplink), ("down", table.downlink))
    ]
    shares = owners * (clients // len(owners))
    return Topology(
        Network(links),
        tuple((f"uplink{owner}",) for owner in shares),
        tuple((f"downlink{owner}",) for owner in shares),
    )
