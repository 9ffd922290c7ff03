"""What slsim's clock says about the experiments: transfers through its network, rounds through its
simulation. No formula stands here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import simpy

from slsim.clock import Clock, Stage
from slsim.clock.program import Program
from slsim.network import Link, Network, Transfer
from slsim.network.framing import Framing
from slsim.network.transport import Line, Tcp
from slsim.recording import (
    ACTIVATIONS,
    GRADIENTS,
    LABELS,
    SERVER,
    Message,
    Piece,
    Script,
    Steps,
    Vocabulary,
)
from slsim.recording.kinds import CLIENT_BACKWARD, CLIENT_FORWARD, DECODE, ENCODE
from slsim.scenario import NetworkTable, Scenario, plan
from slsim.study import open_study
from slsim.units import DURATION, RATE, SIZE
from slsim.validation.lab import BURST_BYTES
from slsim.validation.measure import ClientTurn
from slsim.validation.namespaces import ValidationError

SAMPLES = 10
KILOBYTES = (50, 80, 120, 160, 200, 240, 280, 320, 360, 400)  # of ten clients' activations, and gradients
CLIENT_DEVICE = {
    "name": "timed",
    "client_forward": "3 ms",
    "client_backward": "6 ms",
    "encode": "50 ns",
    "decode": "20 ns",
}
SERVER_DEVICE = {
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
    "clients": {"count": len(KILOBYTES), "batch_size": SAMPLES, "device": CLIENT_DEVICE},
    "server": {"device": SERVER_DEVICE},
}


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
    """A round to be played, simulated and real: its scenario, and its steps."""

    label: str
    scenario: Scenario
    steps: Steps

    @property
    def clients(self) -> int:
        """How many take part."""
        return len(np.unique(self.steps.clients))

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
        return Clock.of(self.scenario).run(self.steps, np.zeros(1, np.int64)).makespan_s

    def turns(self) -> list[ClientTurn]:
        """What each client does, in real seconds and bytes, by the steps and the devices of the clock. Raises
        ValidationError for a round in which a client does not send, be served and receive exactly once."""
        program = Program.of(self.steps, Stage.of(self.scenario))
        turns = [_turn(program, client) for client in np.unique(program.client).tolist()]
        if None in turns:
            raise ValidationError(
                f"{self.label}: a round of {self.scenario.training.protocol.name} is not played by real "
                "programs; validate-clock can do protocols whose clients all exchange once and at once "
                "(splitfed)"
            )
        return [turn for turn in turns if turn]


def _turn(program: Program, client: int) -> ClientTurn | None:
    """What one client does; None where that is not one exchange with the server."""
    own = program.client == client
    up = np.flatnonzero(own & program.is_transfer & (program.to == SERVER))
    down = np.flatnonzero(own & program.is_transfer & (program.who == SERVER))
    served = np.flatnonzero(own & ~program.is_transfer & (program.who == SERVER))
    transfers, lanes = (own & program.is_transfer).sum(), set(program.lane[own].tolist())
    waits = (program.waits_for[own] >= 0).any()
    if (len(up), len(down), len(served), transfers, len(lanes)) != (1, 1, 1, 2, 1) or waits:
        return None
    place, works = np.arange(len(own)), own & ~program.is_transfer & (program.who != SERVER)
    before, after = works & (place < up[0]), works & (place > down[0])
    if not up[0] < served[0] < down[0] or (before | after).sum() != works.sum():
        return None
    return ClientTurn(
        float(program.seconds[before].sum()),
        int(program.num_bytes[up[0]]),
        float(program.seconds[served[0]]),
        int(program.num_bytes[down[0]]),
        float(program.seconds[after].sum()),
    )


def own_rounds() -> list[Round]:
    """Two rounds of ten clients: activations of 50 to 400 kB, and as many bytes in equal parts; gradients of
    the same sizes."""
    equal = sum(KILOBYTES) // len(KILOBYTES)
    return [
        _own_round(f"{KILOBYTES[0]}–{KILOBYTES[-1]} kB", KILOBYTES),
        _own_round(f"{equal} kB each", [equal] * len(KILOBYTES)),
    ]


def _own_round(label: str, kilobytes: Sequence[int]) -> Round:
    words = Vocabulary()
    script = Script(words)
    for client, size in enumerate(kilobytes):
        lane, num_bytes = script.lane(client), 1000 * size
        encode, decode = (
            Piece(name, elements=num_bytes // 4, codec="identity") for name in ("encode", "decode")
        )
        lane.work(client, CLIENT_FORWARD, Piece("client forward", samples=SAMPLES))
        lane.work(client, ENCODE, encode)
        labels = Message(LABELS, SAMPLES, SAMPLES)
        lane.upload(client, Message(ACTIVATIONS, num_bytes, num_bytes), labels)
        server = (Piece(name, samples=SAMPLES) for name in ("server forward", "server backward"))
        lane.serve(client, decode, *server, encode)
        lane.download(client, Message(GRADIENTS, num_bytes, num_bytes))
        lane.work(client, DECODE, decode)
        lane.work(client, CLIENT_BACKWARD, Piece("client backward", samples=SAMPLES))
    scenario = plan(DOCUMENT, "validate-clock", Path()).cases[0].scenario
    return Round(label, scenario, Steps.of([script.rows()], words))


def rounds_of(study: Path) -> list[Round]:
    """The first round of each training of a study, of several seeds that of the first. Raises StudyError or
    RecordingError when it cannot be read, ValidationError when no training is in it."""
    rounds: dict[str, Round] = {}
    first: dict[str, int] = {}  # seed, by setting
    for run in open_study(study).played:
        recording, seed = run.recording, run.scenario.seed
        if first.setdefault(run.setting, seed) != seed:
            continue
        if recording.num_rounds and run.training not in rounds:
            label = run.scenario.scheme.label
            rounds[run.training] = Round(label, run.scenario, recording.steps.only(0))
    if not rounds:
        raise ValidationError(f"{study} has no finished training; `slsim run` its scenario first")
    return list(rounds.values())
