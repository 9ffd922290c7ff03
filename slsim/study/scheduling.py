"""Which training a crew does next, and what to do where a process dies."""

from __future__ import annotations

import queue
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import contextmanager
from functools import partial
from typing import TypeAlias

from slsim.boundary import told
from slsim.errors import DiskError, StudyError, TrainingError
from slsim.events import Event, Failed, Notice, Tell
from slsim.results import StudyFolder
from slsim.study.channel import Channel
from slsim.study.crews import Crew
from slsim.study.elsewhere import fetch, train_elsewhere
from slsim.study.failures import noted
from slsim.study.job import Outcome, train_to_disk
from slsim.study.preparing import Manners
from slsim.study.processes import ProcessDiedError
from slsim.study.stopping import aim_of
from slsim.study.training import Training

MOST_DEATHS = 3  # of the process of one training

Inbox: TypeAlias = "queue.SimpleQueue[Event | Future[Outcome]]"


class Schedule:
    """Trainings on their way through a crew.

    A training that another process does is asked for again at the end. One whose process died (killed, or
    out of memory) is resumed from its checkpoint; after `MOST_DEATHS` it counts as failed.
    """

    def __init__(self, trainings: Sequence[Training], folder: StudyFolder, crew: Crew, tell: Tell) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self._waiting = list(trainings)
        self._folder, self._crew, self._tell = folder, crew, tell
        self._running: dict[Future[Outcome], tuple[Training, str]] = {}
        self._free = list(reversed(crew.devices))
        self._busy: set[str] = set()
        self._deaths: Counter[str] = Counter()

    def run(
        self,
        executor: Executor,
        known: Manners,
        after: Callable[[Training], str | None] = lambda _: None,
    ) -> None:
        """Do all of them. `after` names the training that one has to wait for, if there is one. Raises
        `DiskError` when nothing can be written any more."""
        inbox: Inbox = queue.SimpleQueue()
        with self._channel(inbox) as sender:
            try:
                while self._waiting or self._running:
                    while self._free and (training := self._next(after)) is not None:
                        self._submit(executor, training, sender, known, inbox)
                    item = inbox.get()
                    if isinstance(item, Future):
                        self._settle(item)
                    else:
                        self._tell(item)
            except BaseException:
                self._crew.kill(executor)
                raise
            executor.shutdown()
        while not inbox.empty():
            item = inbox.get()
            if not isinstance(item, Future):
                self._tell(item)

    @contextmanager
    def _channel(self, inbox: Inbox) -> Iterator[Tell]:
        """What trainings are given to tell events."""
        if self._crew.host is None:
            yield self._tell
        else:
            with Channel(inbox.put, self._crew.host) as channel:
                yield channel.sender

    def _next(self, after: Callable[[Training], str | None]) -> Training | None:
        """The first training that may begin now."""
        ready = [one for one in self._waiting if (name := after(one)) is None or name in self.outcomes]
        patient = all(one.name in self._busy for one in ready)
        return next((one for one in ready if one.name not in self._busy or patient), None)

    def _submit(
        self, executor: Executor, training: Training, sender: Tell, known: Manners, inbox: Inbox
    ) -> None:
        self._waiting.remove(training)
        device = self._free.pop()
        wait = training.name in self._busy
        place = self._crew.place
        train = train_to_disk if place is None else partial(train_elsewhere, place)
        aim = aim_of(training, self._folder)
        future = executor.submit(
            train, training, self._folder, device, sender, known=known, wait=wait, aim=aim
        )
        self._running[future] = (training, device)
        future.add_done_callback(inbox.put)

    def _settle(self, future: Future[Outcome]) -> None:
        """Take up what became of a training. Raises `DiskError`; `StudyError` where an executor is broken."""
        training, device = self._running.pop(future)
        self._free.append(device)
        try:
            outcome = future.result()
            if self._crew.place is not None and outcome.state in ("trained", "found", "failed"):
                outcome = fetch(self._crew.place, outcome, self._folder)
        except DiskError:
            raise
        except ProcessDiedError as error:
            self._died(training, error.how)
            return
        except BrokenExecutor as error:
            raise StudyError(f"the executor is broken, what was finished is kept: {told(error)}") from error
        except (Exception, CancelledError) as error:  # noqa: BLE001  # of an executor that is somebody else's
            outcome = self._failed(training, TrainingError(f"it could not be done there: {told(error)}"))
        if outcome.state == "no disk":
            raise DiskError(outcome.reason)
        if outcome.state == "busy":
            self._busy.add(training.name)
            self._waiting.append(training)
            return
        self.outcomes[training.name] = outcome

    def _failed(self, training: Training, error: TrainingError) -> Outcome:
        """A training that failed for a reason that is not its own."""
        self._tell(Failed(training.label, str(error)))
        return Outcome(
            training.name, "failed", failure=noted(error, training.label, training.name, self._folder)
        )

    def _died(self, training: Training, how: str) -> None:
        self._deaths[training.name] += 1
        if self._deaths[training.name] < MOST_DEATHS:
            self._waiting.insert(0, training)
            self._tell(Notice(f"{training.label}: its process was {how}; it is resumed from its checkpoint"))
            return
        error = TrainingError(
            f"its process was {how}, {MOST_DEATHS} times in all, perhaps for want of memory: fewer "
            "--workers, a smaller model or smaller mini-batches need less"
        )
        self.outcomes[training.name] = self._failed(training, error)
