"""The programs inside the network namespaces: they send, receive and compute (sleep), and say when.

Run by path, `python -I -S peers.py PARENT`, with nothing but the standard library, so that a dozen start in
a moment. One JSON request a line comes in on stdin, one JSON reply a line goes out on stdout; what a request
holds are the parameters of the method of `Peer` that it names. All times are seconds of CLOCK_MONOTONIC,
which all processes of one machine share. A peer dies with the process PARENT that started it.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from contextlib import suppress
from typing import Any

PATIENCE_S = 120.0  # nothing in an experiment takes longer
BLOCK = 1 << 20
QUEUES = 2  # the handle of the qdisc whose classes are the clients' queues, 2:1 for client 0
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

_zeros, _scratch = memoryview(bytes(BLOCK)), memoryview(bytearray(BLOCK))


class Peer:
    """One process, with a listening socket or a connection of its own where it was asked for one."""

    def __init__(self) -> None:
        self._listener: socket.socket | None = None
        self._connection: socket.socket | None = None

    def listen(self, address: str) -> dict[str, Any]:
        """Accept connections from now on. Says at which port, and the kernel's congestion control here."""
        self._listener = socket.create_server((address, 0), backlog=64)
        self._listener.settimeout(PATIENCE_S)
        return {"port": self._listener.getsockname()[1], "congestion": congestion_of(self._listener)}

    def close(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            self._listener.close()

    def can_use(self, congestion: str) -> dict[str, Any]:
        """Whether the kernel has that congestion control."""
        with socket.socket() as tried:
            try:
                choose_congestion(tried, congestion)
            except OSError:
                return {"usable": False}
        return {"usable": True}

    def choose(self, congestion: str) -> dict[str, Any]:
        """Send with that congestion control over the connections that will be accepted."""
        assert self._listener is not None, "listen comes first"
        choose_congestion(self._listener, congestion)
        return {}

    def echo(self, count: int) -> dict[str, Any]:
        """Give back each of `count` single bytes of one connection."""
        with self._accept() as connection:
            for _ in range(count):
                connection.sendall(connection.recv(1))
        return {}

    def ping(self, address: str, port: int, count: int) -> dict[str, Any]:
        """Says the round-trip times of `count` single bytes, one after another, in seconds."""
        round_trips_s = []
        with connect(address, port, "") as connection:
            for _ in range(count):
                start_s = time.monotonic()
                connection.sendall(b"?")
                connection.recv(1)
                round_trips_s.append(time.monotonic() - start_s)
        return {"round_trips_s": round_trips_s}

    def receive(self, flows: int, num_bytes: int) -> dict[str, Any]:
        """Take `num_bytes` from each of `flows` new connections. Says when each had its last byte."""
        left = {self._accept(): num_bytes for _ in range(flows)}
        ends_s = []
        while left:
            for connection in ready(left, reading=True):
                left[connection] -= take(connection, left[connection])
                if left[connection] == 0:
                    ends_s.append(time.monotonic())
                    del left[connection]
                    connection.close()
        return {"ends_s": ends_s}

    def send(
        self, address: str, port: int, flows: int, num_bytes: int, congestion: str, pause_s: float
    ) -> dict[str, Any]:
        """Connect `flows` times, wait `pause_s`, then send `num_bytes` over each at once. Says when it
        handed the first byte to the kernel."""
        left = {connect(address, port, congestion): num_bytes for _ in range(flows)}
        for connection in left:
            connection.setblocking(False)
        time.sleep(pause_s)
        start_s = time.monotonic()
        while left:
            for connection in ready(left, reading=False):
                left[connection] -= put(connection, left[connection])
                if left[connection] == 0:
                    del left[connection]
                    connection.close()
        return {"start_s": start_s}

    def join(self, address: str, port: int, client: int, congestion: str) -> dict[str, Any]:
        """Connect to the server of a round as `client` (0 … 255), and wait until it knows."""
        self._connection = connect(address, port, congestion)
        queue_as(self._connection, client)
        self._connection.sendall(bytes([client]))
        self._connection.recv(1)
        return {}

    def turn(
        self, start_s: float, before_s: float, up_bytes: int, down_bytes: int, after_s: float
    ) -> dict[str, Any]:
        """A client's turn from `start_s` on: compute for `before_s`, send `up_bytes`, receive `down_bytes`,
        compute for `after_s`. Says when it began, began to send, had received, and ended."""
        assert self._connection is not None, "join comes before turn"
        with self._connection as connection:
            sleep_until(start_s)
            began_s = time.monotonic()
            sleep_until(began_s + before_s)
            sent_s = time.monotonic()
            while up_bytes:
                up_bytes -= put(connection, up_bytes)
            while down_bytes:
                down_bytes -= take(connection, down_bytes)
            received_s = time.monotonic()
            sleep_until(received_s + after_s)
            return {"began_s": began_s, "sent_s": sent_s, "received_s": received_s, "end_s": time.monotonic()}

    def serve(self, turns: list[tuple[int, float, int]], slots: int) -> dict[str, Any]:
        """The server of one round. `turns[client]` is bytes up, seconds of computing, bytes down; `slots`
        clients are computed for at a time, first come, first served. Says, client by client, when the
        upload had arrived and when its computing ended."""
        connections = {}
        for _ in turns:
            connection = self._accept()
            client = connection.recv(1)[0]
            queue_as(connection, client)
            connections[client] = connection
        for connection in connections.values():
            connection.sendall(b"!")
            connection.setblocking(False)
        return Server(turns, slots, connections).run()

    def _accept(self) -> socket.socket:
        assert self._listener is not None, "listen comes first"
        return prepared(self._listener.accept()[0])


class Server:
    """A round as its server sees it: one thread that receives, computes and sends for all clients."""

    def __init__(
        self, turns: list[tuple[int, float, int]], slots: int, connections: dict[int, socket.socket]
    ) -> None:
        self._turns, self._slots = turns, slots
        self._clients = {connection: client for client, connection in connections.items()}
        self._to_come = {connection: turns[client][0] for client, connection in connections.items()}
        self._to_go: dict[socket.socket, int] = {}
        self._queue: deque[socket.socket] = deque()
        self._computing: dict[socket.socket, float] = {}  # until when, in seconds
        self._arrived_s, self._computed_s = [0.0] * len(turns), [0.0] * len(turns)

    def run(self) -> dict[str, Any]:
        while self._to_come or self._queue or self._computing or self._to_go:
            until_s = min(self._computing.values(), default=time.monotonic() + PATIENCE_S)
            wait_s = max(0.0, until_s - time.monotonic())
            readable, writable, _ = select.select(list(self._to_come), list(self._to_go), [], wait_s)
            for connection in readable:
                self._read(connection)
            for connection in writable:
                self._write(connection)
            self._compute()
        return {"arrived_s": self._arrived_s, "computed_s": self._computed_s}

    def _read(self, connection: socket.socket) -> None:
        self._to_come[connection] -= take(connection, self._to_come[connection])
        if self._to_come[connection] == 0:
            del self._to_come[connection]
            self._arrived_s[self._clients[connection]] = time.monotonic()
            self._queue.append(connection)

    def _write(self, connection: socket.socket) -> None:
        self._to_go[connection] -= put(connection, self._to_go[connection])
        if self._to_go[connection] == 0:
            del self._to_go[connection]
            connection.close()

    def _compute(self) -> None:
        """End what has been computed, send it, and begin what comes next in the queue."""
        for connection, until_s in list(self._computing.items()):
            if until_s <= time.monotonic():
                client = self._clients[connection]
                del self._computing[connection]
                self._computed_s[client] = time.monotonic()
                self._to_go[connection] = self._turns[client][2]
        while self._queue and len(self._computing) < self._slots:
            connection = self._queue.popleft()
            self._computing[connection] = time.monotonic() + self._turns[self._clients[connection]][1]


def prepared(connection: socket.socket) -> socket.socket:
    """As programs that exchange messages set their connections up: small ones are not held back."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(PATIENCE_S)
    return connection


def connect(address: str, port: int, congestion: str) -> socket.socket:
    """A new connection; `congestion` "" is the kernel's default. It is chosen before connecting: bbr leaves
    its pacing behind where it ran for a moment only."""
    connection = prepared(socket.socket())
    choose_congestion(connection, congestion)
    connection.connect((address, port))
    return connection


def choose_congestion(connection: socket.socket, congestion: str) -> None:
    if congestion:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())


def queue_as(connection: socket.socket, client: int) -> None:
    """Mark a connection's packets as that client's: a shaper with a queue for each client sorts by it. Only
    root may, and only root builds such shapers."""
    with suppress(PermissionError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, QUEUES << 16 | client + 1)


def congestion_of(connection: socket.socket) -> str:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode()


def ready(connections: dict[socket.socket, int], *, reading: bool) -> list[socket.socket]:
    """Those that can be read from, or written to. Raises TimeoutError when none can for too long."""
    waiting = list(connections)
    readable, writable, _ = select.select(
        waiting if reading else (), () if reading else waiting, (), PATIENCE_S
    )
    if not readable and not writable:
        raise TimeoutError(f"{len(waiting)} connections stood still for {PATIENCE_S:.0f} s")
    return readable or writable


def take(connection: socket.socket, num_bytes: int) -> int:
    """Receive up to `num_bytes` (> 0); how many there were. Raises ConnectionError at the stream's end."""
    received = connection.recv_into(_scratch, min(num_bytes, BLOCK))
    if received == 0:
        raise ConnectionError("the other side closed the connection in the middle of a message")
    return received


def put(connection: socket.socket, num_bytes: int) -> int:
    """Send up to `num_bytes` (> 0); how many the kernel took."""
    return connection.send(_zeros[: min(num_bytes, BLOCK)])


def sleep_until(time_s: float) -> None:
    time.sleep(max(0.0, time_s - time.monotonic()))


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the one that started it has ended, however it ended."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def main() -> None:
    """Answer requests until stdin ends."""
    die_with(int(sys.argv[1]))
    peer = Peer()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = getattr(peer, request.pop("do"))(**request)
        except OSError as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
