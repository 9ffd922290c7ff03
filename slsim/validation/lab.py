"""A network made of two namespaces and the path between them, shaped in both directions; and its taking
down."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from slsim.validation.comparison import Links
from slsim.validation.namespaces import ValidationError, existing, leftovers, remove, require, run, stem
from slsim.validation.peers import QUEUES
from slsim.validation.signals import Signals

Side = Literal["clients", "server"]
ADDRESSES: Mapping[Side, str] = {"clients": "198.18.0.1", "server": "198.18.0.2"}  # RFC 2544: for benchmarks
DEVICE = "link0"
BURST_BYTES = 16 * 1024  # tc's 16kb
SHAPER = "burst 16kb latency 400ms"
PEERS, RELAY = Path(__file__).with_name("peers.py"), Path(__file__).with_name("relay.py")
PATIENCE_S = 180.0


class Lab:
    """`with Lab(rate_bps) as lab:` a network in which `lab.peer(side)` starts programs.

    `rate_bps` is in bit/s. The path is a veth pair, or, with `delay_s`, a program that passes each frame on
    so many seconds later.

    Whatever happens inside, SIGINT, SIGTERM and SIGHUP included, the programs are killed and the namespaces
    deleted on the way out. Namespaces that killed runs left are deleted on the way in. One at a time in a
    process.

    Raises ValidationError, saying what is missing, when this machine cannot make such a network.
    """

    def __init__(self, rate_bps: float, delay_s: float = 0.0) -> None:
        self.rate_bps, self._delay_s = rate_bps, delay_s
        self._signals = Signals()
        self._peers: list[PeerProcess] = []
        self._is_shaped = False
        self.namespaces: dict[Side, str] = {side: f"{stem(os.getpid())}-{side}" for side in ADDRESSES}

    def __enter__(self) -> Lab:
        require()
        self._signals.install()
        try:
            with self._signals.held():
                for namespace in leftovers():
                    remove(namespace)
            self._build()
        except BaseException:
            self._take_down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._take_down()

    def _build(self) -> None:
        for namespace in self.namespaces.values():
            self._whole("ip", "netns", "add", namespace)
        clients, server = self.namespaces["clients"], self.namespaces["server"]
        if self._delay_s:
            self._start(clients, RELAY, f"{self._delay_s!r}", DEVICE, "far0").reply()
            self._whole("ip", "-n", clients, "link", "set", "far0", "netns", server, "name", DEVICE)
        else:
            pair = ("type", "veth", "peer", "name", DEVICE, "netns", server)
            self._whole("ip", "-n", clients, "link", "add", DEVICE, *pair)
        for side, namespace in self.namespaces.items():
            self._whole("ip", "-n", namespace, "address", "add", f"{ADDRESSES[side]}/24", "dev", DEVICE)
            self._whole("ip", "-n", namespace, "link", "set", DEVICE, "up")
        self.shape(self.rate_bps)

    def shape(self, rate_bps: float, links: Links = "fifo", clients: int = 0) -> None:
        """Give both directions the rate `rate_bps` (bit/s) from now on: all one link with one queue ("fifo"),
        or with a queue for each of so many clients, which are served in turn ("fair"); or each client a link
        of that rate ("own")."""
        self.rate_bps = rate_bps
        rate = f"{rate_bps:.0f}bit"
        for namespace in self.namespaces.values():
            add = ("tc", "-n", namespace, "qdisc", "add", "dev", DEVICE)
            if self._is_shaped:
                self._whole("tc", "-n", namespace, "qdisc", "delete", "dev", DEVICE, "root")
            if links != "own":
                self._whole(*add, "root", "handle", "1:", "tbf", "rate", rate, *SHAPER.split())
            if links != "fifo":
                parent = ("root",) if links == "own" else ("parent", "1:1")
                self._whole(*add, *parent, "handle", f"{QUEUES}:", "htb")
            for number in range(1, clients + 1 if links != "fifo" else 1):
                self._class(namespace, number)
                if links == "own":
                    self._whole(*add, "parent", f"{QUEUES}:{number:x}", "tbf", "rate", rate, *SHAPER.split())
        self._is_shaped = True

    def _class(self, namespace: str, number: int) -> None:
        """A queue of its own for the client of that number, from 1 on, without a limit; a packet a turn."""
        place = ("dev", DEVICE, "parent", f"{QUEUES}:", "classid", f"{QUEUES}:{number:x}")
        self._whole("tc", "-n", namespace, "class", "add", *place, "htb", "rate", "10gbit", "quantum", "1514")

    def forget(self) -> None:
        """Drop what the kernel remembers of earlier connections, so that every measurement starts alike."""
        for namespace in self.namespaces.values():
            self._whole("ip", "-n", namespace, "tcp_metrics", "flush")

    def peer(self, side: Side) -> PeerProcess:
        """A new program on that side."""
        return self._start(self.namespaces[side], PEERS)

    def _start(self, namespace: str, program: Path, *arguments: str) -> PeerProcess:
        with self._signals.held():
            peer = PeerProcess(namespace, program, *arguments)
            self._peers.append(peer)
        return peer

    def dismiss(self) -> None:
        """End every program."""
        with self._signals.held():
            while self._peers:
                self._peers.pop().end()

    def _whole(self, *command: str) -> None:
        with self._signals.held():
            run(*command)

    def _take_down(self) -> None:
        try:
            with self._signals.held():
                self.dismiss()
                for namespace in set(existing()) & set(self.namespaces.values()):
                    remove(namespace)
        finally:
            self._signals.restore()


class PeerProcess:
    """A program of this folder in a namespace: requests go in, replies come out."""

    def __init__(self, namespace: str, program: Path, *arguments: str) -> None:
        python = (sys.executable, "-I", "-S", str(program), str(os.getpid()), *arguments)
        self._process = subprocess.Popen(
            ("ip", "netns", "exec", namespace, *python),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a terminal's Ctrl-C is for this process, which then ends the peers
        )

    def ask(self, do: str, **request: object) -> None:
        """Send a request: a method of `peers.Peer` and its arguments. `reply` gives its answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **request}).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise ValidationError(f"a peer has ended: {error}") from error

    def reply(self) -> dict[str, Any]:
        """The answer to the request before. Raises ValidationError when there is none, or an error."""
        out = self._process.stdout
        assert out is not None
        if not select.select([out], [], [], PATIENCE_S)[0]:
            raise ValidationError(f"a peer gave no answer for {PATIENCE_S:.0f} s; is the machine overloaded?")
        line = out.readline()
        if not line.startswith(b"{"):  # a traceback, or what `ip` has to say
            last = (line + out.read()).decode(errors="replace").strip().rpartition("\n")[2]
            raise ValidationError(f"a peer has ended: {last or 'it was killed'}")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise ValidationError(f"a peer's connection failed: {reply['error']}")
        return reply

    def call(self, do: str, **request: object) -> dict[str, Any]:
        """A request and its answer."""
        self.ask(do, **request)
        return self.reply()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
