"""Ends by signal that leave nothing behind: SIGINT, SIGTERM and SIGHUP become exceptions, and wait while
something is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """From `install` to `restore`, each of `SIGNALS` raises KeyboardInterrupt (SIGINT) or SystemExit with
    the status shells give, 128 + signal: at once, or where `held` ends. Only a process's main thread can
    have that; in another one nothing changes."""

    def __init__(self) -> None:
        self._former: dict[int, Any] = {}
        self._depth = 0
        self._pending: int | None = None

    def install(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._former = {number: signal.signal(number, self._receive) for number in SIGNALS}

    def restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former = {}

    @contextmanager
    def held(self) -> Iterator[None]:
        """What is inside is done whole, whatever signal arrives; the signal takes effect after it."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0 and self._pending is not None:
                pending, self._pending = self._pending, None
                _end(pending)

    def _receive(self, number: int, _: FrameType | None) -> None:
        if self._depth:
            self._pending = self._pending or number
        else:
            _end(number)


def _end(number: int) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
