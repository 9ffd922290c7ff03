"""Trackers are told what the progress display is told: the real TensorBoard and MLflow, where installed."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from listening import CtrlC, Log
from typer.testing import CliRunner

from slsim.cli import app
from slsim.errors import StudyError
from slsim.events import Event, Started
from slsim.report.trackers import MLflow, TensorBoard, flat, tracking
from slsim.scenario import plan
from slsim.study import Interrupted, Staffing, Study, conduct, run

HERE = Staffing(workers=1)
METRICS = {
    "accuracy",
    "accuracy_without_codec",
    "training_loss",
    "uplink_bytes",
    "downlink_bytes",
    "epoch",
}


def expected(study: Study, column: str, name: str) -> list[tuple[int, float]]:
    """What was recorded of a training, by round."""
    (one,) = (one for one in study.played if one.label == name)
    return [
        (done.round, getattr(done, column, None) or float(one.sent[column].iloc[done.round]))
        for done in one.recording.evaluations
    ]


def read(folder: Path) -> Any:
    """The scalars of a folder of TensorBoard's."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    read = accumulator.EventAccumulator(str(folder), purge_orphaned_data=True)
    return read.Reload()


def test_tensorboard_has_each_evaluation_and_the_parameters(tiny: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    with tracking(Log(), TensorBoard(tmp_path / "board")) as tell:
        study = conduct(plan(tiny, "test", Path()), tmp_path, tell=tell, staffing=HERE)
    assert sorted(one.name for one in (tmp_path / "board").iterdir()) == [
        "MS-90-2-bits",
        "QU-3-bits",
        "identity",
    ]
    events = read(tmp_path / "board" / "QU-3-bits")
    assert set(events.Tags()["scalars"]) == METRICS | {"final accuracy"}
    for column in ("accuracy", "uplink_bytes", "downlink_bytes"):
        shown = [(one.step, one.value) for one in events.Scalars(column)]
        assert shown == [
            (step, pytest.approx(value)) for step, value in expected(study, column, "QU (3 bits)")
        ]
    (parameters,) = events.Tensors("scenario/text_summary")
    assert '"bits": 3' in parameters.tensor_proto.string_val[0].decode()


def test_what_is_done_again_after_an_interruption_is_there_once(tiny: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    del tiny["sweep"]
    for stop in (True, False):
        listener = CtrlC(32) if stop else Log()
        with tracking(listener, TensorBoard(tmp_path / "board")) as tell:
            if stop:
                with pytest.raises(Interrupted):
                    conduct(plan(tiny, "test", Path()), tmp_path, tell=tell, staffing=HERE)
            else:
                conduct(plan(tiny, "test", Path()), tmp_path, tell=tell, staffing=HERE)
    steps = [one.step for one in read(tmp_path / "board" / "identity").Scalars("accuracy")]
    assert steps == [6, 12, 18, 24, 30, 36]


@pytest.mark.filterwarnings("ignore")  # SQLAlchemy's, about MLflow's own code
def test_mlflow_has_a_run_for_each_training(
    tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri := f"sqlite:///{tmp_path}/runs.db")
    from mlflow import MlflowClient

    with tracking(Log(), MLflow("tiny")) as tell:
        study = conduct(plan(tiny, "test", Path()), tmp_path, tell=tell, staffing=HERE)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("tiny")
    runs = {one.info.run_name: one for one in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {"identity", "QU (3 bits)", "MS (90 %, 2 bits)"}
    (qu,) = (one for name, one in runs.items() if name == "QU (3 bits)")
    assert qu.info.status == "FINISHED"
    assert (qu.data.params["codec.uplink.bits"], qu.data.params["rounds"]) == ("3", "36")
    assert set(qu.data.metrics) == METRICS | {"wall_s"}
    history = [(one.step, one.value) for one in client.get_metric_history(qu.info.run_id, "uplink_bytes")]
    assert history == expected(study, "uplink_bytes", "QU (3 bits)")


@pytest.mark.parametrize(
    ("flag", "module"), [("--tensorboard", "torch.utils.tensorboard"), ("--mlflow", "mlflow")]
)
def test_without_the_extra_it_says_what_to_install(
    tiny: dict[str, Any],
    write: Callable[[dict[str, Any]], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flag: str,
    module: str,
) -> None:
    real = builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == module:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(builtins, "__import__", missing)
    asked = CliRunner().invoke(app, ["run", str(write(tiny)), "--results", str(tmp_path / "results"), flag])
    assert isinstance(asked.exception, StudyError)
    assert f"pip install 'slsim[{flag.removeprefix('--')}]'" in str(asked.exception)
    assert not (tmp_path / "results").exists()


def test_a_server_that_does_not_answer_is_told_before_anything_runs() -> None:
    pytest.importorskip("mlflow")
    with pytest.raises(StudyError, match=r"MLflow cannot be used at http://127\.0\.0\.1:9"):
        MLflow("tiny", "http://127.0.0.1:9")


def test_a_tracker_that_fails_is_left_out_and_the_study_goes_on(tiny: dict[str, Any], tmp_path: Path) -> None:
    class Failing:
        def __call__(self, event: Event) -> None:
            if isinstance(event, Started):
                raise OSError(28, "No space left on device")

        def close(self) -> None:
            raise OSError("no")

    log = Log()
    with tracking(log, Failing()) as tell:
        study = run(plan(tiny, "test", Path()), tmp_path, tell=tell, workers=1)
    assert len(study.played) == 3
    assert len(log.notices) == 1
    assert "Failing is not told any more" in log.notices[0]


def test_parameters_are_flat() -> None:
    table = {"seed": 0, "codec": {"uplink": {"name": "ms"}}, "hooks": [1, 2]}
    assert flat(table) == {"seed": 0, "codec.uplink.name": "ms", "hooks": "[1, 2]"}
