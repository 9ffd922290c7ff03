"""One round of each setting in time, as its timeline has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import slsim
from slsim import saved
from slsim.analysis import one_round
from slsim.analysis.one_round import MOST_CLIENTS, MOST_RUNS
from slsim.recording.kinds import phase_column


@pytest.fixture(scope="module")
def study(tiny_results: Path) -> slsim.Study:
    return slsim.open_study(tiny_results)


def test_the_seconds_of_a_round_are_those_of_its_timeline(study: slsim.Study) -> None:
    table, timeline = study.round, study.timeline
    assert list(table["run"].unique()) == list(study.runs["run"])
    assert set(table["round"]) == {1}
    clients = table[table["who"] != "server"]
    spent = (clients["end_s"] - clients["start_s"]).groupby([clients["run"], clients["phase"]]).sum() / 4
    firsts = timeline[timeline["round"] == 1].set_index("run")
    for (run, phase), seconds in spent.items():
        assert seconds == pytest.approx(firsts.loc[run, phase_column(phase)]), (run, phase)
    for _, rows in clients.groupby(["run", "who"]):
        assert rows["start_s"].iloc[0] == 0
        assert rows["start_s"].to_numpy()[1:] == pytest.approx(rows["end_s"].to_numpy()[:-1])


def test_the_server_s_rows_are_its_work_for_all(study: slsim.Study) -> None:
    for _, rows in study.round.groupby("run"):
        served = rows[rows["who"] == "server"]
        computed = rows[(rows["who"] != "server") & (rows["phase"] == "server compute")]
        assert set(served["phase"]) == {"server compute"}
        assert sorted(served["start_s"]) == sorted(computed["start_s"])
        assert rows["who"].iloc[-1] == "server"


def test_the_table_is_saved_and_read_as_it_is(study: slsim.Study) -> None:
    read = saved.parse("round", study.round.to_csv(index=False))
    pd.testing.assert_frame_equal(read, study.round, check_dtype=False)


def test_of_many_settings_some_of_every_codec_have_a_round(study: slsim.Study) -> None:
    swept: dict[str, Any] = {"network.uplink": "1 Mbps .. 1 Gbps / 8"}
    table = one_round(study.replay(swept, save=False).played)
    settings = list(table["setting"].unique())
    assert len(settings) == MOST_RUNS < 24
    for codec in study.summary["setting"]:
        assert {f"{codec}, 1 Mbps", f"{codec}, 1 Gbps"} <= set(settings)


def test_of_many_clients_the_fastest_and_the_slowest_are_there(
    tiny: dict[str, Any], write: Any, tmp_path: Path
) -> None:
    tiny["clients"] = {"count": 20, "batch_size": 2}
    tiny["training"] |= {"max_rounds": 1, "evaluate_every": 1}
    tiny["sweep"] = {"codec.uplink": ["identity"]}
    tiny["network"] = {"uplink": [{"share": 0.5, "rate": "1 Mbps"}, {"share": 0.5, "rate": "9 Mbps"}]}
    table = slsim.run(write(tiny), tmp_path / "results").round
    clients = table[(table["who"] != "server") & (table["phase"] != "barrier wait")]
    ends_s = clients.groupby("who", sort=False)["end_s"].max()
    assert len(ends_s) == MOST_CLIENTS
    assert ends_s.is_monotonic_increasing
    assert ends_s.iloc[-1] == table["end_s"].max()
