"""Who holds which samples, on the terminal and as a picture, from the saved table alone."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from slsim.report.figures import draw
from slsim.report.sharing import print_partition
from slsim.results import StudyFolder


def shared(counts: np.ndarray) -> pd.DataFrame:
    table = pd.DataFrame(counts, columns=[f"class_{number}" for number in range(counts.shape[1])])
    table.insert(0, "samples", counts.sum(axis=1))
    table.insert(0, "client", np.arange(len(counts)))
    return table


def printed(table: pd.DataFrame, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_partition(console, table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.split() and line.split()[0].isdigit()]


def test_each_clients_samples_by_class_and_how_uneven_they_are() -> None:
    text = printed(shared(np.array([[10, 0], [0, 30]])))
    assert rows(text)[:2] == [["0", "10", "10", "0"], ["1", "30", "0", "30"]]
    assert "40 samples over 2 clients: smallest 10, median 20, largest 30" in text
    assert "are 50.0 % away from those of all samples on average" in text
    assert "without any" not in text


def test_a_client_without_samples_is_told() -> None:
    text = printed(shared(np.array([[10, 5], [0, 0]])))
    assert "Clients without any: 1" in text


def test_many_classes_are_summed_up() -> None:
    counts = np.zeros((3, 21), int)
    counts[0, [3, 20]] = 4, 9
    counts[1, 7] = 5
    text = printed(shared(counts), width=200)
    assert "commonest" in text
    assert rows(text)[:3] == [
        ["0", "13", "2", "20", "(9)"],
        ["1", "5", "1", "7", "(5)"],
        ["2", "0", "0", "–"],
    ]


def test_classes_that_do_not_fit_the_terminal_are_summed_up_too() -> None:
    table = shared(np.full((2, 20), 12_345))
    assert "commonest" in printed(table, width=80)
    wide = printed(table, width=200)
    assert "commonest" not in wide
    assert all(len(line) <= 200 for line in wide.splitlines())
    assert rows(wide)[0] == ["0", "246900", *["12345"] * 20]


@pytest.mark.parametrize("classes", [2, 10, 14, 15])
def test_numbers_are_never_cut_at_any_width(classes: int) -> None:
    table = shared(np.full((2, classes), 123))
    for width in range(40, 130):
        first = rows(printed(table, width))[0]
        assert first in (
            ["0", str(123 * classes), *["123"] * classes],
            ["0", str(123 * classes), str(classes), "0", "(123)"],
        )


def test_only_the_first_clients_are_printed() -> None:
    text = printed(shared(np.full((21, 2), 3)))
    assert [row[0] for row in rows(text) if len(row) == 4] == [str(number) for number in range(20)]
    assert "The first 20 of 21 clients; partition.csv has all" in text


@pytest.mark.parametrize(
    ("clients", "classes", "pieces"),
    [(3, 2, 2), (10, 10, 10), (120, 2, 2), (3, 20, 20), (5, 100, 20), (1, 1, 1)],
)
def test_the_picture_is_drawn_from_the_table(clients: int, classes: int, pieces: int, tmp_path: Path) -> None:
    folder = StudyFolder.of(tmp_path)
    folder.save_table("partition", shared(np.arange(clients * classes).reshape(clients, classes)))
    assert draw(folder) == ["partition.png", "partition.svg"]
    assert folder.figures.joinpath("partition.png").read_bytes().startswith(b"\x89PNG")
    text = folder.figures.joinpath("partition.svg").read_text(encoding="utf-8")
    assert "training samples" in text
    assert ("client (the first 100 of 120)" in text) == (clients == 120)
    labels = ["95–99", "0–4"] if classes == 100 else [str(pieces - 1), "0"]
    assert all(f">{label}</text>" in text for label in labels)


def test_the_same_table_gives_the_same_picture(tmp_path: Path) -> None:
    folder = StudyFolder.of(tmp_path)
    folder.save_table("partition", shared(np.arange(40).reshape(4, 10)))
    names = draw(folder)
    first = [folder.figures.joinpath(name).read_bytes() for name in names]
    draw(folder)
    assert [folder.figures.joinpath(name).read_bytes() for name in names] == first
