"""What a study keeps of the files that its scenario names, so that its folder can be moved, packed and opened
elsewhere: rate traces, and the sources of components of one's own, each below `inputs/` under a hash of its
content. Data are not copied: nothing but a training reads them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slsim import own_files
from slsim.own_code import is_own_code

FOLDER = "inputs"
DIGITS = 8  # of a hash that are shown: hexadecimal
_HASH = re.compile(rf"[0-9a-f]{{{DIGITS}}}")


def localised(document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A resolved scenario in which every `trace = "…"` of the network and every component `"file.py:Name"`,
    swept or not, is called by its path in the study's own folder; and by these paths, the content of the
    files. What is not there any more keeps its name."""
    files: dict[str, bytes] = {}

    def of(value: Any, key: str) -> Any:
        if isinstance(value, Mapping):
            return {name: of(item, f"{key}.{name}" if key else name) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [of(item, key) for item in value]
        last = key.rpartition(".")[2]
        if not isinstance(value, str):
            return value
        if last == "trace" and key.removeprefix("sweep.").startswith("network"):
            return _trace(Path(value), files)
        return _code(value, files) if last == "name" and is_own_code(value) else value

    local: dict[str, Any] = of(document, "")
    return local, files


def _trace(path: Path, files: dict[str, bytes]) -> str:
    """The path of a file, or of a folder of files, in a study's folder; the contents are noted."""
    below = [path]
    if path.is_dir():
        below = sorted(one for one in path.rglob("*") if one.is_file() and not one.name.startswith("."))
    contents = {one.relative_to(path).as_posix(): one.read_bytes() for one in below}
    home = Path(FOLDER, _digest(contents), path.name)
    files.update({(home / place).as_posix(): content for place, content in contents.items()})
    return home.as_posix()


def _digest(contents: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for place, content in contents.items():
        digest.update(f"{place} {len(content)}\n".encode(errors="surrogateescape"))
        digest.update(content)
    return digest.hexdigest()[:DIGITS]


def _code(name: str, files: dict[str, bytes]) -> str:
    """The name of code in a file, by the file's path in a study's folder; the contents of the file and of the
    modules of one's own that it imports are noted."""
    file, _, attribute = name.rpartition(":")
    path = Path(file).resolve()
    try:
        home = Path(FOLDER, code_digest(path))
        sources = own_files.sources_of(path, beside=bool(stated_digest(path)))
    except OSError:
        stated = stated_digest(path)
        return f"{FOLDER}/{stated}/{path.name}:{attribute}" if stated else name
    files.update({(home / place).as_posix(): source.content for place, source in sources.items()})
    return f"{(home / path.name).as_posix()}:{attribute}"


def code_digest(path: Path) -> str:
    """By what the content of a file of code is known, its modules' of one's own included. Raises `OSError`
    where it cannot be read."""
    return own_files.digest_of(path, beside=bool(stated_digest(path)))[:DIGITS]  # a copy has all of them


def stated_digest(path: Path) -> str:
    """What `code_digest` was of a file when it was copied into a study's `inputs/`, by its folder's name;
    empty for a file that lies elsewhere."""
    folder = path.parent
    return folder.name if folder.parent.name == FOLDER and _HASH.fullmatch(folder.name) else ""


def altered(study: Path) -> list[str]:
    """What lies in the `inputs/` of a study and is not what was copied there, by paths in its folder."""
    wrong = []
    for home in sorted((study / FOLDER).glob("*")):
        named = [one for one in home.iterdir() if not one.name.startswith(".")] if home.is_dir() else []
        if not _HASH.fullmatch(home.name) or not named:
            continue  # nothing of ours
        if not any(_has_digest(one, home.name) for one in named):
            wrong.append(home.relative_to(study).as_posix())
    return wrong


def _has_digest(path: Path, digest: str) -> bool:
    local: dict[str, bytes] = {}
    try:
        if path.suffix == ".py" and code_digest(path) == digest:
            return True
        return Path(_trace(path, local)).parent.name == digest
    except OSError:
        return False
