"""`study.plot`: figures of a study in Python."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from drawn import folder_with
from matplotlib.figure import Figure

import slsim
from slsim.errors import StudyError, UnitError
from slsim.report.plots import Plots
from slsim.results import StudyFolder


@pytest.fixture(scope="module")
def study(tiny_results: Path) -> slsim.Study:
    return slsim.open_study(tiny_results)


@pytest.fixture(scope="module")
def swept(study: slsim.Study) -> slsim.Study:
    """A replay that nobody saved."""
    return study.replay({"network.uplink": ["1 Mbps", "100 Mbps"]}, save=False)


def labels(figure: Figure) -> str:
    """Every text of a figure's panels and of its key."""
    texts = [
        text
        for panel in figure.axes
        for text in (panel.get_xlabel(), panel.get_ylabel(), panel.get_title(loc="left"))
    ]
    texts += [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return "|".join(texts)


@pytest.mark.parametrize(
    ("draw", "told"),
    [
        (lambda plot: plot.accuracy(), "simulated time .*identity.*QU.*MS"),
        (lambda plot: plot.accuracy(over="uplink"), "traffic up \\("),
        (lambda plot: plot.accuracy(over="all", width="84 mm"), "traffic up and down"),
        (lambda plot: plot.loss(over="epochs"), "epochs.*training loss"),
        (lambda plot: plot.frontier(), "best test accuracy"),
        (lambda plot: plot.average_round(), "an average round"),
        (lambda plot: plot.gantt(), "simulated time of the round"),
        (lambda plot: plot.gantt(run="qu", width="3.3in"), "client.*QU .*, 1 Mbps"),
        (lambda plot: plot.time_to_target(), "uplink \\(Mbps\\)"),
        (lambda plot: plot.time_to_target(over="uplink"), "time to target"),
    ],
)
def test_each_gives_a_figure_of_a_study_in_memory(
    draw: Callable[[Plots], Figure], told: str, swept: slsim.Study
) -> None:
    figure = draw(swept.plot)
    assert isinstance(figure, Figure)
    assert re.search(told, labels(figure)), labels(figure)


def test_the_grid_of_learning_curves(study: slsim.Study) -> None:
    assert len(study.plot.learning_curves().axes) == 8


@pytest.mark.parametrize(("width", "width_in"), [(None, 7.0), ("3.3 in", 3.3), ("84mm", 84 / 25.4)])
def test_figures_have_their_width_in_print(width: str | None, width_in: float, study: slsim.Study) -> None:
    assert study.plot.frontier(width=width).get_size_inches()[0] == pytest.approx(width_in)


def test_a_figure_shows_itself_in_a_notebook(study: slsim.Study) -> None:
    figure = study.plot.average_round(width="3.3in")
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("draw", "told"),
    [
        (
            lambda plot: plot.accuracy(over="bytes"),
            '"bytes" is nothing to draw over; .*allowed: time, ',
        ),
        (lambda plot: plot.time_to_target(), "no number is swept; `slsim replay STUDY --set"),
        (lambda plot: plot.errors(), "`slsim errors SCENARIO` writes it"),
        (lambda plot: plot.partition(), "`slsim partition SCENARIO` writes it"),
        (lambda plot: plot.measurements(), "whose .training. names hooks"),
        (lambda plot: plot.gantt(run="sp"), 'no round of "sp" is kept; .*there are: "identity", "QU'),
    ],
)
def test_where_there_is_nothing_to_draw_it_says_what_there_is(
    draw: Callable[[Plots], Figure], told: str, study: slsim.Study
) -> None:
    with pytest.raises(StudyError, match=told):
        draw(study.plot)


def test_a_width_has_a_unit(study: slsim.Study) -> None:
    with pytest.raises(UnitError, match="has no unit"):
        study.plot.frontier(width="3.3")


def test_what_can_be_drawn_is_listed(study: slsim.Study) -> None:
    assert "accuracy, average_round, errors, frontier, gantt" in repr(study.plot)


def test_a_folder_with_tables_alone_has_every_figure(tmp_path: Path) -> None:
    """Copied without its scenario, its recordings and its figures."""
    folder = folder_with(tmp_path / "a", ["identity", "sp"], ["1 Mbps"])
    shutil.copytree(folder.path, tmp_path / "b")
    plots = Plots(StudyFolder.shown(tmp_path / "b"))
    assert isinstance(plots.accuracy(), Figure)
