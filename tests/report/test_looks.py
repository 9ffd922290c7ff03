"""What tells codecs and their settings apart in figures, for readers with any kind of colour vision."""

from __future__ import annotations

import re
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from slsim.registry import registry_of
from slsim.report.figures.looks import codec_names, looks
from slsim.report.figures.palette import INKS, Ink, ink, ramp, shades

OWN = sorted(registry_of("codec").names())
PAPER = ("identity", "qu", "sp", "rt", "ms")

# Machado, Oliveira and Fernandes (2009): how colours look without one kind of cone, in linear RGB.
VISIONS = {
    "all cones": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])


def seen(colour: str, vision: str) -> NDArray[np.float64]:
    """A colour as CIE L*a*b*, in which distances are what an eye sees of differences."""
    parts = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(np.array(VISIONS[vision]) @ linear, 0, 1) / WHITE
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize(("codecs", "least"), [(PAPER, 16), (OWN, 10)])
def test_codecs_differ_in_colour_for_every_kind_of_colour_vision(
    codecs: tuple[str, ...], least: float, vision: str
) -> None:
    """A difference of 2 is just noticeable side by side."""
    colours = {ink(codec).colour for codec in codecs if codec in INKS}
    for one, other in combinations(sorted(colours), 2):
        assert np.linalg.norm(seen(one, vision) - seen(other, vision)) >= least - 0.1, (one, other)


def test_every_codec_of_slsim_has_a_colour_and_a_marker_of_its_own() -> None:
    assert set(OWN) <= set(INKS)
    assert len(set(INKS.values())) == len(INKS)


def test_a_codec_has_its_colour_whatever_else_is_drawn() -> None:
    for codecs in (["ms"], ["identity", "ms"], ["own.py:Half", "ms", "rt", "rt"]):
        assert looks(codecs)[codecs.index("ms")].colour == ink("ms").colour


def test_a_codec_of_ones_own_has_the_same_colour_in_every_session() -> None:
    assert (ink("my-codec").colour, ink("my-codec").marker) == ("#6A6A6A", "P")


@pytest.mark.parametrize(
    "codecs",
    [
        ["rt"] * 12,
        ["rt"] * 30,
        ["identity", "qu", "sp", "rt", "ms"],
        ["identity", "qu", "qu", "sp", "sp", "rt", "rt", "rt", "ms", "ms", "ms", "ms"],
        list(INKS),
        [f"codec {number // 6}" for number in range(360)],
    ],
)
def test_no_two_lines_look_alike(codecs: list[str]) -> None:
    drawn = looks(codecs)
    assert len({(look.colour, look.dash, look.marker) for look in drawn}) == len(codecs)


def test_neighbours_of_one_codec_differ_in_dash_and_lightness() -> None:
    drawn = looks(["rt"] * 12)
    for one, other in pairwise(drawn):
        assert one.dash != other.dash
        assert seen(other.colour, "all cones")[0] > seen(one.colour, "all cones")[0] + 2
    assert seen(drawn[-1].colour, "all cones")[0] < 85  # seen on paper


@pytest.mark.parametrize("colour", sorted({one.colour for one in INKS.values()}))
@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_shades_of_a_colour_differ(colour: str, count: int) -> None:
    assert len(set(shades(colour, count))) == count


@pytest.mark.parametrize("count", [1, 2, 10, 11, 20, 100])
def test_colours_of_classes_differ(count: int) -> None:
    assert len(set(ramp(count))) == count


def test_the_name_of_a_codec_is_the_tables_or_else_its_label_s_first_word() -> None:
    labels = ["RT (95.875 %, α 0.1)", "rt 0.95875 0.1", "k-means"]
    assert codec_names(pd.DataFrame({"codec": labels})) == ["rt", "rt", "kmeans"]
    assert codec_names(pd.DataFrame({"codec": labels, "codec_name": ["a", "b", "c"]})) == ["a", "b", "c"]


def test_the_document_has_the_colours_and_the_marks() -> None:
    text = (Path(__file__).parents[2] / "docs" / "figures.md").read_text("utf-8")
    rows = re.findall(r"\| `([\w-]+)` \| [\w ]+ `(#\w{6})` \| `(.)` \|", text)
    assert {codec: Ink(colour, marker) for codec, colour, marker in rows} == INKS
