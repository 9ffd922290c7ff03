"""The programs that run in the namespaces, here over the loopback device, which every machine has."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from slsim.validation.peers import Peer

HERE = "127.0.0.1"


def in_background(work: Callable[..., dict[str, Any]], **request: Any) -> Callable[[], dict[str, Any]]:
    """Starts `work`; what comes back waits for its result."""
    results: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: results.append(work(**request)))
    thread.start()

    def result() -> dict[str, Any]:
        thread.join(timeout=60)
        return results[0]

    return result


def test_a_transfer_ends_after_it_began() -> None:
    receiver, sender = Peer(), Peer()
    port = receiver.listen(HERE)["port"]
    received = in_background(receiver.receive, flows=3, num_bytes=2_500_000)
    start_s = sender.send(HERE, port, flows=3, num_bytes=2_500_000, congestion="", pause_s=0.01)["start_s"]
    ends_s = received()["ends_s"]
    assert len(ends_s) == 3
    assert start_s < ends_s[0] <= ends_s[1] <= ends_s[2]
    receiver.close()


def test_a_ping_takes_time() -> None:
    near, far = Peer(), Peer()
    port = far.listen(HERE)["port"]
    echoed = in_background(far.echo, count=5)
    round_trips_s = near.ping(HERE, port, count=5)["round_trips_s"]
    echoed()
    assert len(round_trips_s) == 5
    assert min(round_trips_s) > 0
    far.close()


def test_a_congestion_control_that_does_not_exist_cannot_be_used() -> None:
    peer = Peer()
    default = peer.listen(HERE)["congestion"]
    assert peer.can_use(default) == {"usable": True}
    assert peer.can_use("no-such-control") == {"usable": False}
    peer.close()


def test_a_round_computes_for_one_client_at_a_time_first_come_first_served() -> None:
    server, clients = Peer(), [Peer() for _ in range(3)]
    port = server.listen(HERE)["port"]
    compute_s = 0.05
    turns = [(100_000, compute_s, 100_000)] * 3
    served = in_background(server.serve, turns=turns, slots=1)
    joined = [
        in_background(client.join, address=HERE, port=port, client=number, congestion="")
        for number, client in enumerate(clients)
    ]
    for answer in joined:
        answer()
    own = {"start_s": 0.0, "up_bytes": 100_000, "down_bytes": 100_000, "after_s": 0.01}
    before_s = (0.1, 0.0, 0.02)  # the second comes first, then the third, then the first
    answers = [
        in_background(client.turn, before_s=before, **own)
        for client, before in zip(clients, before_s, strict=True)
    ]
    ends = [answer() for answer in answers]
    stamps = served()
    computed_s = stamps["computed_s"]
    assert computed_s[1] < computed_s[2] < computed_s[0]
    assert computed_s[2] - computed_s[1] >= compute_s
    for client, end in enumerate(ends):
        assert end["sent_s"] - end["began_s"] >= before_s[client]
        assert stamps["arrived_s"][client] > end["sent_s"]
        assert end["received_s"] > computed_s[client] >= stamps["arrived_s"][client] + compute_s
        assert end["end_s"] - end["received_s"] >= 0.01
    server.close()
