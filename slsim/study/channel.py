"""Events of trainings in other processes, brought to the one that conducts the study.

They travel as lines of JSON over a socket: nothing that is received is unpickled.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing import AuthenticationError, connection
from typing import Any

from slsim import events
from slsim.events import Event, RoundDone, StepDone
from slsim.recording import Evaluation

LOCAL = "127.0.0.1"
OFTEN_S = 0.1  # rounds and steps are told no more often; evaluations always


@dataclass(frozen=True)
class Sender:
    """Tells events to the channel at `address`; may be sent to another process, and be called there. Where
    the channel cannot be reached any more, nobody is told."""

    address: tuple[str, int]
    key: bytes

    def __call__(self, event: Event) -> None:
        line = _lines.get(self.address)
        if line is None:
            line = _lines[self.address] = _Line(self.address, self.key)
        line.tell(event)


class _Line:
    """The connection of this process to a channel."""

    def __init__(self, address: tuple[str, int], key: bytes) -> None:
        self._connection: connection.Connection[Any, Any] | None = None
        self._told_s: dict[str, float] = {}  # by label
        with suppress(OSError, EOFError, AuthenticationError):
            self._connection = connection.Client(address, authkey=key)

    def tell(self, event: Event) -> None:
        if self._connection is None or self._is_too_often(event):
            return
        try:
            self._connection.send_bytes(encoded(event))
        except OSError:
            self._connection = None

    def _is_too_often(self, event: Event) -> bool:
        if not isinstance(event, (RoundDone, StepDone)):
            return False
        now = time.monotonic()
        if now - self._told_s.get(event.label, 0.0) < OFTEN_S:
            return True
        self._told_s[event.label] = now
        return False


_lines: dict[tuple[str, int], _Line] = {}  # of this process, by address: a connection cannot be sent to it


class Channel:
    """Receives events and gives each to `put`, in threads of its own; use as a context manager. `sender` is
    what other processes are given."""

    def __init__(self, put: Callable[[Event], object], host: str = LOCAL) -> None:
        key = secrets.token_bytes(32)
        self._put = put
        self._listener = connection.Listener((host, 0), authkey=key)
        address: Any = self._listener.address
        self.sender = Sender((address[0], address[1]), key)

    def __enter__(self) -> Channel:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                line = self._listener.accept()
            except (AuthenticationError, EOFError, ConnectionError):
                continue  # a stranger, or a process that was killed
            except OSError:
                return  # closed
            threading.Thread(target=self._receive, args=(line,), daemon=True).start()

    def _receive(self, line: connection.Connection[Any, Any]) -> None:
        with suppress(OSError, EOFError):
            while True:
                self._put(decoded(line.recv_bytes()))


def encoded(event: Event) -> bytes:
    """An event as JSON."""
    return json.dumps({"event": type(event).__name__, **asdict(event)}).encode()


def decoded(content: bytes) -> Event:
    """The event that `encoded` made."""
    table = json.loads(content)
    kind = getattr(events, table.pop("event"))
    if "evaluation" in table:
        table["evaluation"] = Evaluation(**table["evaluation"])
    if "trainings" in table:
        table["trainings"] = tuple(table["trainings"])
    event: Event = kind(**table)
    return event
