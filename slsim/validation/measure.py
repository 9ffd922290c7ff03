"""The experiments: transfers alone and at once, and whole rounds, over the real TCP of a `Lab`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from slsim.validation.lab import ADDRESSES, BURST_BYTES, Lab, PeerProcess

PINGS = 100
QUIET_S = 0.05  # before each measurement, beside the shaper's refilling
LEAD_S = 0.1  # from the word to the start of a round: every client must have heard it


@dataclass(frozen=True, slots=True)
class ClientTurn:
    """One client's part of a round: compute for `before_s`, send `up_bytes`, have the server compute for
    `server_s`, receive `down_bytes`, compute for `after_s`."""

    before_s: float
    up_bytes: int
    server_s: float
    down_bytes: int
    after_s: float


class Bench:
    """The programs of one lab, ready to measure; times are in seconds, `congestion` "" is the kernel's
    default control."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._server, self._client = lab.peer("server"), lab.peer("clients")
        self._clients: list[PeerProcess] = []
        listening = self._server.call("listen", address=ADDRESSES["server"])
        self._to = {"address": ADDRESSES["server"], "port": listening["port"]}
        self.default_congestion: str = listening["congestion"]

    def can_use(self, congestion: str) -> bool:
        """Whether the kernel has that congestion control."""
        usable: bool = self._server.call("can_use", congestion=congestion)["usable"]
        return usable

    def round_trip_s(self) -> float:
        """Median of single bytes there and back: the network's own latency, and waking up two programs."""
        self._server.ask("echo", count=PINGS)
        round_trips_s: list[float] = self._client.call("ping", **self._to, count=PINGS)["round_trips_s"]
        self._server.reply()
        return statistics.median(round_trips_s)

    def transfer(self, flows: int, num_bytes: int, congestion: str) -> list[float]:
        """`flows` fresh connections send `num_bytes` each at once: from the first byte's sending to each
        one's last byte, ascending."""
        self._lab.forget()
        self._server.ask("receive", flows=flows, num_bytes=num_bytes)
        what = {"flows": flows, "num_bytes": num_bytes, "congestion": congestion}
        start_s = self._client.call("send", **self._to, **what, pause_s=self._pause_s)["start_s"]
        return [end_s - start_s for end_s in self._server.reply()["ends_s"]]

    def round(self, turns: Sequence[ClientTurn], slots: int, congestion: str) -> float:
        """A whole round, a program for each client, connections made before: from the common start to the
        last client's end."""
        self._lab.forget()
        clients = self._clients_for(len(turns))
        served = [(turn.up_bytes, turn.server_s, turn.down_bytes) for turn in turns]
        self._server.call("choose", congestion=congestion)
        self._server.ask("serve", turns=served, slots=slots)
        for number, client in enumerate(clients):
            client.ask("join", **self._to, client=number, congestion=congestion)
        for client in clients:
            client.reply()
        start_s = time.monotonic() + LEAD_S + self._pause_s
        for client, turn in zip(clients, turns, strict=True):
            own = {"up_bytes": turn.up_bytes, "down_bytes": turn.down_bytes}
            client.ask("turn", start_s=start_s, before_s=turn.before_s, after_s=turn.after_s, **own)
        end_s = max(client.reply()["end_s"] for client in clients)
        self._server.reply()
        return float(end_s - start_s)

    @property
    def _pause_s(self) -> float:
        """Until the shapers' buckets are full again."""
        return QUIET_S + 2 * 8 * BURST_BYTES / self._lab.rate_bps

    def _clients_for(self, count: int) -> list[PeerProcess]:
        while len(self._clients) < count:
            self._clients.append(self._lab.peer("clients"))
        return self._clients[:count]
