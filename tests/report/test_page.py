"""The report of a study, without a browser: what is on the page, that nothing of it can run or be loaded, and
that the slider's numbers are those of the tables."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from seeded import at_rates, failed, over_seeds, row, tables_of, with_baseline

import slsim
from slsim.report.figures.palette import INKS, ink
from slsim.report.page import Material, Slider, render
from slsim.report.page.colours import pens
from slsim.report.page.lines import MOST_TIMES, lines
from slsim.report.page.rounds import bars
from slsim.report.page.summary_table import summary_table
from slsim.report.swept import Swept
from slsim.study import reporting
from slsim.study.reporting import Asked

RATES = "100 kbps, 10 Mbps"
LARGEST = 6_000_000  # bytes of a page


class Page(HTMLParser):
    """A page as a browser reads it: elements with their attributes, and the text of each."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.setdefault(self.open[-1] if self.open else "", []).append(data.strip())

    @property
    def data(self) -> dict[str, Any]:
        """What the page's script reads."""
        return json.loads(self.texts["script"][0])


def page_at(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def reported(tiny_results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a study over three rates."""
    output = tmp_path_factory.mktemp("report") / "page.html"
    path, missing = reporting.report(tiny_results, output, Asked(rates=RATES))
    assert (path, missing) == (output, ())
    return output


def test_the_sliders_numbers_are_those_of_a_replay(reported: Path, tiny_results: Path) -> None:
    data = page_at(reported).data
    assert data["values"] == ["100 kbps", "10 Mbps", "100 Mbps"]
    assert data["start"] == 2  # where the study itself is
    study = slsim.open_study(tiny_results)
    for place, rate in enumerate(data["values"]):
        timed = study.replay({"network.uplink": rate}, save=False)
        due = timed.summary.set_index("setting")["time_to_target_s"]
        unit = {"ms": 1e-3, "s": 1.0}[data["units"]["cost"]]
        found = {one["name"]: one["to_target"][place] * unit for one in data["series"]}
        assert found == pytest.approx(due.to_dict(), rel=1e-3)
        assert data["series"][data["order"][place][0]]["name"] == due.idxmin()
        assert data["winners"][place][0].startswith(f"Fastest: {due.idxmin()}, ")
        curves = timed.curves.groupby("setting")
        unit = {"ms": 1e-3, "s": 1.0}[data["units"]["time"]]
        for one in data["series"]:
            own = curves.get_group(one["name"])
            assert np.array(one["time"][place]) * unit == pytest.approx(own["sim_s"].to_numpy(), rel=1e-3)
            assert one["accuracy"] == pytest.approx(100 * own["accuracy"].to_numpy(), rel=1e-4)


def test_the_winner_changes_with_the_rate(reported: Path) -> None:
    winners = [text for (text,) in page_at(reported).data["winners"]]
    assert winners[0].startswith("Fastest: QU (3 bits), ")
    assert winners[1].startswith("Fastest: identity, ")
    assert all(text.endswith("; one seed does not tell whether significantly.") for text in winners)


def test_nothing_is_loaded_and_only_scripts_of_the_page_may_run(reported: Path) -> None:
    page = page_at(reported)
    assert reported.stat().st_size < LARGEST
    assert page.open == []
    loading = [
        (tag, attributes)
        for tag, attributes in page.elements
        if "src" in attributes or (tag == "link" and attributes["href"] != "data:,")
    ]
    assert loading == []
    policy = next(one["content"] for tag, one in page.elements if one.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline" not in policy.partition("style-src")[0]
    links = [one["href"] for tag, one in page.elements if tag == "a"]
    names = {one["id"] for _, one in page.elements if "id" in one}
    assert all(link and link.startswith("#") and link[1:] in names for link in links)


def test_the_page_has_the_summary_the_settings_and_the_method(reported: Path, tiny_results: Path) -> None:
    page = page_at(reported)
    assert page.texts["h1"] == ["tiny"]
    headings = page.texts["h2"]
    for due in ("Summary", "Accuracy over time and bytes", "Settings and provenance"):
        assert due in headings
    assert page.texts["pre"] == [(tiny_results / "scenario.toml").read_text().strip()]
    assert "One seed cannot tell codecs apart: add seeds = 5 to the scenario." in page.texts["li"]
    assert {"QU (3 bits)", "identity", "MS (90 %, 2 bits)"} <= set(page.texts["th"])


HOSTILE = '</script><script>alert(1)</script> <b onclick="x">&amp;'


def hostile(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = ("setting", "run", "codec", "failure", "target_reason", "uplink_bps_series")
    return [one | {name: HOSTILE + str(one[name]) for name in names if name in one} for one in rows]


def material(rows: list[dict[str, Any]], curves: pd.DataFrame | None = None, **more: Any) -> Material:
    """A study of these runs, with a slider where they have rates."""
    tables = tables_of(rows)
    summary, crossovers = tables.summary, tables.crossovers
    assert summary is not None
    assert crossovers is not None
    slider = None
    if "uplink_bps_series" in summary:
        seen = pd.DataFrame(columns=CURVES) if curves is None else curves
        middle = float(summary["uplink_bps"].iloc[0])
        slider = Slider("network.uplink", Swept("uplink_bps"), middle, summary, seen, crossovers)
    given = {"scenario": "", "name": "made up", "slider": slider, "no_slider": "there are no rates", **more}
    return Material(
        summary=summary,
        curves=curves,
        breakdown=None,
        crossovers=crossovers,
        links=None,
        frontier=None,
        **given,
    )


CURVES = ["setting", "seed", "round", "sim_s", "uplink_bytes", "downlink_bytes", "accuracy"]
TIMES = {
    "identity": {"1 Mbps": [8.0, 8.1, 8.2], "10 Mbps": [1.0, 1.1, 1.05]},
    "qu": {"1 Mbps": [4.0, 4.1, 4.2], "10 Mbps": [1.5, 1.6, 1.55]},
}


def swept_rows() -> list[dict[str, Any]]:
    return with_baseline([one for name, times in TIMES.items() for one in at_rates(name, times)])


def test_what_a_study_says_is_text_and_nothing_else() -> None:
    rows = hostile(swept_rows())
    given = material(rows, scenario=HOSTILE, name=HOSTILE, missing=(HOSTILE,), notes=(HOSTILE,))
    html = render(given)
    page = Page(html)
    assert html.count("<script") == html.count("</script") == 3
    assert not any(tag == "b" or "onclick" in attributes for tag, attributes in page.elements)
    assert page.texts["h1"] == page.texts["pre"] == [HOSTILE]
    assert page.data["series"][0]["name"] == HOSTILE + "identity"
    assert "<" not in page.data["series"][0]["label"]  # which Plotly reads as HTML


def test_a_significant_winner_is_called_one_and_is_bold() -> None:
    data = lines(material(swept_rows()))
    assert data["winners"] == [
        ["Fastest: qu, 4.10 s; significantly faster than every other codec that reached the target "
         "(paired over 3 seeds, 95 %)."],
        ["Fastest: identity, 1.05 s; significantly faster than every other codec that reached the target "
         "(paired over 3 seeds, 95 %)."],
    ]  # fmt: skip
    bold = [[one["name"] for one in data["series"] if one["cells"][place][4]] for place in (0, 1)]
    assert bold == [["qu"], ["identity"]]
    assert data["series"][1]["cells"][0] == ["4.10", "4.00–4.20", "1.98×", "1.92–2.04", 1]


def test_settings_under_other_conditions_are_not_compared() -> None:
    rows = swept_rows()
    deep = {"codec": "ms", "uplink_bps_series": "ms"}
    other = [
        one
        | deep
        | {"setting": f"ms, {one['conditions']}", "conditions": f"model.cut=deep, {one['conditions']}"}
        for one in rows
        if one["codec"] == "qu"
    ]
    winners = lines(material([*rows, *other]))["winners"]
    assert winners[1][0].startswith("Fastest: identity, 1.05 s;")
    assert winners[1][1] == "model.cut=deep: Fastest: ms, 1.55 s."


def test_where_none_reached_the_target_nobody_is_fastest() -> None:
    rows = at_rates("qu", {"1 Mbps": float("nan"), "10 Mbps": float("nan")})
    data = lines(material(rows))
    assert data["winners"] == [["None reached the target."]] * 2
    assert data["series"][0]["cells"][0][0] == "not reached"
    assert data["series"][0]["to_target"] == [None, None]


def test_what_failed_or_has_no_target_is_on_the_page_too() -> None:
    rows = [*over_seeds("identity", [1.0]), failed("own"), row("rt", target_state="no target")]
    page = Page(render(material([one | {"conditions": ""} for one in rows])))
    assert [one["cells"][0][0] for one in page.data["series"]] == ["1.00", "failed", "no target"]
    assert "Failed: own: the codec is wrong." in page.texts["li"]


def test_without_a_slider_the_page_says_why_and_has_the_curves() -> None:
    rows = over_seeds("identity", [1.0, 1.2]) + over_seeds("qu", [0.9, 1.3])
    html = render(material(rows, no_slider="the uplink follows a trace"))
    page = Page(html)
    assert "No slider: the uplink follows a trace." in page.texts["p"]
    assert not any(one.get("type") == "range" for _, one in page.elements)
    assert page.data["values"] == [""]
    assert [one["name"] for one in page.data["series"]] == ["identity", "qu"]


def many(settings: int, rates: int, evaluations: int) -> Material:
    """A study of so many settings over so many rates, each evaluated so often."""
    names = [f"QU ({place} bits), α {place / 7:.5f}" for place in range(settings)]
    speeds = [f"{rate} Mbps" for rate in range(1, rates + 1)]
    rows = [
        one | {"seed": 0}
        for place, name in enumerate(names)
        for one in at_rates(name, {rate: 1.0 + place / 7 + number for number, rate in enumerate(speeds)})
    ]
    rounds = np.tile(np.arange(1, evaluations + 1), len(rows))
    curves = pd.DataFrame(
        {
            "setting": np.repeat([row["setting"] for row in rows], evaluations),
            "seed": 0,
            "round": rounds,
            "sim_s": rounds * 0.12345678,
            "uplink_bytes": rounds * 1234567,
            "downlink_bytes": rounds * 7654321,
            "accuracy": np.sqrt(rounds / evaluations) / 1.0123,
        }
    )
    return material(rows, curves)


def test_a_hundred_runs_over_twenty_rates_make_a_page_of_less_than_6_mb() -> None:
    given = many(settings=100, rates=20, evaluations=200)
    assert len(render(given).encode()) < LARGEST
    data = lines(given)
    assert sum(len(times) for one in data["series"] for times in one["time"]) <= MOST_TIMES
    assert sum(one["shown"] for one in data["series"]) == 12
    first = data["series"][0]
    assert first["time"][0][-1] == pytest.approx(200 * 0.1235, rel=1e-3)  # the last evaluation is kept


def test_of_more_settings_than_a_page_can_hold_some_are_left_out_and_that_is_said() -> None:
    given = many(settings=250, rates=2, evaluations=3)
    table = summary_table(given.summary)
    assert (len(table.rows), table.note) == (200, "200 of 500 settings shown: summary.csv has all.")
    data = lines(given)
    assert (len(data["series"]), data["left_out"]) == (150, 100)
    assert len(render(given).encode()) < LARGEST


def test_figures_are_such_as_plotly_has(tiny_results: Path) -> None:
    """Plotly's own classes refuse what its charts do not know."""
    from plotly.graph_objects import Figure

    breakdown = slsim.open_study(tiny_results).breakdown
    figure = bars(breakdown, {})
    for trace in figure["data"]:
        trace.pop("phase")
    shown = Figure({"data": figure["data"], "layout": figure["layout"]})
    assert sum(sum(one.x) for one in shown.data) == pytest.approx(1000 * breakdown["round_s"].sum(), rel=1e-3)


def test_a_codec_has_the_colour_of_every_figure_and_lines_of_one_codec_differ() -> None:
    drawn = pens(["x", "qu", "identity", "qu"])
    assert pens(["qu"])[0].light == ink("qu").colour
    assert len({(one.light, one.dash) for one in drawn}) == len({(one.dark, one.dash) for one in drawn}) == 4
    assert (drawn[2].light, drawn[2].dark) == ("#000000", "#F2F2F2")


@pytest.mark.parametrize("codec", sorted(INKS))
def test_every_colour_is_seen_on_black(codec: str) -> None:
    parts = [int(pens([codec])[0].dark[place : place + 2], 16) for place in (1, 3, 5)]
    assert sum(weight * part for weight, part in zip((0.299, 0.587, 0.114), parts, strict=True)) > 0.41 * 255


# The study's side: which slider, where the file is, what is damaged.


def test_the_command_writes_into_the_study_and_prints_where(
    tiny_study: Path, command: Callable[..., Any]
) -> None:
    done = command("report", tiny_study, "--rates", RATES)
    assert (done.returncode, done.stdout) == (0, f"{tiny_study / 'report.html'}\n")
    assert page_at(tiny_study / "report.html").data["values"][0] == "100 kbps"


def test_in_python_a_report_may_be_of_a_replay(tiny_study: Path, tmp_path: Path) -> None:
    slower = slsim.open_study(tiny_study).replay({"network.latency": "80 ms"}, save=False)
    with pytest.raises(slsim.errors.StudyError, match="give the report a path"):
        slower.report()
    path = slower.report(tmp_path / "new" / "page.html", rates=RATES)
    assert path == tmp_path / "new" / "page.html"
    saved = slsim.open_study(tiny_study).replay({"network.latency": "80 ms"})
    assert saved.report(rates=RATES).parent == saved.path
    own, other = page_at(path), page_at(saved.path / "report.html")
    assert own.data == other.data
    assert other.texts["h1"] == [f"tiny, {saved.path.name}"]


def test_a_study_that_sweeps_the_uplink_has_those_rates(tiny_study: Path) -> None:
    study = slsim.open_study(tiny_study).replay({"network.uplink": ["1 Mbps", "2 Mbps", "50 Mbps"]})
    data = page_at(study.report()).data
    assert data["values"] == ["1 Mbps", "2 Mbps", "50 Mbps"]
    assert data["start"] == 1
    assert [one["name"] for one in data["series"]] == ["identity", "QU (3 bits)", "MS (90 %, 2 bits)"]
    assert all(one["frontier"] for one in data["series"])


def test_the_slider_may_move_through_another_number(tiny_study: Path) -> None:
    study = slsim.open_study(tiny_study)
    data = page_at(study.report(over="network.latency", rates="0 ms, 50 ms")).data
    assert data["values"] == ["0 ns", "2 ms", "50 ms"]
    assert data["axis"] == "latency (ms)"


@pytest.mark.parametrize(
    ("over", "rates", "words"),
    [
        ("network.uplnk", None, "no network.uplnk"),
        ("clients.count", "2, 4", "changes what is learned"),
        (None, "1 Mbps .. 1 Gbps", "needs its number of points"),
        (None, "fast, slow", "no values of one number, network.uplink"),
        ("network.sharing", "fifo, shared", "no values of one number"),
    ],
)
def test_a_slider_that_cannot_be_is_one_clear_error(
    over: str | None, rates: str | None, words: str, tiny_study: Path
) -> None:
    with pytest.raises(slsim.errors.SlsimError, match=words):
        slsim.open_study(tiny_study).report(over=over, rates=rates)
    assert not (tiny_study / "report.html").exists()


def test_links_that_differ_have_no_slider_and_the_page_says_why(tiny_study: Path) -> None:
    classes = [{"rate": "5 Mbps", "share": 0.5}, {"rate": "50 Mbps", "share": 0.5}]
    study = slsim.open_study(tiny_study).replay({"network.uplink": [classes]})
    page = page_at(study.report())
    assert any(
        "network.uplink is no single number here: it follows a trace" in text for text in page.texts["p"]
    )
    assert page.data["values"] == [""]


def test_a_study_whose_recordings_are_gone_is_reported_from_its_tables(
    tiny_study: Path, command: Callable[..., Any]
) -> None:
    shutil.rmtree(tiny_study / "trainings")
    (tiny_study / "links.csv").write_text("damaged")
    done = command("report", tiny_study)
    assert done.returncode == 1
    assert "has no finished training yet" in done.stderr
    assert "links.csv cannot be read" in done.stderr
    page = page_at(tiny_study / "report.html")
    assert page.texts["h2"][0] == "Not complete"
    assert "No slider: the recordings cannot be played." in page.texts["p"]
    assert len(page.data["series"]) == 3


def test_one_damaged_recording_is_named_and_the_rest_is_there(
    tiny_study: Path, command: Callable[..., Any]
) -> None:
    (steps,) = (tiny_study / "trainings").glob("ms-*/steps.parquet")
    steps.write_bytes(b"damaged")
    done = command("report", tiny_study, "--rates", RATES)
    assert done.returncode == 1
    assert "steps.parquet" in done.stderr
    data = page_at(tiny_study / "report.html").data
    assert [one["name"] for one in data["series"]] == ["identity", "QU (3 bits)"]


def test_a_place_that_cannot_be_written_is_one_clear_error(
    tiny_study: Path, command: Callable[..., Any]
) -> None:
    done = command("report", tiny_study, "--rates", RATES, "--output", tiny_study / "runs.csv" / "page.html")
    assert done.returncode == 2
    assert re.match(r"cannot write .*runs.csv.*: .*\. What was finished is kept", done.stderr)


def test_without_plotly_one_line_says_what_to_install(
    tiny_study: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "plotly.offline", None)
    done = command("report", tiny_study, "--rates", RATES)
    assert done.returncode == 2
    assert "pip install 'slsim[report]'" in done.stderr
    assert done.stderr.count("\n") == 1
