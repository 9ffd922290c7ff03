"""The form in which a sweep is written down, so that it reads back as the same cases."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slsim.scenario.keys import value_at, with_key

Ordered = tuple[list[int], list[dict[str, Any]]]


def normal_form(tables: Sequence[Mapping[str, Any]], keys: Sequence[str], *, are_points: bool) -> Ordered:
    """The sweep of which `tables`, resolved documents that differ, are the cases: their order in it, and the
    swept values of each.

    The keys are `keys`, or tables around them where those do not suffice: a swept name of a component, say,
    becomes a sweep over the component with its parameters. Where the values are a product, the cases are in
    its order, unless `are_points` whose order is kept.
    """
    found = next(filter(None, (_in_form(tables, form, are_points=are_points) for form in _forms(keys))), None)
    assert found is not None, "whole sections always suffice"
    return found


def written(values: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]] | list[dict[str, list[Any]]]:
    """The sweep whose cases have `values`, in their order, as a document has it: a grid where that is their
    product, or else points."""
    distinct = _distinct(values)
    if len(values) == math.prod(map(len, distinct.values())):
        product = itertools.product(*distinct.values())
        if all(
            text(list(one.values())) == text(list(other)) for one, other in zip(values, product, strict=True)
        ):
            return distinct
    return [{key: [value] for key, value in one.items()} for one in values]


def text(value: object) -> str:
    """A value of a document as text: equal for equal values."""
    return json.dumps(value, sort_keys=True)


def _distinct(values: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {key: list({text(one[key]): one[key] for one in values}.values()) for key in values[0]}


def _forms(keys: Sequence[str]) -> Iterator[list[str]]:
    """The swept keys as given, then ever larger tables around them."""
    yield list(keys)
    named = [key.removesuffix(".name") for key in keys]
    yield _outermost(named)
    yield _outermost([key.rpartition(".")[0] if key.count(".") > 1 else key for key in named])
    yield _outermost([key.partition(".")[0] for key in keys])


def _outermost(keys: Sequence[str]) -> list[str]:
    """The keys without those inside another, each once."""
    distinct = dict.fromkeys(keys)
    return [key for key in distinct if not any(key.startswith(f"{other}.") for other in distinct)]


def _in_form(tables: Sequence[Mapping[str, Any]], keys: Sequence[str], *, are_points: bool) -> Ordered | None:
    """`tables` as cases of a sweep over `keys`; None where these do not tell all that differs."""
    try:
        values = [{key: value_at(table, key) for key in keys} for table in tables]
    except (KeyError, TypeError):
        return None
    if not all(_with_all(tables[0], one) == table for one, table in zip(values, tables, strict=True)):
        return None
    as_listed = list(range(len(tables)))
    distinct = _distinct(values)
    if are_points or math.prod(map(len, distinct.values())) != len(tables):
        return as_listed, values
    place = {text(list(one.values())): number for number, one in enumerate(values)}
    order = [place[text(choice)] for choice in itertools.product(*distinct.values())]
    return order, [values[number] for number in order]


def _with_all(document: Mapping[str, Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
    for key, value in values.items():
        document = with_key(document, key, value)
    return document
