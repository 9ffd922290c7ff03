"""A table in every format: what it shows is what it was given, whatever characters that has."""

from __future__ import annotations

import io
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from slsim.report.formats import FORMATS, SUFFIXES, Cell, Sheet, csv, html, latex, markdown, print_sheet
from slsim.report.latex import escaped

NASTY = "a|b *c* _d_ `e` <f> & \\g [h](i) $j$ ~~k~~ #l %m ^n {o} \"p\" 'q' --- <!-- &lt; **"
SIGNS = "RT (95.875 %, α 0.1) × 2 · 3 ± 1 ÷ 4 − 5 – … ≤ ² é ñ ö ß ł µ Ω č"


def sheet(text: str = "qu 3", *, title: str = "Times", note: str = "A note.") -> Sheet:
    """A row with an interval, one in bold, and one without a number."""
    rows = [
        [Cell(text), Cell("9.59×", "6.15 … 15.0\n2 of 3")],
        [Cell("ms"), Cell("10.34×", "2.27 … 47.0", bold=True)],
        [Cell("sp"), Cell("INF")],
    ]
    data = pd.DataFrame({"codec": [text, "ms", "sp"], "time_s": [1.5, 2.0, float("inf")]})
    return Sheet(title, ["codec", "time to\ntarget"], rows, [note, "Another."], data)


def as_read(source: str) -> list[list[str]]:
    """The cells of each row of a page, as a browser shows them."""

    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.rows: list[list[str]] = []
            self.tags: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            self.tags.append(tag)
            if tag == "tr":
                self.rows.append([])
            if tag in ("td", "th"):
                self.rows[-1].append("")
            if tag in ("br", "small"):
                self.rows[-1][-1] += " "

        def handle_data(self, data: str) -> None:
            if self.rows and self.rows[-1] and "tbody" in self.tags:
                self.rows[-1][-1] += data if data.strip() else ""

    reader = Reader()
    reader.feed(source.partition("</tbody>")[0])
    return [row for row in reader.rows if row]


@pytest.mark.parametrize("text", [NASTY, SIGNS, "two\nlines", "-"])
def test_markdown_is_a_table_of_the_texts_that_were_given(text: str) -> None:
    """As GitHub's dialect reads it."""
    page = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown(sheet(text)))
    assert page.count("<table>") == 1
    cells = as_read(page)
    assert cells[1:] == [
        [" ".join(text.split()), "9.59× (6.15 … 15.0; 2 of 3)"],
        ["ms", "10.34× (2.27 … 47.0)"],
        ["sp", "INF"],
    ]
    assert page.count("<strong>") == 1
    assert "<strong>10.34×</strong>" in page
    assert not any(tag in page for tag in ("<em>", "<code>", "<s>", "<a "))


def test_markdown_has_its_title_above_and_its_notes_below() -> None:
    page = MarkdownIt("commonmark").enable("table").render(markdown(sheet(note=NASTY, title="A | b")))
    assert page.startswith("<p>A | b</p>\n<table>")
    assert page.index("</table>") < page.index("<p>a|b *c*") < page.index("<p>Another.</p>")


@pytest.mark.parametrize("text", [NASTY, SIGNS])
def test_html_is_a_page_of_the_texts_that_were_given(text: str) -> None:
    page = html(sheet(text, title=text, note=text))
    assert as_read(page)[1:] == [
        [text, "9.59× 6.15 … 15.0 2 of 3"],
        ["ms", "10.34× 2.27 … 47.0"],
        ["sp", "INF"],
    ]
    assert page.count("<b>") == 1
    assert "<b>10.34×</b>" in page
    assert "src=" not in page
    assert "href=" not in page
    assert page.startswith("<!doctype html>")


def test_csv_has_the_numbers_and_nothing_else() -> None:
    found = pd.read_csv(io.StringIO(csv(sheet(NASTY))))
    assert found["codec"].tolist() == [NASTY, "ms", "sp"]
    assert found["time_s"].tolist() == [1.5, 2.0, float("inf")]


@pytest.mark.parametrize(
    ("text", "escapes"),
    [
        ("95.875 % of a_b & c#d", r"95.875 \% of a\_b \& c\#d"),
        ("α 0.1 × 2 · 3", r"$\alpha$ 0.1 $\times$ 2 $\cdot$ 3"),
        ("Δ λ ω Ω", r"$\Delta$ $\lambda$ $\omega$ $\Omega$"),
        (r"{a} \b $c ^d ~e", r"\{a\} \textbackslash{}b \$c \textasciicircum{}d \textasciitilde{}e"),
        ("[x] *y", "{[}x{]} {*}y"),
        ("a--b---c – d", "a-{}-b-{}-{}-c -- d"),
        ("é ñ č í", r"\'{e} \~{n} \v{c} \'{\i}"),
        ("中 😀", r"\texttt{U+4E2D} \texttt{U+1F600}"),
        ("two\nlines\tand more", "two lines and more"),
    ],
)
def test_latex_escapes(text: str, escapes: str) -> None:
    assert escaped(text) == escapes


def test_latex_is_a_table_environment_with_what_it_needs_on_top() -> None:
    lines = latex(sheet()).splitlines()
    assert lines[0] == r"% Needs \usepackage{booktabs}."
    assert lines[1] == r"\begin{table}"
    assert lines[-1] == r"\end{table}"
    rules = [line.strip() for line in lines if "rule" in line]
    assert rules == [r"\toprule", r"\midrule", r"\bottomrule"]
    inner = r"\textbf{10.34$\times$}\\{\scriptsize 2.27 \ldots{} 47.0}"
    stacked = rf"\begin{{tabular}}[t]{{@{{}}r@{{}}}}{inner}\end{{tabular}}"
    assert rf"ms & {stacked} \\" in map(str.strip, lines)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex")
def test_pdflatex_compiles_it_with_booktabs_alone(tmp_path: Path) -> None:
    every = "".join(chr(code) for code in (*range(32, 0x250), *range(0x370, 0x400), *range(0x2000, 0x2300)))
    texts = [NASTY, SIGNS, *(every[start : start + 60] for start in range(0, len(every), 60))]
    wide = Sheet("t", ["a"] * 12, [[Cell("1", "2", bold=True)] * 12], [], pd.DataFrame(), texts=3)
    tables = [*(latex(sheet(text, title=text, note=text)) for text in texts), latex(wide)]
    document = [r"\documentclass{article}", r"\usepackage{booktabs}", r"\begin{document}"]
    source = "\n".join([*document, "\n\\clearpage\n".join(tables), r"\end{document}"])
    (tmp_path / "all.tex").write_text(source, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode("latin-1")[-2000:]
    assert (tmp_path / "all.pdf").is_file()


def test_the_terminal_shows_texts_as_they_are_and_notes_below() -> None:
    output = io.StringIO()
    print_sheet(Console(file=output, width=200, color_system=None), sheet("x[/b] :smile:", note="[red]"))
    lines = output.getvalue().splitlines()
    assert lines[0].startswith("Times")
    assert any("x[/b] :smile:" in line for line in lines)
    assert lines[-2:] == ["[red]", "Another."]


def test_many_columns_in_latex_span_the_page() -> None:
    cells = [Cell("1")] * 9
    wide, narrow = (latex(Sheet("t", ["a"] * count, [cells[:count]], [], pd.DataFrame())) for count in (9, 8))
    assert wide.count("{table*}") == 2
    assert "{table*}" not in narrow


def test_every_ending_of_a_file_is_of_a_format() -> None:
    assert set(SUFFIXES.values()) == set(FORMATS)
