"""A study in Python: its tables as DataFrames, short representations, replays that write nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import slsim
from slsim.recording.kinds import PHASES, phase_column


@pytest.fixture
def study(tiny_study: Path) -> slsim.Study:
    return slsim.open_study(tiny_study)


def test_the_public_names_are_listed_before_they_are_imported() -> None:
    assert {"Study", "open_study", "run", "__version__"} <= set(dir(slsim))


def test_every_table_is_a_data_frame_that_is_computed_once(study: slsim.Study) -> None:
    for name in ("summary", "runs", "curves", "breakdown", "timeline", "crossovers", "measurements"):
        table = getattr(study, name)
        assert isinstance(table, pd.DataFrame), name
        assert getattr(study, name) is table, name
    assert (
        list(study.summary["setting"])
        == list(study.runs["run"])
        == ["identity", "QU (3 bits)", "MS (90 %, 2 bits)"]
    )
    assert [run.label for run in study.played] == ["identity", "QU (3 bits)", "MS (90 %, 2 bits)"]


def test_a_timeline_has_a_row_a_round_whose_phases_add_up(study: slsim.Study) -> None:
    table = study.timeline
    assert len(table) == 3 * 36
    phases = table[[phase_column(phase.name) for phase in PHASES]].sum(axis=1)
    assert phases.to_numpy() == pytest.approx(table["round_s"].to_numpy())
    ends = table.groupby("run")["end_s"].last()
    assert ends.to_dict() == study.runs.set_index("run")["makespan_s"].to_dict()


def test_a_study_is_shown_as_its_summary(study: slsim.Study) -> None:
    text = repr(study)
    assert text.startswith("Target: test accuracy of 80.0 %")
    assert "identity" in text
    assert len(text) < 5_000
    html = study._repr_html_()
    assert html.count("<tr") == 4
    assert "time_to_target_s" in html


def test_a_run_is_shown_in_a_line(study: slsim.Study) -> None:
    (identity, *_) = study.played
    assert repr(identity).startswith("<Run 'identity': finished, 36 rounds in ")
    assert "\n" not in repr(identity)


def test_a_replay_may_leave_nothing_behind(study: slsim.Study) -> None:
    def files() -> list[Path]:
        return sorted(study.path.rglob("*"))

    before = files()
    faster = study.replay({"network.uplink": "20 Mbps"}, save=False)
    assert files() == before
    assert (faster.runs["makespan_s"] > study.runs["makespan_s"]).all()
    saved = study.replay({"network.uplink": "20 Mbps"})
    pd.testing.assert_frame_equal(saved.runs, faster.runs)
    assert "Tables, records and figures" in repr(saved)
    assert "Tables, records and figures" not in repr(faster)


def test_a_replay_can_be_replayed(study: slsim.Study) -> None:
    once = study.replay({"network.latency": "50 ms"}, save=False)
    twice = once.replay({"network.uplink": "1 Mbps"}, save=False)
    alone = study.replay({"network.uplink": "1 Mbps"}, save=False)
    assert (twice.runs["makespan_s"] > alone.runs["makespan_s"]).all()


def test_seeds_of_one_setting_are_one_row(study: slsim.Study, tiny: dict, write, tmp_path: Path) -> None:
    tiny |= {"seeds": 3}
    tiny["sweep"]["codec.uplink"] = tiny["sweep"]["codec.uplink"][:2]
    seeded = slsim.run(write(tiny), tmp_path / "results")
    assert list(seeded.summary["setting"]) == ["identity", "QU (3 bits)"]
    assert list(seeded.summary["seeds"]) == [3, 3]
    assert list(seeded.runs["seed"]) == [0, 1, 2, 0, 1, 2]
    own = seeded.runs[seeded.runs["setting"] == "QU (3 bits)"]
    assert seeded.summary.loc[1, "held_accuracy"] == pytest.approx(own["held_accuracy"].mean())
    assert seeded.summary.loc[1, "time_to_target_s"] == np.median(own["time_to_target_s"].fillna(np.inf))
    assert (own["baseline"].nunique(), own["training"].nunique()) == (3, 3)  # each seed has its own
    opened = slsim.open_study(seeded.path)
    pd.testing.assert_frame_equal(opened.summary, seeded.summary)
    assert all(check.passed for check in opened.check())
