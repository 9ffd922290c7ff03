"""Run a scenario from Python: a file, a document or a plan."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from slsim.events import Tell, silent
from slsim.scenario import Plan, load, override, plan

if TYPE_CHECKING:
    from slsim.study.study import Study


def run(
    scenario: str | Path | Mapping[str, Any] | Plan,
    results: str | Path = "results",
    *,
    overrides: Mapping[str, Any] | None = None,
    name: str | None = None,
    fresh: bool = False,
    any_version: bool = False,
    tell: Tell | None = None,
    device: str = "cpu",
    workers: int | None = None,
    executor: Executor | None = None,
    on: Literal["ray"] | None = None,
    share: str | None = None,
) -> Study:
    """Run a scenario: a file, a document as such a file has it, or a plan; what this version of slsim has
    finished in `results/<name>` (or `any_version`) is used again unless `fresh`. `name` replaces the
    scenario's.

    Trainings run side by side in `workers` processes, by default as many as there are cores; `on="ray"` on a
    cluster; or in an `executor` of your own. Where the machines of these do not see the results folder,
    `share` is the URL of a place that all see. Numbers do not depend on it. `tell` is told every event
    (`slsim.events`); left out, a notebook shows a progress bar. After a fresh run that was interrupted, one
    that is not does the rest of it: it reuses nothing older.

    A training that fails is left out, with a warning; the others are done. Raises `ScenarioError` before
    anything is written; `AllFailed` when no training could be done; `Interrupted` on Ctrl-C, with everything
    that was finished saved; `StudyError` and `DataError` when disk or data do not play along.

    Example:
        >>> import slsim
        >>> document = {"name": "mine", "data": "fashion-mini", "model": {"name": "cnn", "cut": "medium"}}
        >>> study = slsim.run(document, overrides={"training.max_rounds": 2})
        >>> study.summary["rounds"].tolist()
        [2.0]
    """
    if fresh and any_version:
        raise TypeError("what is trained afresh is of this version: give fresh or any_version, not both")
    asked = plan_of(scenario, {**(overrides or {}), **({} if name is None else {"name": name})})
    from slsim.study.conducting import conduct  # it needs pandas
    from slsim.study.crews import Staffing

    staffing = Staffing(device, workers, executor, on, share)
    with _shown(tell) as told:
        study = conduct(
            asked, Path(results), fresh=fresh, any_version=any_version, tell=told, staffing=staffing
        )
    for failure in study.failures:
        warnings.warn(f"a training failed: {failure}", stacklevel=2)
    return study


def plan_of(scenario: str | Path | Mapping[str, Any] | Plan, overrides: Mapping[str, Any]) -> Plan:
    """The plan of a file, of a document as such a file has it, or of a plan. Raises `ScenarioError`."""
    if isinstance(scenario, Plan):
        if overrides:
            raise TypeError(
                "a plan is checked already; give overrides and name with the file or document it is from"
            )
        return scenario
    if isinstance(scenario, Mapping):
        return replace(plan(override(scenario, overrides), "the scenario", Path()), overrides=overrides)
    return load(scenario, overrides)


@contextmanager
def _shown(tell: Tell | None) -> Iterator[Tell]:
    """Who is told: a progress display where a notebook shows it and nobody else wants to know."""
    from rich.console import Console

    if tell is None and (console := Console()).is_jupyter:
        from slsim.report.progress import progress

        with progress(console) as shown:
            yield shown
    else:
        yield tell or silent
