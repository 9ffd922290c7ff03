"""The page itself: Plotly, one script and one style of ours, and what a study says, in one file.

Whatever comes from a study is text: Jinja2 escapes it, and the script reads its numbers from JSON in which no
tag can end. The browser is told to run those two scripts alone and to load nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

from slsim.errors import StudyError
from slsim.report import notes
from slsim.report.page.lines import lines
from slsim.report.page.material import Material
from slsim.report.page.rounds import bars, links_table, rounds_table
from slsim.report.page.summary_table import summary_table
from slsim.report.page.winners import paying_table
from slsim.report.terminal import listed

FACTS = {"date": "date", "command": "command", "commit": "commit", "set": "set", "replay_of": "replay of"}


def render(material: Material) -> str:
    """The page as HTML. Raises `StudyError` where Plotly or Jinja2 is not installed."""
    try:
        from jinja2 import Environment, StrictUndefined
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise StudyError(
            f"a report needs Plotly and Jinja2 ({error}); they come with: pip install 'slsim[report]'"
        ) from error
    plotly, script = get_plotlyjs(), _file("page.js")
    assert "</script" not in plotly.lower() + script.lower(), "a script must not end within itself"
    found = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    return found.from_string(_file("page.html")).render(
        plotly=plotly,
        script=script,
        style=_file("page.css"),
        hashes=[_hash(plotly), _hash(script)],
        data=_json(_data(material)),
        **_sections(material),
    )


def _data(material: Material) -> dict[str, Any]:
    """What the page's script reads."""
    codecs = dict(zip(material.summary["setting"], material.summary["codec"], strict=True))
    rounds = material.breakdown
    return {**lines(material), "rounds": None if rounds is None or rounds.empty else bars(rounds, codecs)}


def _sections(material: Material) -> dict[str, Any]:
    """What the template shows."""
    summary, slider = material.summary, material.slider
    links, rounds = material.links, material.breakdown
    return {
        "name": material.name,
        "target": notes.target(summary),
        "answers": list(_answers(material)),
        "notes": material.notes,
        "missing": material.missing,
        "summary": summary_table(summary),
        "slider": slider,
        "no_slider": material.no_slider,
        "title": slider.axis.title if slider else "",
        "paying": paying_table(slider) if slider else None,
        "rounds": None if rounds is None or rounds.empty else rounds_table(rounds),
        "links": None if links is None or links.empty else links_table(links),
        "frontier": material.frontier is not None and not material.frontier.empty,
        "scenario": material.scenario,
        "facts": list(_facts(material)),
        "seeds": notes.most_seeds(summary),
        "codecs": listed(list(dict.fromkeys(map(str, summary["codec"])))),
    }


def _answers(material: Material) -> Iterator[str]:
    """What seeds prove and how the numbers are to be read, as under the printed table."""
    summary = material.summary
    if not material.axes:
        yield from notes.of(summary)
        return
    for axis in material.axes:
        if summary["speed_up"].notna().any():
            yield notes.pays(summary)
        yield from notes.of(summary, axis)


def _facts(material: Material) -> Iterator[tuple[str, str]]:
    """Of the manifest, what says where the numbers come from: date, command, code, versions, host."""
    told = dict(material.manifest)
    git = told.get("git")
    if isinstance(git, dict):
        dirty = " and changes that were not committed" if git.get("dirty") else ""
        told["commit"] = f"{git.get('commit', '')}{dirty}"
    if isinstance(told.get("command"), list):
        told["command"] = " ".join(map(str, told["command"]))
    for key, called in FACTS.items():
        if told.get(key):
            yield called, told[key] if isinstance(told[key], str) else json.dumps(told[key], default=str)
    for key in ("versions", "host"):
        if isinstance(told.get(key), dict):
            yield key, ", ".join(f"{name} {value}" for name, value in told[key].items())
    if told.get("python"):
        yield "Python", str(told["python"])


def _json(value: Any) -> str:
    """JSON that may stand in a script: no "<" begins a tag in it. A NaN is a fault of ours."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _file(name: str) -> str:
    """A file of this package."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """What a browser is told of a script that it may run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode('utf-8')).digest()).decode()}"
