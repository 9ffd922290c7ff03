"""Runs that differ in a link's rate: which link, at what rate, and what each is called without it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import pandas as pd

from slsim.scenario import Case, Scenario, run_labels

Link = Literal["uplink", "downlink"]
SWEEPABLE: tuple[Link, ...] = ("uplink", "downlink")


class Swept(Protocol):
    """A case or a run: a setting, and the swept values that make it."""

    @property
    def values(self) -> Mapping[str, Any]: ...
    @property
    def scenario(self) -> Scenario: ...


def rate_bps(scenario: Scenario, link: Link) -> float:
    """The rate of all clients' links in that direction (bit/s); NaN where it is a trace, or theirs differ."""
    rate = getattr(scenario.network, link)
    return rate if isinstance(rate, float) else math.nan


def swept_links(cases: Sequence[Swept]) -> list[Link]:
    """The links whose rate the sweep changes, and that have a plain one in each case."""
    return [link for link in SWEEPABLE if _is_swept(cases, link)]


def swept_in(summary: pd.DataFrame) -> list[Link]:
    """The same of a summary, which then has a column of series for each of them."""
    return [link for link in SWEEPABLE if f"{link}_series" in summary]


def _is_swept(cases: Sequence[Swept], link: Link) -> bool:
    rates = {rate_bps(case.scenario, link) for case in cases}
    named = any(_is_of(key, link) for key in cases[0].values)
    return named and len(rates) > 1 and not any(map(math.isnan, rates))


def series_labels(cases: Sequence[Swept], link: Link) -> list[str]:
    """What each case is called without that link's rate: alike where nothing else differs, nor the seed."""
    others = [{key: value for key, value in case.values.items() if not _is_of(key, link)} for case in cases]
    seeds = [case.scenario.seed for case in cases]
    keys = [json.dumps(own, sort_keys=True, default=str) for own in zip(others, seeds, strict=True)]
    distinct = {
        key: Case(values, case.scenario) for key, values, case in zip(keys, others, cases, strict=True)
    }
    labels = dict(zip(distinct, run_labels(list(distinct.values())), strict=True))
    return [labels[key] for key in keys]


def _is_of(key: str, link: Link) -> bool:
    path = f"network.{link}"
    return key == path or key.startswith(f"{path}.")
