"""Hooks of the docs site: a link that leaves docs/ leads to a copy in the site, so that the site is whole.

A figure or another picture is copied. A text file becomes a page that shows it, a folder a page of its text
files, and a notebook a page of its cells with their outputs.
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
COPIES = "repository"  # the folder of these pages in the site
LINK = re.compile(r"(?<=\]\()(\.\./[^)#\s]+)")  # the target of a link in Markdown that begins with ../
PICTURES = {".png", ".svg"}
LOADED = re.compile(r'<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)="(?:https?:)?//[^"]*"')
LANGUAGES = {".py": "python", ".toml": "toml", ".md": "markdown", ".csv": "text", ".json": "json"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page, or a copy, for each target outside docs/ that a page links to."""
    targets = {target for file in files.documentation_pages() for target in _targets(file)}
    for path in sorted(targets):
        if path.suffix in PICTURES:
            added = File.generated(config, _address(path), content=path.read_bytes())
        else:
            added = File.generated(config, _address(path), content=_page(path))
        files.append(added)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point each link that leaves docs/ at the copy."""
    del config, files
    folder = posixpath.dirname(page.file.src_uri)

    def inside(match: re.Match[str]) -> str:
        path = _outside(page.file.src_uri, match[1])
        return posixpath.relpath(_address(path), folder or ".") if path else match[1]

    return LINK.sub(inside, markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Raise `PluginError` where a page would load something from elsewhere."""
    del config
    if found := LOADED.search(output):
        raise PluginError(f"{page.file.src_uri} would load from elsewhere: {found[0]}")
    return output


def _targets(file: File) -> set[Path]:
    found = (_outside(file.src_uri, target) for target in LINK.findall(file.content_string))
    return {path for path in found if path}


def _outside(source: str, target: str) -> Path | None:
    """What a link on the page `source` leads to, where that is outside docs/; None where it is inside."""
    docs = ROOT / "docs"
    path = (docs / source).parent.joinpath(target).resolve()
    return path if path.exists() and docs not in path.parents else None


def _address(path: Path) -> str:
    place = f"{COPIES}/{path.relative_to(ROOT).as_posix()}"
    return place if path.suffix in PICTURES else f"{place}.md"


def _page(path: Path) -> str:
    """A page that shows a file or the files of a folder; the search leaves it out."""
    name = path.relative_to(ROOT).as_posix()
    if path.suffix == ".ipynb":
        text = _notebook(json.loads(path.read_text("utf-8")))
    elif path.is_dir():
        files = sorted(one for one in path.iterdir() if one.suffix in LANGUAGES)
        text = "\n".join([f"# {name}\n", *(f"## {one.name}\n\n{_shown(one)}" for one in files)])
    else:
        text = f"# {name}\n\n{_shown(path)}"
    return f"---\nsearch:\n  exclude: true\n---\n\n{text}"


def _shown(path: Path) -> str:
    return _fenced(path.read_text("utf-8"), LANGUAGES.get(path.suffix, "text"))


def _fenced(text: str, language: str) -> str:
    return f"``````{language}\n{text.rstrip()}\n``````\n"


def _notebook(notebook: dict[str, Any]) -> str:
    """The cells of a notebook: text as it is, code and what it printed and drew."""
    parts = list[str]()
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        parts.append(_fenced(source, "python") if cell["cell_type"] == "code" else source)
        parts += [_output(one) for one in cell.get("outputs", ())]
    return "\n\n".join(parts)


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {"text/plain": output.get("text", "")})
    if "image/png" in data:
        return f"![](data:image/png;base64,{''.join(data['image/png']).strip()})"
    if "text/html" in data:  # a table of pandas, without its own style
        html = re.sub(r"<style.*?</style>", "", "".join(data["text/html"]), flags=re.DOTALL)
        return html.replace('<table border="1" class="dataframe">', "<table>")
    return _fenced("".join(data["text/plain"]), "text")


class Examples(griffe.Extension):
    """Docstrings have sections "Example:"; the parser of docstrings knows them as "Examples:"."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rename the section in a docstring."""
        del kwargs
        if obj.docstring:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
