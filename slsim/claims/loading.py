"""Claims by name, of those that ship with slsim, or by the path of a TOML file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from slsim.claims.figures import value_faults
from slsim.claims.tables import Claim, ClaimTable
from slsim.errors import ClaimError, Fault, ScenarioError, UnknownNameError
from slsim.registry import faults_of
from slsim.scenario import read
from slsim.units import nearest

FOLDER = Path(__file__).parent
SUFFIX = ".toml"


def shipped() -> list[str]:
    """The names of the claims that ship with slsim, sorted.

    >>> "splitlite" in shipped()
    True
    """
    return sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}"))


def load(name_or_path: str | Path, *, trust: bool = False) -> Claim:
    """A claim that ships with slsim, by its name, or the one in a TOML file. Code that it names as a codec is
    run only with `trust`. Raises `ClaimError` with every fault of the file, and `UnknownNameError` where no
    claim of that name ships.

    >>> load("splitlite").file.table
    'Table I and its headline'
    """
    text = str(name_or_path)
    if text in shipped():
        return _from_file(FOLDER / f"{text}{SUFFIX}", f"slsim's own {text}{SUFFIX}", trust)
    if isinstance(name_or_path, Path) or text.endswith(SUFFIX) or "/" in text or "\\" in text:
        return _from_file(Path(name_or_path), text, trust)
    names = shipped()
    raise UnknownNameError(
        f'no claim "{text}" ships with slsim; {nearest(text, names)}there are: {", ".join(names)}; '
        f"one of your own is named by its file, such as mine{SUFFIX}"
    )


def _from_file(path: Path, source: str, trust: bool) -> Claim:
    try:
        document = read(path)
    except ScenarioError as error:
        raise ClaimError(error.faults, source) from None
    if faults := list(_unprintable(document)):
        raise ClaimError(faults, source)
    try:
        file = ClaimTable.model_validate(document, context={"folder": path.parent, "trust": trust})
    except ValidationError as error:
        raise ClaimError(faults_of(error, ClaimTable), source) from None
    if faults := list(value_faults(file)):
        raise ClaimError(faults, source)
    return Claim(path.stem, source, file)


def _unprintable(value: object, path: str = "") -> Iterator[Fault]:
    """A fault for each text, key or value, that no line can show: it may be a stranger's."""
    if isinstance(value, str) and not value.isprintable():
        yield Fault(path, f"{value[:40]!r} holds a character that cannot be printed in a line")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _unprintable(key, path)
            yield from _unprintable(item, f"{path}.{key}" if path else key) if key.isprintable() else ()
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _unprintable(item, f"{path}[{at}]")
