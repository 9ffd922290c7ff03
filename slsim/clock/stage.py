"""Who and what a recording is played with: devices, the server, and the links between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slsim.devices import AS_STATED, Assumptions, Device
from slsim.network import topology
from slsim.network.topology import Topology
from slsim.scenario import Scenario
from slsim.scenario.shares import assign


@dataclass(frozen=True)
class Stage:
    """The device of each client, the server with its number of places, and the links between them."""

    clients: Sequence[Device]
    server: Device
    server_slots: int
    topology: Topology

    @classmethod
    def of(cls, scenario: Scenario, assumptions: Assumptions = AS_STATED) -> Stage:
        """The clients, server and network of a scenario; `assumptions` are factors on what devices assume."""
        shares = [
            (share.device.create().under(assumptions), share.share) for share in scenario.clients.device
        ]
        count = scenario.clients.count
        return cls(
            clients=assign(shares, count),
            server=scenario.server.device.create().under(assumptions),
            server_slots=scenario.server.parallel,
            topology=topology.build(scenario.network, count, scenario.seed),
        )
