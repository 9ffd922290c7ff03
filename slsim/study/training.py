"""The trainings that a plan needs, each told apart by its key and called by its label."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from slsim.recording import Recording
from slsim.results import CODE, environment, slug
from slsim.scenario import Case, Scenario, training_labels
from slsim.study.keys import training_key

LONGEST_LABEL = 80  # of a training, in its folder's name


@dataclass(frozen=True)
class Training:
    """A training that a plan needs: its setting, its key, and what a reader calls it."""

    scenario: Scenario
    key: str
    label: str

    @classmethod
    def of(cls, scenario: Scenario) -> Training:
        """Called by its adapter and its uplink codec."""
        return cls(scenario, training_key(scenario), scenario.scheme.label)

    @property
    def name(self) -> str:
        """Its folder's name."""
        return f"{slug(self.scenario.scheme.label)[:LONGEST_LABEL]}-{self.key}"


def made_by_this_version(recording: Recording) -> bool:
    """Whether a run may reuse a recording: another version of slsim, or other code of the rooms that learn,
    may learn differently. A recording that does not say by which code it was made counts as another
    version's. Any version's recording can be opened, replayed and checked."""
    made_by: Any = recording.provenance.get("versions", {})
    now = environment()["versions"]
    return all(made_by.get(name) == now[name] for name in ("slsim", CODE))


def trainings_of(cases: Sequence[Case]) -> list[Training]:
    """Return the distinct trainings that `cases` need, baselines first where a target depends on them, each
    called by its codec and whatever else tells it apart from the others."""
    scenarios = [case.scenario for case in cases]
    baselines = [s.baseline() for s in scenarios if s.training.target_margin is not None]
    learned = {json.dumps(one.learning_table()): one for one in [*baselines, *scenarios]}
    labels = training_labels(list(learned.values()))
    distinct: dict[str, Training] = {}
    for scenario, label in zip(learned.values(), labels, strict=True):
        training = replace(Training.of(scenario), label=label)
        distinct.setdefault(training.key, training)
    return list(distinct.values())
