"""The report of a study as its readers meet it: in headless Chromium, on a desktop and on a phone."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slsim.study import reporting
from slsim.study.reporting import Asked

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
RATES = "100 kbps, 1 Mbps, 10 Mbps"
PLOTS = ("curve-plot", "axis-plot", "rounds-plot", "frontier-plot")
LINES = "document.getElementById(name).data.filter(one => one.mode === 'lines').map(one => one.name)"
ENDS = "document.getElementById(name).data.filter(one => one.mode === 'lines').map(one => one.x.at(-1))"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    assert CHROMIUM is not None, "there is no Chromium: apt-get install chromium"
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(tiny_results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("report") / "page.html"
    return reporting.report(tiny_results, output, Asked(rates=RATES))[0]


class Reader:
    """A page that is open, and all that the browser complained of or asked for."""

    def __init__(self, browser: Any, path: Path, width: int = 1400, scheme: str = "light") -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-ready=yes]")

    def of(self, plot: str, what: str = LINES) -> Any:
        """What a chart shows."""
        return self.page.evaluate(f"(name) => {what}", plot)

    def column(self, number: int, table: str = "#summary table") -> list[str]:
        """The first lines of a column of a table."""
        cells = self.page.locator(f"{table} tbody tr > :nth-child({number})").all_inner_texts()
        return [cell.split("\n")[0] for cell in cells]


@pytest.fixture
def reader(browser: Any, report: Path) -> Iterator[Reader]:
    opened = Reader(browser, report)
    yield opened
    opened.page.close()
    assert opened.complaints == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [report.as_uri()]


def test_every_chart_is_drawn(reader: Reader) -> None:
    assert reader.of("curve-plot") == ["identity", "QU (3 bits)", "MS (90 %, 2 bits)"]
    for name in PLOTS:
        assert reader.page.locator(f"#{name} svg.main-svg").count() > 0, name


def test_the_slider_changes_times_and_winner(reader: Reader) -> None:
    """At 100 kbps bytes count, at 10 Mbps what codecs compute."""
    page = reader.page
    assert page.inner_text("#value") == "100 Mbps"
    ends = reader.of("curve-plot", ENDS)
    page.focus("#slider")
    page.keyboard.press("Home")
    assert page.inner_text("#value") == "100 kbps"
    assert page.get_attribute("#slider", "aria-valuetext") == "100 kbps"
    assert page.inner_text("#winners").startswith("Fastest: QU (3 bits), ")
    assert reader.column(1, "#times")[0].strip() == "QU (3 bits)"
    slower = reader.of("curve-plot", ENDS)
    assert all(late > early for late, early in zip(slower, ends, strict=True))
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    assert page.inner_text("#value") == "10 Mbps"
    assert page.inner_text("#winners").startswith("Fastest: identity, ")
    times = [float(text) for text in reader.column(2, "#times")]
    assert times == sorted(times)
    here = reader.of("axis-plot", "document.getElementById(name).layout.shapes[0].x0")
    assert here == 10  # Mbps
    page.click("#reset")
    assert page.inner_text("#value") == "100 Mbps"
    assert reader.of("curve-plot", ENDS) == ends


def test_runs_are_switched_off_and_on(reader: Reader) -> None:
    page = reader.page
    page.get_by_label("QU (3 bits)").uncheck()
    for name in ("curve-plot", "axis-plot"):
        assert reader.of(name) == ["identity", "MS (90 %, 2 bits)"]
    page.click("button[data-switch=none]")
    assert reader.of("curve-plot") == []
    page.click("button[data-switch=all]")
    assert len(reader.of("curve-plot")) == 3


def test_accuracy_is_shown_over_bytes_too(reader: Reader) -> None:
    page = reader.page
    page.get_by_label("bytes up").check()
    title = "document.getElementById(name).layout.xaxis.title.text"
    assert reader.of("curve-plot", title).startswith("bytes up (")
    up = reader.of("curve-plot", ENDS)
    assert up[0] > 5 * up[1]  # identity sends more than QU
    page.get_by_label("logarithmic").check()
    assert reader.of("curve-plot", "document.getElementById(name).layout.xaxis.type") == "log"


def test_a_table_is_sorted_by_any_column(reader: Reader) -> None:
    page = reader.page
    heading = page.locator("#summary thead th", has_text="time to target")
    number = 1 + page.locator("#summary thead th").all_inner_texts().index(heading.inner_text())
    heading.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    rising = [float(text) for text in reader.column(number)]
    assert rising == sorted(rising)
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert [float(text) for text in reader.column(number)] == rising[::-1]
    page.locator("#summary thead th").first.get_by_role("button").click()
    assert reader.column(1) == sorted(reader.column(1), key=str.lower)
    assert heading.get_attribute("aria-sort") == "none"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400])
def test_a_screen_is_filled_and_nothing_is_wider_than_it(
    width: int, scheme: str, browser: Any, report: Path
) -> None:
    reader = Reader(browser, report, width, scheme)
    assert reader.page.evaluate("document.documentElement.scrollWidth") == width
    for section in ("summary", "curves", "rounds"):
        picture = pixels(reader.page.locator(f"#{section}").screenshot())[::3, ::3]
        assert picture[..., :3].mean() > 180 if scheme == "light" else picture[..., :3].mean() < 80
        assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 100, section
    assert reader.complaints == []
    reader.page.close()


def pixels(png: bytes) -> np.ndarray:
    """A picture, [rows, columns, colours]."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png)))


def test_hostile_names_run_nothing(browser: Any, report: Path, tmp_path: Path) -> None:
    """The browser's own policy holds even where a name would break out of its place."""
    text = report.read_text(encoding="utf-8")
    path = tmp_path / "page.html"
    path.write_text(text.replace("<h1>", "<img src=x onerror=document.title='run'><h1>", 1), encoding="utf-8")
    reader = Reader(browser, path)
    assert reader.page.title() == "tiny: slsim report"
    assert any("Content Security Policy" in one for one in reader.complaints)
    reader.page.close()
