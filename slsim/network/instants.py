"""The end of an instant in a SimPy environment.

Several networks may be at work in one environment. They share one `EndOfInstant`, because each of two would
take the timeouts of the other for something that still happens.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakValueDictionary

import simpy


class EndOfInstant:
    """Calls back when nothing more happens at the current time of `env`, before the clock advances."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self._callbacks: list[Callable[[], None]] = []

    @classmethod
    def of(cls, env: simpy.Environment) -> EndOfInstant:
        """Return the one of `env`."""
        instant = _INSTANTS.get(id(env))
        if instant is None:
            instant = _INSTANTS[id(env)] = cls(env)
        return instant

    def call(self, callback: Callable[[], None]) -> None:
        """Call `callback` at the end of this instant, after those that were given before it."""
        if not self._callbacks:
            self._wait()
        self._callbacks.append(callback)

    def _wait(self) -> None:
        """Wait until all events that are scheduled for this instant have been processed."""
        self._env.timeout(0).callbacks.append(self._look)

    def _look(self, _: simpy.Event) -> None:
        """Call back, unless those events have scheduled others for this instant."""
        if self._env.peek() <= self._env.now:
            self._wait()
            return
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


# By id, and weak: a key that holds the environment would keep it for ever, as its queue may hold the value.
_INSTANTS: WeakValueDictionary[int, EndOfInstant] = WeakValueDictionary()
