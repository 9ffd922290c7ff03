"""Experiment trackers, told the same events as the progress display (`slsim.events`): TensorBoard, MLflow.

A run of theirs is a training. Against its rounds they show what each evaluation gives: accuracy, the same
without codecs, training loss, and the bytes that all clients have sent and received by then; beside them all
parameters of what is learned. Both packages are extras of slsim, imported when a tracker is made.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from slsim.boundary import told
from slsim.errors import StudyError
from slsim.events import Evaluated, Event, Failed, Finished, Notice, Started, Tell
from slsim.results import slug

LOCAL_MLFLOW = "sqlite:///mlflow.db"  # where neither an address is given nor MLFLOW_TRACKING_URI is set
LONGEST_PARAMETER = 6_000  # characters, in MLflow


class Tracker(Protocol):
    """What is told events, and closed at the end."""

    def __call__(self, event: Event) -> None: ...
    def close(self) -> None: ...


class TensorBoard:
    """Write a folder of TensorBoard's event files for each training, below `folder`. Raises `StudyError`
    where TensorBoard is not installed.

        slsim.run("scenarios/quickstart.toml", tell=TensorBoard(Path("results/quickstart/tensorboard")))
    """

    def __init__(self, folder: Path) -> None:
        with _installed("TensorBoard", "tensorboard"):
            from torch.utils.tensorboard import SummaryWriter
        self._make, self._folder = SummaryWriter, folder
        self._writers: dict[str, Any] = {}  # by label
        self._hparams: dict[str, dict[str, Any]] = {}
        self._last: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case Started(label, _, done, learning):
                # What an interrupted training wrote after its checkpoint is done again.
                writer = self._make(str(self._folder / slug(label)), purge_step=done + 1)
                self._writers[label] = writer
                if learning is not None:
                    self._hparams[label] = flat(learning)
                    table = json.dumps(learning, indent=2, default=str)
                    writer.add_text("scenario", f"```json\n{table}\n```")
                writer.flush()
            case Evaluated(label, evaluation) if label in self._writers:
                for name, value in measured(event).items():
                    self._writers[label].add_scalar(name, value, evaluation.round)
                self._writers[label].flush()
                self._last[label] = evaluation.accuracy
            case Finished(label) | Failed(label) if label in self._writers:
                self._end(label)

    def _end(self, label: str) -> None:
        writer = self._writers.pop(label)
        if label in self._last and label in self._hparams:
            plain = {
                key: value if isinstance(value, (bool, int, float, str)) else str(value)
                for key, value in self._hparams[label].items()
            }
            writer.add_hparams(plain, {"final accuracy": self._last[label]}, run_name=".")
        writer.close()

    def close(self) -> None:
        """Close what is open."""
        for label in list(self._writers):
            self._writers.pop(label).close()


class MLflow:
    """Log a run for each training to MLflow, in the experiment `study`, at the address `uri`: a server, or a
    database such as "sqlite:///mlflow.db". Left out, it is MLFLOW_TRACKING_URI, or that database.

    Raises `StudyError` where MLflow is not installed, or where nothing answers at `uri`.
    """

    def __init__(self, study: str, uri: str | None = None) -> None:
        self._uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or LOCAL_MLFLOW
        # Unless it is set otherwise: an error after seconds rather than minutes, and nothing sent elsewhere.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        with _installed("MLflow", "mlflow"):
            from mlflow import MlflowClient
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._runs: dict[str, str] = {}  # by label
        try:
            self._client = MlflowClient(tracking_uri=self._uri)
            there = self._client.get_experiment_by_name(study)
            self._experiment = there.experiment_id if there else self._client.create_experiment(study)
        except Exception as error:
            raise StudyError(f"MLflow cannot be used at {self._uri}: {_first_line(error)}") from error

    def __call__(self, event: Event) -> None:
        match event:
            case Started(label, rounds, done, learning):
                run = self._client.create_run(self._experiment, run_name=label).info.run_id
                self._runs[label] = run
                for key, value in flat({**(learning or {}), "rounds": rounds}).items():
                    self._client.log_param(run, key, str(value)[:LONGEST_PARAMETER])
                if done:
                    self._client.set_tag(run, "resumed_after_rounds", str(done))
            case Evaluated(label, evaluation) if label in self._runs:
                for name, value in measured(event).items():
                    self._client.log_metric(self._runs[label], name, value, step=evaluation.round)
            case Finished(label, status, wall_s) if label in self._runs:
                self._client.log_metric(self._runs[label], "wall_s", wall_s)
                self._client.set_tag(self._runs[label], "status", status)
                self._client.set_terminated(self._runs.pop(label), "FINISHED")
            case Failed(label, reason) if label in self._runs:
                self._client.set_tag(self._runs[label], "reason", reason)
                self._client.set_terminated(self._runs.pop(label), "FAILED")

    def close(self) -> None:
        """End the runs that were interrupted."""
        for label in list(self._runs):
            with suppress(Exception):  # the study's own end is what matters
                self._client.set_terminated(self._runs.pop(label), "KILLED")


@contextmanager
def tracking(tell: Tell, *trackers: Tracker) -> Iterator[Tell]:
    """Give a listener that tells `tell` and each tracker, and close the trackers at the end. A tracker that
    fails is left out from then on, with a notice: the study goes on."""
    listening = list(trackers)

    def tell_all(event: Event) -> None:
        tell(event)
        for tracker in list(listening):
            try:
                tracker(event)
            except Exception as error:  # noqa: BLE001  # a full disk, a server that is gone
                listening.remove(tracker)
                name = type(tracker).__name__
                tell(Notice(f"{name} is not told any more, the study goes on: {_first_line(error)}"))

    try:
        yield tell_all
    finally:
        for tracker in trackers:
            with suppress(Exception):
                tracker.close()


def trackers_for(study: str, folder: Path, tensorboard: bool, mlflow: bool) -> list[Tracker]:
    """Return the trackers that are wanted for a study of that name, whose results go to `folder`."""
    wanted: list[Tracker] = []
    if tensorboard:
        wanted.append(TensorBoard(folder / "tensorboard"))
    if mlflow:
        wanted.append(MLflow(study))
    return wanted


def measured(event: Evaluated) -> dict[str, float]:
    """Return what a tracker shows of an evaluation, by name."""
    evaluation = event.evaluation
    return {
        "accuracy": evaluation.accuracy,
        "accuracy_without_codec": evaluation.accuracy_without_codec,
        "training_loss": evaluation.training_loss,
        "uplink_bytes": float(event.uplink_bytes),
        "downlink_bytes": float(event.downlink_bytes),
        "epoch": evaluation.epoch,
    }


def flat(table: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return a table's values by dotted key: `{"codec.uplink.name": "ms", …}`; a list as JSON."""
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping):
            values |= flat(value, f"{name}.")
        else:
            values[name] = json.dumps(value) if isinstance(value, (list, tuple)) else value
    return values


@contextmanager
def _installed(name: str, extra: str) -> Iterator[None]:
    """Raise `StudyError` that says how to install what is missing."""
    try:
        yield
    except ImportError as error:
        raise StudyError(
            f"{name} is not installed ({error}); it comes with: pip install 'slsim[{extra}]'"
        ) from error


def _first_line(error: Exception) -> str:
    return told(error).strip().partition("\n")[0]
