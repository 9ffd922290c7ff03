"""The loop of a training: rounds as the protocol has them, measured, evaluated and recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
import torch

from slsim import boundary, seeds
from slsim.errors import ComponentError, TrainingDiverged
from slsim.learning.evaluation import evaluate
from slsim.learning.exchange import Exchange
from slsim.learning.halves import Snapshot
from slsim.learning.hooks import Hook
from slsim.learning.hooks.look import Look
from slsim.learning.tensors import Tensors
from slsim.recording import STEP, Measurement, Pause, Recording, Round
from slsim.registry import full_name

ROW = "(part, quantity, value), two texts and a number"


class Loop:
    """One training in progress: the exchange, what drives it, and what is recorded.

    `learn` is a protocol's (`Protocol.learn`); `crosses_cut` says whether activations travel at inference, so
    that accuracy is measured through the codecs. `over` is asked after each round, and after each evaluation:
    it says what ends the training, such as "uplink"; nothing where it goes on.
    """

    def __init__(
        self,
        exchange: Exchange,
        learn: Any,
        recording: Recording,
        hooks: Sequence[Hook] = (),
        crosses_cut: bool = True,
        over: Callable[[Recording], str] = lambda _: "",
    ) -> None:
        assert isinstance(exchange.computation, Tensors)
        self.exchange, self.tensors, self.recording = exchange, exchange.computation, recording
        self._learn, self._hooks, self._crosses_cut = learn, tuple(hooks), crosses_cut
        self._over = over
        self._pause: Pause | None = None  # of the protocol's round that is not over
        assert recording.words is exchange.words, "steps and recording number their texts alike"

    def run(self) -> Iterator[Round | Pause]:
        """Train to the end; yields at each pause and after each round, when all of it is recorded. A training
        that diverges ends, and its recording says so."""
        if self.recording.num_rounds:  # a training that is resumed may have been killed just before its end
            self._look_whether_over()
        events = self._learn(self.exchange, self._pause.state() if self._pause else None)
        try:
            self._measure()
            self._pause = None
            while not self.recording.stopped_by and (event := self._next(events)) is not None:
                if isinstance(event, Round):
                    self._record(event)
                else:
                    self.exchange.script.leave_server()  # whether or not it is saved here
                    self._pause = event
                yield event
                self._pause = None
        except TrainingDiverged:
            self.recording.status = "diverged"

    def _next(self, events: Iterator[Any]) -> Round | Pause | None:
        """The protocol's next event. Layers that draw for themselves (dropout) do so from the seed and the
        step. Raises `ComponentError` for what is neither a round nor a pause."""
        with torch.random.fork_rng(devices=[]):
            _seed_layers(seeds.integer(self.exchange.seed, "layers", self.exchange.progress.steps))
            event = next(events, None)
        if event is not None and not isinstance(event, (Round, Pause)):
            raise ComponentError(
                f"the protocol gave {boundary.shown(event)}; exchange.finish_round() or a Pause is due"
            )
        return event

    def _record(self, done: Round) -> None:
        self.recording.phases |= self.exchange.phases
        self.recording.add_round(done.rows)
        self._measure()
        self._look_whether_over()
        if self.exchange.progress.evaluation_due():
            batch_size = self.exchange.sampler.batch_size
            self.recording.evaluations.append(
                evaluate(self.tensors, self.exchange.progress, batch_size, self._crosses_cut)
            )
            self._look_whether_over()

    def _look_whether_over(self) -> None:
        """End the training before its last round where something else ends it."""
        if not self.exchange.progress.is_over and (reason := self._over(self.recording)):
            self.recording.stopped_by = reason
            self.exchange.progress.stop()

    def _measure(self) -> None:
        """Let hooks measure whose turn it is, unless an interrupted training did so already."""
        rounds, measurements = self.exchange.progress.rounds, self.recording.measurements
        if self._pause or (measurements and measurements[-1].round >= rounds):
            return
        for hook in self._hooks:
            if rounds % hook.every == 0:
                look = Look(self.exchange)
                with torch.random.fork_rng(devices=[]):
                    rows = list(_rows(hook, look))
                measurements += [
                    Measurement(rounds, look.client, part, quantity, value)
                    for part, quantity, value in rows
                    if isfinite(value)
                ]

    # Where it is.

    def state(self) -> dict[str, Any]:
        """All that a training needs to be resumed from here, beside its scenario and what is recorded, as
        tensors and plain values."""
        exchange = self.exchange
        rows = exchange.open_rows() if self._pause else np.zeros(0, STEP)
        return {
            "client": exchange.client.snapshot().plain(),
            "server": exchange.server.snapshot().plain(),
            "taken": torch.from_numpy(exchange.sampler.taken.copy()),
            "rounds": exchange.progress.rounds,
            "steps": exchange.progress.steps,
            "losses": list(self.tensors.losses),
            "measured_codecs": exchange.codings.state(),
            "coders": exchange.codings.coders(),
            "words": {column: list(texts) for column, texts in exchange.words.texts.items()},
            "phases": dict(self.recording.phases | exchange.phases),
            "open": self._pause.state() if self._pause else None,
            "open_rows": torch.from_numpy(np.frombuffer(rows.tobytes(), np.uint8).copy()),
            "section": exchange.script.section if self._pause else 0,
            "last_in_order": exchange.script.last_in_order,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from what `state` gave."""
        exchange = self.exchange
        exchange.words.restore(state["words"])
        exchange.client.restore(Snapshot(**state["client"]))
        exchange.server.restore(Snapshot(**state["server"]))
        exchange.sampler.taken[:] = state["taken"].numpy()
        exchange.progress.rounds, exchange.progress.steps = state["rounds"], state["steps"]
        self.tensors.losses = list(state["losses"])
        exchange.codings.restore(state["measured_codecs"])
        exchange.codings.restore_coders(state["coders"])
        self._pause = None if state["open"] is None else Pause(lambda: state["open"])
        rows = np.frombuffer(state["open_rows"].numpy().tobytes(), STEP)
        exchange.script.resume(rows, state["section"], state["last_in_order"])


def _rows(hook: Hook, look: Look) -> Iterator[tuple[str, str, float]]:
    """A hook's rows. Raises `ComponentError` that names the hook where one is none."""
    given: Any = hook.measure(look)
    if not isinstance(given, Iterable):
        raise _no_row(hook, given)
    for row in given:
        try:
            part, quantity, value = row
            texts = [part, quantity]
            if not all(isinstance(text, str) and text and text.encode() for text in texts):
                raise ValueError
            value = float(value)
        except (TypeError, ValueError, OverflowError, RuntimeError):  # the last is torch's, of many values
            raise _no_row(hook, row) from None
        yield part, quantity, value


def _no_row(hook: Hook, given: object) -> ComponentError:
    what = f"gave {boundary.shown(given)}; rows are {ROW}"
    return ComponentError(f"{full_name(type(hook))}, in measure: {what}")


def _seed_layers(seed: int) -> None:
    """Seed the generators that layers draw from: the host's, and CUDA's where it is in use.

    `torch.manual_seed` takes as long as a small layer: it formats a stack trace for each kind of accelerator.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
