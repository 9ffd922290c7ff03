"""Listeners for tests: what a study told."""

from __future__ import annotations

from slsim.events import Event, Failed, Finished, Notice, Planned, Reused, RoundDone


class Log:
    """Notes every event, and what the tests ask for by name."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    @property
    def planned(self) -> list[str]:
        return [label for one in self.events if isinstance(one, Planned) for label in one.trainings]

    @property
    def trained(self) -> list[str]:
        return [one.label for one in self.events if isinstance(one, Finished)]

    @property
    def reused(self) -> list[str]:
        return [one.label for one in self.events if isinstance(one, Reused)]

    @property
    def failed(self) -> list[str]:
        return [one.label for one in self.events if isinstance(one, Failed)]

    @property
    def notices(self) -> list[str]:
        return [one.text for one in self.events if isinstance(one, Notice)]

    @property
    def rounds(self) -> list[int]:
        """The rounds that were done here, and not before an interruption."""
        return [one.rounds for one in self.events if isinstance(one, RoundDone)]


class CtrlC(Log):
    """A user who presses Ctrl-C after a round of the training `label` (any, where it is left out)."""

    def __init__(self, rounds: int, label: str = "") -> None:
        super().__init__()
        self._at, self._label = rounds, label

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if isinstance(event, RoundDone) and event.rounds == self._at and self._label in ("", event.label):
            raise KeyboardInterrupt
