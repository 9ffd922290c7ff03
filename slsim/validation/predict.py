"""What slsim's clock says about the experiments: transfers through its network, rounds through its
simulation. No formula stands here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import simpy

from slsim.devices import Device, Work
from slsim.network import Link, Network, Transfer
from slsim.network.framing import Framing
from slsim.network.transport import Line, Tcp
from slsim.protocols import Synchronous
from slsim.protocols.steps import Compute, Download, Serve, Step, Upload, Workload
from slsim.recording import ACTIVATIONS, GRADIENTS, LABELS, Costs, Message, RoundRecord, Turn
from slsim.scenario import NetworkTable, Scenario, plan
from slsim.scenario.shares import assign
from slsim.simulation import Simulation, costs_of
from slsim.study import open_study
from slsim.units import DURATION, RATE, SIZE
from slsim.validation.lab import BURST_BYTES
from slsim.validation.measure import ClientTurn
from slsim.validation.namespaces import ValidationError

SAMPLES = 10
KILOBYTES = (50, 80, 120, 160, 200, 240, 280, 320, 360, 400)  # of ten clients' activations, and gradients
CLIENT = {
    "name": "timed",
    "client_forward": "3 ms",
    "client_backward": "6 ms",
    "encode": "50 ns",
    "decode": "20 ns",
}
SERVER = {
    "name": "timed",
    "server_forward": "0.2 ms",
    "server_backward": "0.3 ms",
    "decode": "2 ns",
    "encode": "2 ns",
}
DOCUMENT = {
    "name": "validate-clock",
    "data": {"name": "fashion-mini"},
    "model": {"name": "cnn", "cut": "medium"},
    "clients": {"count": len(KILOBYTES), "batch_size": SAMPLES, "device": CLIENT},
    "server": {"device": SERVER},
}
PER_ELEMENT = {ACTIVATIONS: 8.0, GRADIENTS: 8.0}


def arrivals_s(flows: int, num_bytes: int, rate_bps: float, latency_s: float) -> list[float]:
    """When each of `flows` messages of `num_bytes` through one shaped link has arrived, ascending."""
    link = Link("link", rate_bps, latency_s, burst_bytes=BURST_BYTES)
    message = Transfer(("link",), Framing().framed(num_bytes))
    return sorted(Network([link]).completion_times([message] * flows))


def delayed_arrival_s(num_bytes: int, rate_bps: float, round_trip_s: float) -> float:
    """When a message over a fresh TCP connection has arrived, slow start included."""
    env = simpy.Environment()
    flows = Network([Link("link", rate_bps, round_trip_s / 2, burst_bytes=BURST_BYTES)]).attach(env)
    line = Line(env, flows, ("link",), round_trip_s, Framing())
    env.run(until=env.process(Tcp(connections="fresh").connect(line).send(num_bytes)))
    return float(env.now)


@dataclass(frozen=True)
class Round:
    """A round to be played, simulated and real: its scenario, what things cost, and what was sent."""

    label: str
    scenario: Scenario
    costs: Costs
    record: RoundRecord

    @property
    def clients(self) -> int:
        """How many take part."""
        return len(self.record.turns)

    @property
    def slots(self) -> int:
        """Clients that the server computes for at a time."""
        return self.scenario.server.parallel

    def over(self, rate_bps: float, latency_s: float, sharing: str) -> Round:
        """The same round over uplinks and downlinks of that rate, "dedicated" or "shared"."""
        network = {
            "sharing": sharing,
            "uplink": RATE.format(rate_bps),
            "downlink": RATE.format(rate_bps),
            "latency": DURATION.format(latency_s),
            "burst": SIZE.format(BURST_BYTES),
        }
        changed = {"network": NetworkTable.model_validate(network)}
        return replace(self, scenario=self.scenario.model_copy(update=changed))

    def makespan_s(self) -> float:
        """Simulated seconds from the start to the last client's end."""
        return Simulation.of(self.scenario, self.costs).run([self.record]).makespan_s

    def turns(self) -> list[ClientTurn]:
        """What each client does, in real seconds and bytes: the steps, the devices and the work of the
        simulation. Raises ValidationError for a protocol whose turns are not one exchange."""
        scenario = self.scenario
        protocol = scenario.training.protocol.create()
        if not isinstance(protocol, Synchronous):
            raise ValidationError(
                f"{self.label}: a round of {scenario.training.protocol.name} is not played by real "
                "programs; validate-clock can do protocols whose clients all exchange at once (splitfed)"
            )
        shares = [(share.device.create(), share.share) for share in scenario.clients.device]
        clients = assign(shares, scenario.clients.count)
        server = scenario.server.device.create()
        workload = Workload(self.costs, _codecs(scenario))
        return [
            _client_turn(protocol.chain(turn, workload), clients[turn.client], server)
            for turn in self.record.turns
        ]


def _codecs(scenario: Scenario) -> dict[str, str]:
    return {ACTIVATIONS: scenario.codec.uplink.name, GRADIENTS: scenario.codec.downlink.name}


def _client_turn(steps: Sequence[Step], client: Device, server: Device) -> ClientTurn:
    computing_s = {"before": 0.0, "after": 0.0}
    up_bytes = down_bytes = 0
    server_s = 0.0
    where = "before"
    for step in steps:
        match step:
            case Compute(_, works):
                computing_s[where] += _seconds(client, works)
            case Upload(num_bytes):
                up_bytes, where = int(num_bytes), "after"
            case Serve(works):
                server_s = _seconds(server, works)
            case Download(num_bytes):
                down_bytes = int(num_bytes)
    return ClientTurn(computing_s["before"], up_bytes, server_s, down_bytes, computing_s["after"])


def _seconds(device: Device, works: Sequence[Work]) -> float:
    return float(device.seconds(*works))


def own_rounds() -> list[Round]:
    """Two rounds of ten clients: activations of 50 to 400 kB, and as many bytes in equal parts; gradients of
    the same sizes."""
    equal = sum(KILOBYTES) // len(KILOBYTES)
    return [
        _own_round(f"{KILOBYTES[0]}–{KILOBYTES[-1]} kB", KILOBYTES),
        _own_round(f"{equal} kB each", [equal] * len(KILOBYTES)),
    ]


def _own_round(label: str, kilobytes: Sequence[int]) -> Round:
    turns = []
    for client, size in enumerate(kilobytes):
        num_bytes = 1000 * size
        messages = (
            Message(ACTIVATIONS, "up", num_bytes, num_bytes),
            Message(LABELS, "up", SAMPLES, SAMPLES),
            Message(GRADIENTS, "down", num_bytes, num_bytes),
        )
        turns.append(Turn(client, SAMPLES, messages))
    scenario = plan(DOCUMENT, "validate-clock", Path()).cases[0].scenario
    return Round(label, scenario, Costs(0, 0, 0, 0, PER_ELEMENT, PER_ELEMENT), RoundRecord(tuple(turns)))


def rounds_of(study: Path) -> list[Round]:
    """The first round of each training of a study. Raises StudyError or RecordingError when it cannot be
    read, ValidationError when no training is in it."""
    rounds: dict[str, Round] = {}
    for run in open_study(study).runs:
        recording = run.recording
        if recording.rounds and run.training not in rounds:
            label = run.scenario.codec.uplink.label
            rounds[run.training] = Round(label, run.scenario, costs_of(recording), recording.rounds[0])
    if not rounds:
        raise ValidationError(f"{study} has no finished training; `slsim run` its scenario first")
    return list(rounds.values())
