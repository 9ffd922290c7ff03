"""A training as a job: done for real, wherever there is a core, with its recording on disk at the end.

`train_to_disk` can be given to any `concurrent.futures.Executor`, whose processes or machines see the study's
folder: what it is given and what it gives are plain values, and the recording goes through the folder.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from slsim.errors import DiskError, RecordingError, SlsimError
from slsim.events import (
    Evaluated,
    Event,
    Failed,
    Finished,
    Notice,
    Reused,
    RoundDone,
    Saved,
    Started,
    StepDone,
    Tell,
    Waiting,
    silent,
)
from slsim.locks import LockedError, training_lock
from slsim.recording import Kept, Recording, Round
from slsim.results import StudyFolder, environment
from slsim.study.checkpoint import Checkpoint
from slsim.study.failures import Failure, noted, told_by_cause
from slsim.study.fingerprints import Fingerprints
from slsim.study.formats import formats
from slsim.study.keys import learned
from slsim.study.one_round import check_first_round
from slsim.study.preparing import Manners, prepare
from slsim.study.reuse import FILES, reusable
from slsim.study.stopping import aim_of, over, target_for
from slsim.study.training import Training
from slsim.threads import computing_with

if TYPE_CHECKING:
    from slsim.learning.exchange import Exchange
    from slsim.learning.loop import Loop

State = Literal["trained", "found", "busy", "failed", "no disk"]


@dataclass(frozen=True)
class Outcome:
    """What became of a training: "trained" in `wall_s` seconds of real time, "found" (another process has
    just finished it), "busy" (another process trains it), "failed", or "no disk": then nothing can be
    written, and `reason` says why."""

    name: str
    state: State
    wall_s: float = 0.0
    failure: Failure | None = None
    reason: str = ""


def train_to_disk(
    training: Training,
    folder: StudyFolder,
    device: str = "cpu",
    tell: Tell = silent,
    *,
    known: Manners | None = None,
    wait: bool = True,
    aim: float | None = None,
) -> Outcome:
    """Train, from the training's checkpoint on where there is one, and save the recording in `folder`.

    Each training is done by one process at a time: where another one does it, this one waits for its end, or
    is told "busy" unless `wait`. Whatever a training fails by is noted in the folder, and told by the
    outcome; nothing is raised. `known` are models that were tried already (`preparing.prepare`). `aim` is
    what an uncompressed run sets, where that is not in `folder` (`stopping.aim_of`).
    """
    try:
        with training_lock(
            folder.training(training.name), blocking=wait, waiting=lambda: tell(Waiting(training.label))
        ):
            return _train_to_disk(training, folder, device, tell, known, aim)
    except LockedError:
        return Outcome(training.name, "busy")
    except DiskError as error:
        return Outcome(training.name, "no disk", reason=str(error))


def _train_to_disk(
    training: Training,
    folder: StudyFolder,
    device: str,
    tell: Tell,
    known: Manners | None,
    aim: float | None,
) -> Outcome:
    fingerprints = Fingerprints()
    files = fingerprints.of(training.scenario)
    with suppress(RecordingError):  # it will be written anew
        if reusable(folder, training.name, files) is not None:
            tell(Reused(training.label, by_another=True))
            return Outcome(training.name, "found")
    checkpoint = Checkpoint(
        folder.checkpoint(training.name), files, lambda text: tell(Notice(f"{training.label}: {text}"))
    )

    def ready() -> None:
        checkpoint.files = fingerprints.of(training.scenario)  # some may have been fetched just now

    try:
        with told_by_cause(training.scenario):
            aim = aim_of(training, folder) if aim is None else aim
            until = over(training.scenario, target_for(training, aim))
        _, recording = train(training, tell, checkpoint, device, ready, known, until)
    except DiskError:
        raise
    except SlsimError as error:
        tell(Failed(training.label, str(error)))
        return Outcome(training.name, "failed", failure=noted(error, training.label, training.name, folder))
    if checkpoint.files:
        recording.provenance[FILES] = checkpoint.files
    folder.save_training(training.name, recording)
    folder.error_file(training.name).unlink(missing_ok=True)
    checkpoint.remove()
    tell(Finished(training.label, recording.status, recording.provenance["wall_s"]))
    return Outcome(training.name, "trained", recording.provenance["wall_s"])


def train(
    training: Training,
    tell: Tell = silent,
    checkpoint: Checkpoint | None = None,
    device: str = "cpu",
    ready: Callable[[], object] = lambda: None,
    known: Manners | None = None,
    over: Callable[[Recording], str] = lambda _: "",
) -> tuple[Exchange, Recording]:
    """Train for real and record it, from the checkpoint on if there is one; a training that diverges is
    recorded up to there, and one that `over` ends too (see `stopping`). `ready` is called when data and model
    are there, before the first round. Raises `TrainingError` or `ComponentError` for whatever goes wrong in
    it. For `known` see `preparing.prepare`."""
    from slsim.learning.transfer import called  # it needs torch, as all that trains

    started = time.monotonic()
    threads = training.scenario.training.threads
    with computing_with(threads), told_by_cause(training.scenario):
        loop = _begin(training, prepare(training.scenario, device, known), over)
        wall_s = checkpoint.resume(loop) if checkpoint is not None else 0.0
        exchange, recording = loop.exchange, loop.recording
        ready()
        for text in exchange.parts.manner.notices:
            tell(Notice(f"{training.label}: {text}"))
        rounds = exchange.progress.total_rounds
        tell(Started(training.label, rounds, recording.num_rounds, recording.learning))
        for event in loop.run():
            is_round = isinstance(event, Round)
            if is_round and recording.num_rounds == 1:
                check_first_round(training.scenario, recording)
            epoch_ended = is_round and exchange.progress.epoch_ended()
            if checkpoint is not None and checkpoint.due(epoch_ended):
                checkpoint.save(loop, wall_s + time.monotonic() - started)
                tell(Saved(training.label))
            for done in _done(training.label, loop, is_round):
                tell(done)
    recording.formats = formats(recording, exchange.codings)
    recording.cut_shape = exchange.parts.model.cut_shape if training.scenario.model.adapter else None
    recording.measured_codecs = exchange.codings.measured
    recording.kept = Kept(*exchange.codings.kept_bytes())
    recording.provenance = {
        **environment(),
        "device": called(exchange.device),
        "threads": threads,
        "wall_s": round(wall_s + time.monotonic() - started, 3),
    }
    if notices := exchange.parts.manner.notices:
        recording.provenance["notices"] = list(notices)
    return exchange, recording


def _done(label: str, loop: Loop, is_round: bool) -> list[Event]:
    """What to tell after a round, or a pause within one."""
    recording = loop.recording
    if not is_round:
        return [StepDone(label, loop.exchange.progress.steps)]
    last = recording.evaluations[-1] if recording.evaluations else None
    done: list[Event] = [RoundDone(label, recording.num_rounds, last.accuracy if last else None)]
    if last is not None and last.round == recording.num_rounds:
        steps = recording.steps
        up, down = (
            int(recording.totals(steps.total("num_bytes", steps.crosses(way)))[-1])
            for way in ("uplink", "downlink")
        )
        done.append(Evaluated(label, last, up, down))
    return done


def _begin(training: Training, exchange: Exchange, over: Callable[[Recording], str]) -> Loop:
    """A training in which nothing was done yet."""
    from slsim.learning.loop import Loop

    scenario = training.scenario
    protocol = scenario.training.protocol.create()
    recording = Recording(
        training.key, learned(scenario), test_set=exchange.images.test_set, words=exchange.words
    )
    hooks = [choice.create() for choice in scenario.training.hooks]
    return Loop(exchange, protocol.learn, recording, hooks, protocol.crosses_cut, over)
