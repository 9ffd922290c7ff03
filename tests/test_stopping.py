"""A training that ends early, by bytes, by simulated time or at the target, and what then belongs to it."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from resumption import document_of, training_of

from slsim import analysis
from slsim.clock import Clock, RunningClock
from slsim.errors import ReplayError, ScenarioError, TrainingError
from slsim.events import Event, RoundDone, Tell
from slsim.recording import Recording, tables_of
from slsim.scenario import plan
from slsim.study import open_study, run
from slsim.study.checkpoint import Checkpoint
from slsim.study.job import train
from slsim.study.stopping import depends_on, over, target_for
from slsim.study.training import Training


def one(tiny: dict[str, Any], stop: dict[str, Any] | None, **tables: Any) -> Training:
    """The training of `tiny` with the codec "qu"."""
    document = {key: value for key, value in copy.deepcopy(tiny).items() if key != "sweep"}
    document |= {"codec": {"uplink": {"name": "qu", "bits": 3}}, **tables}
    document["training"] = {**document["training"], **({"stop": stop} if stop else {})}
    return Training.of(plan(document, "test", Path()).cases[0].scenario)


def trained(training: Training, target: float | None = None, **more: Any) -> Recording:
    return train(training, over=over(training.scenario, target), **more)[1]


@pytest.fixture(scope="module")
def whole(tiny_document: dict[str, Any]) -> Recording:
    """The recording without a stop."""
    return trained(one(tiny_document, None))


def up_to(recording: Recording, rounds: int) -> dict[str, Any]:
    """What was recorded in the first rounds."""
    return {
        "rounds": recording.rounds[:rounds].tolist(),
        "rows": [recording.steps_of(number).rows.records().tobytes() for number in recording.rounds[:rounds]],
        "evaluations": [one for one in recording.evaluations if one.round <= rounds],
    }


@pytest.mark.parametrize(
    ("key", "columns"),
    [
        ("uplink", ["uplink_bytes"]),
        ("downlink", ["downlink_bytes"]),
        ("bytes", ["uplink_bytes", "downlink_bytes"]),
    ],
)
def test_the_round_that_exceeds_the_bytes_is_the_last_and_is_evaluated(
    tiny: dict[str, Any], whole: Recording, key: str, columns: list[str]
) -> None:
    sent = analysis.cumulative(whole)[columns].sum(axis=1)
    limit = int(sent[14]) + 1
    recording = trained(one(tiny, {key: f"{limit} B"}))
    assert (recording.num_rounds, recording.stopped_by, recording.status) == (15, key, "finished")
    assert recording.evaluations[-1].round == 15
    assert up_to(recording, 14) == up_to(whole, 14)
    assert trained(one(tiny, {key: f"{int(sent[15])} B"})).num_rounds == 15


def test_what_ends_it_first_counts_and_the_epochs_are_an_end_too(
    tiny: dict[str, Any], whole: Recording
) -> None:
    sent = analysis.cumulative(whole)
    stop = {"uplink": f"{int(sent['uplink_bytes'][9])} B", "downlink": f"{int(sent['downlink_bytes'][4])} B"}
    assert (lambda done: (done.num_rounds, done.stopped_by))(trained(one(tiny, stop))) == (4, "downlink")
    late = trained(one(tiny, {"bytes": "1 GB"}))
    assert (late.num_rounds, late.stopped_by) == (whole.num_rounds, "")
    exact = trained(one(tiny, {"uplink": f"{int(sent['uplink_bytes'].iloc[-1])} B"}))
    assert exact.stopped_by == ""  # it was the last round anyway


LINKS: dict[str, dict[str, Any]] = {
    "steady": {"uplink": "1 Mbps"},
    "shared": {"uplink": "1 Mbps", "medium": "2 Mbps"},
    "jitter": {"uplink": "1 Mbps", "jitter": {"spread": 0.5, "every": "20 ms"}},
    "tcp": {"uplink": "1 Mbps", "latency": "5 ms", "transport": {"name": "tcp"}},
}


@pytest.mark.parametrize("links", LINKS)
def test_simulated_time_is_that_of_the_clock_which_plays_no_round_twice(
    tiny: dict[str, Any], whole: Recording, links: str
) -> None:
    network = {"network": LINKS[links]}
    ends_s = Clock.of(one(tiny, None, **network).scenario).play(whole).round_ends_s
    recording = trained(one(tiny, {"time": f"{ends_s[10] - 1e-6:.6f} s"}, **network))
    assert (recording.num_rounds, recording.stopped_by) == (11, "time")
    clock, grown = RunningClock(one(tiny, None, **network).scenario), []
    for rounds in (1, 5, 6, whole.num_rounds):
        part = Recording("key", {}, words=whole.words)
        for number in whole.rounds[:rounds].tolist():
            part.add_round(whole.steps_of(number).rows.records())
        grown.append((rounds, clock.ended_s(part)))
    assert grown == [(rounds, pytest.approx(ends_s[rounds - 1], rel=1e-12)) for rounds, _ in grown]


def test_it_stops_once_the_target_is_confirmed(tiny: dict[str, Any], whole: Recording) -> None:
    aimed = {**tiny["training"], "evaluate_every": 2, "target_window": 3, "target_accuracy": 0.7}
    training = one(tiny, {"target": True}, training={**aimed, "stop": {"target": True}})
    recording = trained(training, target_for(training, None))
    accuracies = [evaluation.accuracy for evaluation in recording.evaluations]
    assert recording.stopped_by == "target"
    assert recording.num_rounds < whole.num_rounds
    target = analysis.target_of(training.scenario.training, recording.test_set, None)
    assert target.outcome(recording).is_reached
    recording.evaluations.pop()
    assert not target.outcome(recording).is_reached
    assert sum(accuracy >= 0.7 for accuracy in accuracies[-3:]) >= 2


def test_a_target_of_the_baseline_waits_for_the_baseline_which_runs_all_its_epochs(
    tiny: dict[str, Any], write: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> None:
    tiny["training"] |= {"evaluate_every": 2, "target_accuracy": "baseline - 10%", "stop": {"target": True}}
    cases = plan(tiny, "test", Path()).cases
    uncompressed, *others = [Training.of(case.scenario) for case in cases]
    assert depends_on(uncompressed) is None
    assert [depends_on(training) for training in others] == [uncompressed, uncompressed]
    tiny["sweep"]["codec.uplink"].reverse()  # its place in the sweep does not matter
    study = run(write(tiny), tmp_path / "results")
    rounds = {one.label: (one.recording.num_rounds, one.recording.stopped_by) for one in study.played}
    assert rounds["identity"] == (36, "")
    assert all(done < 36 and by == "target" for label, (done, by) in rounds.items() if label != "identity")
    with pytest.raises(ReplayError, match="learned"):
        study.replay({"training.target_accuracy": "baseline - 5%"})
    assert study.replay({"network.uplink": "3 Mbps"}).path


def test_a_training_whose_baseline_is_missing_is_not_begun(tiny: dict[str, Any]) -> None:
    aimed = {**tiny["training"], "target_accuracy": "baseline", "stop": {"target": True}}
    with pytest.raises(TrainingError, match="uncompressed"):
        target_for(one(tiny, None, training=aimed), None)


def test_a_time_belongs_to_the_key_with_links_and_devices(
    tiny: dict[str, Any], write: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> None:
    def keys(stop: dict[str, Any]) -> int:
        networks = [{"network": {"uplink": rate}} for rate in ("1 Mbps", "2 Mbps")]
        devices = [{"clients": {**tiny["clients"], "device": name}} for name in ("a100", "jetson-nano")]
        return len({one(tiny, stop, **tables).key for tables in (*networks, *devices)})

    assert keys({"uplink": "1 MB"}) == 1
    assert keys({"time": "1 h"}) == 4
    assert one(tiny, {"uplink": "1 MB"}).key != one(tiny, None).key
    tiny["training"] |= {"stop": {"time": "50 ms"}}
    del tiny["sweep"]
    study = run(write(tiny), tmp_path / "results")
    assert study.played[0].recording.stopped_by == "time"
    with pytest.raises(ReplayError):
        study.replay({"network.uplink": "3 Mbps"})


def test_a_study_that_a_trace_has_ended_is_opened_elsewhere(
    tiny: dict[str, Any], write: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> None:
    trace = tmp_path / "lte.csv"
    trace.write_text("time_s,rate\n0,1 Mbps\n1,2 Mbps\n")
    tiny["network"] = {"uplink": {"trace": str(trace)}}
    tiny["training"] |= {"stop": {"time": "50 ms"}}
    del tiny["sweep"]
    study = run(write(tiny), tmp_path / "results")
    shutil.move(study.path, tmp_path / "elsewhere")
    trace.unlink()
    opened = open_study(tmp_path / "elsewhere")
    assert opened.played[0].recording.stopped_by == "time"


@pytest.mark.parametrize("protocol", ["splitfed", "sequential"])
def test_one_that_was_killed_stops_at_the_same_round(
    tiny: dict[str, Any], tmp_path: Path, protocol: str
) -> None:
    document = document_of(tiny, protocol)
    whole = trained(training_of(document))
    limit = int(analysis.cumulative(whole)["uplink_bytes"][4])
    document["training"]["stop"] = {"uplink": f"{limit} B"}
    training = training_of(document)
    undisturbed = trained(training)
    assert undisturbed.num_rounds == 4
    assert up_to(undisturbed, 3) == up_to(whole, 3)

    class Killed(Exception):
        pass

    def dying(after: int) -> Tell:
        def tell(event: Event) -> None:
            if isinstance(event, RoundDone) and event.rounds == after:
                raise Killed

        return tell

    class Always(Checkpoint):
        def due(self, epoch_ended: bool) -> bool:
            return True

    for after in (2, 4):  # in between, and after the last round, which was saved in a checkpoint
        path = tmp_path / f"{after}.pt"
        with pytest.raises(Exception, match="Killed"):
            train(training, dying(after), Always(path), over=over(training.scenario, None))
        resumed = trained(training, checkpoint=Always(path))
        assert tables_of(resumed) == tables_of(undisturbed)
        assert resumed.stopped_by == "uplink"


@pytest.mark.parametrize(
    ("stop", "told"),
    [
        ({}, "says nothing"),
        ({"target": False}, "says nothing"),
        ({"uplink": 500}, "unit"),
        ({"time": "0 s"}, "time"),
        ({"epochs": 3}, "epochs"),
    ],
)
def test_what_makes_no_sense_is_told(tiny: dict[str, Any], stop: dict[str, Any], told: str) -> None:
    tiny["training"] |= {"stop": stop}
    with pytest.raises(ScenarioError, match=told) as error:
        plan(tiny, "test", Path())
    assert "training.stop" in str(error.value)


def test_it_reads_back_as_it_was_written(tiny: dict[str, Any]) -> None:
    tiny["training"] |= {"stop": {"uplink": "500 MB", "time": "1 h", "target": True}}
    asked = plan(tiny, "test", Path())
    assert asked.document()["training"]["stop"] == {"uplink": "500 MB", "time": "1 h", "target": True}
    assert plan(asked.document(), "test", Path()).cases == asked.cases
    assert tomli_w.dumps(asked.document())
