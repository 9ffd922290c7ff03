"""Cases of a plan with their recordings, on the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from slsim import analysis
from slsim.analysis import Run
from slsim.errors import SlsimError
from slsim.recording import Recording
from slsim.scenario import Case, Scenario, run_labels
from slsim.study.clocks import Clocks
from slsim.study.training import Training


class Named(Protocol):
    """What tells a training apart: its folder's name, and its key."""

    @property
    def name(self) -> str: ...
    @property
    def key(self) -> str: ...


def play(
    cases: Sequence[Case],
    recordings: Mapping[str, Recording],
    of: Callable[[Scenario], Named] = Training.of,
    failed: Callable[[str, SlsimError], object] | None = None,
) -> list[Run]:
    """Each case's recording on its clock, and its baseline's; cases whose trainings are not there (yet) are
    left out. Where a link's rate is swept, the times if devices cost less and more are there too. `of` says
    which training a scenario has; `recordings` are by its key. `failed` is told the label of a case whose
    clock fails, which is then left out, and why; without it, that is raised."""
    sent = {key: analysis.cumulative(recording) for key, recording in recordings.items()}
    clocks = Clocks(recordings)
    suppose = bool(analysis.swept_links(cases))
    runs = []
    for case, label in zip(cases, run_labels(cases), strict=True):
        training, baseline = of(case.scenario), of(case.scenario.baseline())
        recording = recordings.get(training.key)
        if recording is None:
            continue
        try:
            run = Run(
                label=label,
                values=case.values,
                scenario=case.scenario,
                training=training.name,
                recording=recording,
                timeline=clocks.timeline(training.key, case.scenario),
                baseline=recordings.get(baseline.key),
                sent=sent[training.key],
                baseline_sent=sent.get(baseline.key),
                baseline_timeline=clocks.baseline(baseline.key, case.scenario),
                baseline_training=baseline.name if baseline.key in recordings else "",
            )
            supposed = clocks.supposed(run, training.key, baseline.key) if suppose else {}
        except SlsimError as error:
            if failed is None:
                raise
            failed(label, error)
        else:
            runs.append(replace(run, supposed=supposed))
    return runs
