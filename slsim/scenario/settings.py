"""Settings beside a scenario file, as a command line has them: `KEY=VALUE`, and `KEY=A,B,C` for a sweep."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from typing import Any

from slsim.errors import Fault, FaultsError

_OPENING, _CLOSING, _QUOTES = "[{(", "]})", "\"'"


def parse_settings(settings: Iterable[str] | None) -> dict[str, Any]:
    """Return `["network.uplink=10 Mbps", "training.epochs=2"]` as a mapping of dotted keys.

    A value is TOML where it parses as such. Other text with commas outside brackets and quotes is a list,
    each piece a value by itself: `training.learning_rate=0.1,0.01`. The rest is text. A key given more than
    once has all its values as a list. Raises `FaultsError` for what is not `KEY=VALUE`.
    """
    values: dict[str, list[Any]] = {}
    for setting in settings or ():
        key, equals, text = setting.partition("=")
        key = key.strip()
        if not equals or not key:
            what = f'{setting!r} is not KEY=VALUE, such as network.uplink="10 Mbps"'
            raise FaultsError([Fault("--set", what)])
        given = parse_values(text)
        if len(given) > 1 and "" in given:
            raise FaultsError([Fault("--set", f"{setting!r} has an empty value between its commas")])
        values.setdefault(key, []).extend(given)
    return {key: given if len(given) > 1 else given[0] for key, given in values.items()}


def parse_values(text: str) -> list[Any]:
    """Return the values that `text` lists, or the one that it is."""
    value = parse_value(text)
    is_text = isinstance(value, str) and value == text.strip()
    pieces = _pieces(text) if is_text else [text]
    return [value] if len(pieces) == 1 else [parse_value(piece) for piece in pieces]


def parse_value(text: str) -> Any:
    """Return `text` as TOML where it parses as such, else as it is, without space around it."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text.strip()


def _pieces(text: str) -> list[str]:
    """What stands between the commas outside brackets and quotes; the whole where one of these is open."""
    pieces, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in _QUOTES:
            quote = letter
        else:
            depth += (letter in _OPENING) - (letter in _CLOSING)
        if letter == "," and not quote and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += letter
    return [text] if quote or depth else pieces
