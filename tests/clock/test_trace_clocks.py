"""Rounds over traces: outages and opportunities in every place of a network, with the clock's own checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rounds import Sent, Turn, costs, steps_of

from slsim.clock import Clock, Timeline
from slsim.scenario import plan

IDLE = {"name": "timed", "client_forward": "0 s", "client_backward": "0 s", "encode": "0 s", "decode": "0 s"}
SERVER = {**IDLE, "server_forward": "0 s", "server_backward": "0 s"}
PLAIN = {"latency": "0 s", "framing": "none", "downlink": "8 Mbps", "uplink": "8 Mbps"}
OUTAGE = "time_s,rate\n0,8 Mbps\n0.5,0 Mbps\n2,8 Mbps\n"
LIST = "104\n209\n314\n314\n"


@pytest.fixture
def play(tmp_path: Path):
    (tmp_path / "outage.csv").write_text(OUTAGE)
    (tmp_path / "cell.up").write_text(LIST)

    def timeline(network: dict[str, Any], up: int, down: int, rounds: int = 1, clients: int = 2) -> Timeline:
        document = {
            "name": "s",
            "data": "fashion-mini",
            "model": {"name": "cnn", "cut": 1},
            "clients": {"count": clients, "device": IDLE},
            "server": {"device": SERVER},
            "network": {**PLAIN, **network},
        }
        (case,) = plan(document, "test", tmp_path).cases
        messages = (Sent("activations", "up", up, up), Sent("gradients", "down", down, down))
        turns = [Turn(client, 1, messages) for client in range(clients)]
        return Clock.of(case.scenario).run(*steps_of([turns] * rounds, costs()))

    return timeline


OUT = {"trace": "outage.csv"}
CELL = {"trace": "cell.up"}


@pytest.mark.parametrize(
    ("network", "makespan_s"),
    [
        ({"uplink": OUT}, 2.25 + 0.75),  # 750 kB: 500 kB by 0.5 s, the rest from 2 s on
        ({"downlink": OUT}, 0.75 + 1.25 + 0.75),  # from 2 s on
        ({"medium": OUT}, 2.0 + 2.5),  # 3 MB over 8 Mbit/s, less the first 500 kB
        ({"ingress": OUT}, 2.0 + 1.0 + 0.75),  # both clients' 1.5 MB, less 500 kB
        ({"egress": OUT}, 2.0 + 1.5),
        ({"access_points": {"count": 2, "rate": OUT}}, 2.25 + 0.75),
        ({"access_points": {"count": 1, "rate": OUT, "duplex": "half"}}, 2.0 + 2.5),
        ({"sharing": "fifo", "uplink": OUT}, 2.0 + 1.0 + 0.75),
    ],
)
def test_an_outage_anywhere_holds_what_crosses_it(play, network, makespan_s) -> None:
    timeline = play(network, 750_000, 750_000)
    assert timeline.makespan_s == pytest.approx(makespan_s, rel=1e-12)


@pytest.mark.parametrize(
    ("network", "makespan_s"),
    [
        ({"uplink": CELL}, 0.2105),  # 3,000 bytes pass at 104 and 209 ms; then 1,500 bytes take 1.5 ms
        ({"downlink": CELL}, 0.104),
        # up, half of each opportunity: 3,000 bytes by 314 ms, and 1.5 ms for the last 1,500 over the uplink;
        # down, 750 bytes at 418 and at 523 ms, and 0.75 ms for these
        ({"medium": CELL}, 0.52375),
        ({"ingress": CELL, "uplink": "8 Tbps"}, 0.3155),
        ({"sharing": "fifo", "uplink": CELL}, 0.3155),  # the second's at 314 ms, where 3,000 may pass
        ({"sharing": "shared", "uplink": CELL}, 0.317),  # both at 314 ms; then 3,000 bytes down
    ],
)
def test_opportunities_anywhere(play, network, makespan_s) -> None:
    assert play(network, 3000, 1500).makespan_s == pytest.approx(makespan_s, rel=1e-7)


@pytest.mark.parametrize("transport", ["fluid", "tcp"])
@pytest.mark.parametrize("network", [{"uplink": OUT | {"period": "3 s"}}, {"uplink": CELL, "medium": CELL}])
def test_many_rounds_pass_the_clocks_own_checks(play, network, transport) -> None:
    timeline = play({**network, "transport": transport, "latency": "3 ms"}, 40_000, 9_000, rounds=20)
    assert (timeline.durations_s > 0).all()
    assert timeline.links["uplink0"].num_bytes == 20 * 40_000
