"""Texts and tables as plain LaTeX: what pdflatex compiles with booktabs and nothing else."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

MOST, WIDEST = 6, 8  # columns in a font of the usual size, and in a column of text
_BREAK = "\N{ZERO WIDTH SPACE}"  # between hyphens, which else are one dash
_SPECIAL = {
    **{character: f"\\{character}" for character in "#$%&_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''", "`": r"\char96{}"},
    **{"[": "{[}", "]": "{]}", "*": "{*}"},  # after the end of a row they would be read as its options
    _BREAK: "{}",
}
_SIGNS = {
    **{"×": r"$\times$", "·": r"$\cdot$", "±": r"$\pm$", "÷": r"$\div$", "−": "$-$", "√": r"$\surd$"},
    **{"≤": r"$\leq$", "≥": r"$\geq$", "≈": r"$\approx$", "∞": r"$\infty$", "→": r"$\rightarrow$"},
    **{"²": "$^2$", "³": "$^3$", "°": r"$^\circ$", "µ": r"$\mu$", "…": r"\ldots{}", "–": "--", "—": "---"},
    **{"‘": "`", "’": "'", "“": "``", "”": "''", "ß": r"\ss{}", "æ": r"\ae{}", "ø": r"\o{}", "ł": r"\l{}"},
}
_ACCENTS = {
    **{"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u"},
    **{"\u0307": ".", "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c"},
}
_GREEK = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu"),
    *("nu", "xi", "", "pi", "rho", "varsigma", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"),
)
_SIGNS |= {chr(place): f"$\\{name}$" for place, name in enumerate(_GREEK, ord("α")) if name}
_CAPITALS = ("Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega")
_SIGNS |= {letter: f"$\\{name}$" for letter, name in zip("ΓΔΘΛΞΠΣΥΦΨΩ", _CAPITALS, strict=True)}


def escaped(text: str) -> str:
    """A text on one line as LaTeX has it; a character that pdflatex has no glyph for as its number.

    >>> print(escaped("RT (95.875 %, α 0.1) × 2_1"))
    RT (95.875 \\%, $\\alpha$ 0.1) $\\times$ 2\\_1
    """
    return "".join(map(_escaped, re.sub("-(?=-)", f"-{_BREAK}", " ".join(text.split()))))


def _escaped(character: str) -> str:
    if known := _SPECIAL.get(character) or _SIGNS.get(character):
        return known
    if " " <= character <= "~":
        return character
    return _accented(character) or rf"\texttt{{U+{ord(character):04X}}}"


def _accented(character: str) -> str:
    """A Latin letter with an accent."""
    parts = unicodedata.normalize("NFD", character)
    letter, accent = parts[0], _ACCENTS.get(parts[1:])
    if accent is None or not letter.isascii():
        return ""
    letter = f"\\{letter}" if letter in "ij" else letter  # without their dots
    return f"\\{accent}{{{letter}}}"


def _stacked(lines: Sequence[str], align: str, position: str) -> str:
    """Lines below one another in one cell; `position` says which of them stands in the row's line."""
    if len(lines) == 1:
        return lines[0]
    inner = r"\\".join(lines)
    return rf"\begin{{tabular}}[{position}]{{@{{}}{align}@{{}}}}{inner}\end{{tabular}}"


def cell(text: str, detail: str = "", *, bold: bool = False, align: str = "r") -> str:
    """A cell: its text and, below it and smaller, the lines of a detail; on the left with "l" as `align`."""
    shown = rf"\textbf{{{escaped(text)}}}" if bold else escaped(text)
    details = [rf"{{\scriptsize {escaped(line)}}}" for line in detail.splitlines()]
    return _stacked([shown, *details], align, "t")


def table(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str], *, texts: int
) -> str:
    """A table environment of rows of cells: the title is its caption, the notes stand below. Headings may
    have several lines; the first `texts` columns are on the left. Many columns are set in a smaller font, and
    yet more span the page, also where the text has two columns."""
    return "\n".join(_lines(title, headings, rows, notes, texts)) + "\n"


def _lines(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str], texts: int
) -> Iterator[str]:
    columns = "l" * texts + "r" * (len(headings) - texts)
    heads = [
        _stacked(list(map(escaped, heading.split("\n"))), align, "b")
        for heading, align in zip(headings, columns, strict=True)
    ]
    size = r"\small" if len(columns) <= MOST else r"\footnotesize\setlength{\tabcolsep}{3pt}"
    size = size if len(columns) <= WIDEST else r"\scriptsize\setlength{\tabcolsep}{2pt}"
    environment = "table" if len(columns) <= WIDEST else "table*"
    yield r"% Needs \usepackage{booktabs}."
    yield rf"\begin{{{environment}}}"
    yield rf"  \centering{size}"
    yield r"  \setlength{\belowcaptionskip}{4pt}"
    yield rf"  \caption{{{escaped(title)}}}"
    yield rf"  \begin{{tabular}}{{{columns}}}"
    yield r"    \toprule"
    yield f"    {' & '.join(heads)} \\\\"
    yield r"    \midrule"
    for row in rows:
        yield f"    {' & '.join(row)} \\\\"
    yield r"    \bottomrule"
    yield r"  \end{tabular}"
    if notes:
        yield r"  \par\medskip\parbox{\linewidth}{\footnotesize\raggedright"
        for note in notes:
            yield rf"    {escaped(note)}\par"
        yield r"  }"
    yield rf"\end{{{environment}}}"
