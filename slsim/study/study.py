"""A study: the runs of a scenario, their tables and figures; opened again, checked and replayed.

What it needs are its recordings alone: no data, no trained weights, and no code that it names.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console

from slsim import analysis
from slsim.analysis import Run
from slsim.checks import check_runs
from slsim.checks.tables import KEYS
from slsim.circumstances import circumstances
from slsim.errors import RecordingError, ReplayError, StudyError
from slsim.named import chosen
from slsim.own_code import own_code, with_absolute_code
from slsim.report import figures
from slsim.report.notes import measured_codecs, several_machines
from slsim.report.plots import Plots
from slsim.report.study_tables import Tables, print_study
from slsim.results import StudyFolder, environment
from slsim.scenario import Case, Plan, load, override, plan, read
from slsim.scenario.axes import Axis
from slsim.study import tracing
from slsim.study.clocks import Clocks
from slsim.study.failures import Failure, failed_before
from slsim.study.inputs import localised
from slsim.study.integrity import faults
from slsim.study.opening import Stored, learned_text
from slsim.study.placing import described
from slsim.study.playing import Played, play, uncollected
from slsim.study.plotting import TablesOf
from slsim.verdict import Check

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 100  # characters of a study in an interactive session


class Study:
    """A study: its tables, and its folder.

    - `summary`: one row a setting, statistics over its seeds;
    - `runs`: one row a run, which is a setting with one seed, those that failed too;
    - `curves`: one row an evaluation and run; `timeline`: one row a round and run;
    - `breakdown`: one row a run: where the seconds of an average round go;
    - `crossovers`: where each setting stops paying, over each swept number;
    - `round`: one round of each setting, step by step in time;
    - `links`: one row a link and run: what it carried, and how busy it was;
    - `frontier`: one row a setting and budget of bytes: the accuracy held within it;
    - `measurements`: what hooks measured.

    All are pandas DataFrames, computed when first asked for; `plot` draws them. `played` are the runs
    themselves, with their recordings and timelines. `failures` are the trainings that a run could not do,
    `damaged` has an error for each training that is there and cannot be read; `trust` says whether a replay
    may run code of the study's own.
    """

    def __init__(
        self,
        folder: StudyFolder,
        played: Played,
        *,
        failures: Sequence[Failure] = (),
        damaged: Sequence[RecordingError] = (),
        trust: bool = True,
        is_saved: bool = True,
        source: _Source | None = None,
    ) -> None:
        self._folder = folder
        self._played = played
        self._trust = trust
        self._is_saved = is_saved
        self._source = source
        self.failures = tuple(failures)
        self.damaged = tuple(damaged)

    def __repr__(self) -> str:
        """The summary, as the command line prints it."""
        console = Console(file=io.StringIO(), width=WIDTH, color_system=None, markup=False, emoji=False)
        print_study(console, self.tables, brief=True)
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue().rstrip()

    def _repr_html_(self) -> str:
        """The summary, as a table in a notebook."""
        columns = [name for name in SHOWN if name in self.summary]
        return str(
            self.summary[columns].to_html(index=False, max_rows=20, na_rep="–", float_format="{:.4g}".format)
        )

    @property
    def path(self) -> Path:
        """The study's folder; of a replay that was not saved, where it would be."""
        return self._folder.path

    @property
    def played(self) -> tuple[Run, ...]:
        """The runs: each with its recording, its timeline and its scenario."""
        return self._played.runs

    @property
    def cases(self) -> list[Case]:
        """The settings with their seeds, those that failed too."""
        return [Case(case.values, case.scenario) for case in self._played.cases]

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The numbers that are swept."""
        return self._played.axes

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row a run, those that failed too."""
        return analysis.runs_table(self._played.cases)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row a setting: means, medians and intervals over seeds."""
        return analysis.summarise(self.runs)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row an evaluation and run: accuracies over rounds, simulated seconds and bytes."""
        return analysis.curves(self.played)

    @cached_property
    def breakdown(self) -> pd.DataFrame:
        """One row a run: where the seconds of an average round go."""
        return analysis.breakdown(self.played)

    @cached_property
    def timeline(self) -> pd.DataFrame:
        """One row a round and run: when it ended, and the seconds of its average client in each phase."""
        return analysis.timeline(self.played)

    @cached_property
    def crossovers(self) -> pd.DataFrame:
        """Where each setting stops paying, or begins to, over each swept number."""
        return analysis.crossovers(self.summary, self._played.axes, self._played.speed_ups)

    @cached_property
    def round(self) -> pd.DataFrame:
        """One round of each setting, step by step: what each client and the server did, and when."""
        return analysis.one_round(self.played)

    @cached_property
    def links(self) -> pd.DataFrame:
        """One row a run and link: what it carried, how busy it was; clients' own links together."""
        return analysis.links(self.played)

    @cached_property
    def frontier(self) -> pd.DataFrame:
        """One row a setting and budget of bytes, up and down together: the accuracy held within it."""
        return self.accuracy_at_bytes("total")

    def accuracy_at_bytes(self, counted: Literal["total", "uplink"] = "total") -> pd.DataFrame:
        """One row a setting and budget: the accuracy held within so many bytes, up and down together or up
        alone, the mean over seeds with its 95 % interval.

        Example:
            >>> import slsim
            >>> table = slsim.open_study("results/quickstart").accuracy_at_bytes("uplink")
            >>> list(table)
            ['setting', 'seeds', 'budget_bytes', 'accuracy', 'accuracy_low', 'accuracy_high']
        """
        return analysis.accuracy_at(analysis.staircases(self.played, counted))

    def bd_rate(
        self, against: str | None = None, counted: Literal["total", "uplink"] = "total"
    ) -> pd.DataFrame:
        """Bjøntegaard's difference in bytes of every setting over the setting `against`, seed by seed: -0.5
        says that half of the bytes were needed for the same accuracy, on average over accuracies.

        Args:
            against: A setting, as `summary["setting"]` has it, or a part of its name that no other has; left
                out, each setting's own uncompressed run, which need not be a setting.
            counted: Bytes up and down together, or those up alone.

        Returns:
            One row a setting: `setting`, `seeds` (those in which both have accuracies in common), `bd_rate`
            (of the geometric mean), and the ends of its 95 % interval, `bd_rate_low` and `bd_rate_high`.

        Raises:
            StudyError: If there is no such setting.

        Example:
            >>> study = slsim.open_study("results/quickstart")  # doctest: +SKIP
            >>> study.bd_rate("QU (3 bits)")  # doctest: +SKIP
        """
        if not against:
            column = "bd_rate" if counted == "total" else "bd_rate_uplink"
            ends = {f"{column}{end}": f"bd_rate{end}" for end in ("", "_low", "_high")}
            return self.summary[["setting", "seeds", *ends]].rename(columns=ends)
        against = chosen(against, [run.setting for run in self.played], "setting")
        return analysis.bd_rates_over(analysis.staircases(self.played, counted), against)

    @cached_property
    def measurements(self) -> pd.DataFrame:
        """What hooks measured, one row a number."""
        return analysis.measurements(self.played)

    @property
    def plot(self) -> Plots:
        """Its figures, drawn from these tables."""
        return Plots(TablesOf(self, self._folder))

    @property
    def tables(self) -> Tables:
        """All that is printed of the study, as it is saved."""
        return Tables(
            self.summary,
            self.breakdown,
            self.crossovers,
            self.links,
            self.notes,
            self.path if self._is_saved else None,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the tables has to know of how their numbers came about."""
        trainings = {run.training: run.recording for run in self.played}.values()
        measured = (note for recording in trainings for note in measured_codecs(recording))
        return (*dict.fromkeys(measured), *several_machines(trainings))

    @property
    def alarms(self) -> dict[str, str]:
        """What the clock found wrong in itself, by run."""
        return {run.label: run.timeline.alarm for run in self.played if run.timeline.alarm}

    @uncollected()
    def save(self, manifest: Mapping[str, Any]) -> None:
        """Write the tables and the manifest, and last the figures drawn from the tables."""
        for name in SAVED:
            table = getattr(self, name)
            if len(table) or name != "measurements":
                self._folder.save_table(name, table)
        seeds = list(dict.fromkeys(case.scenario.seed for case in self._played.cases))
        seed = seeds[0] if len(seeds) == 1 else seeds
        self._folder.save_manifest({**environment(), "seed": seed, **manifest, **self._remarks()})
        figures.draw_runs(self._folder)

    def _remarks(self) -> dict[str, Any]:
        """What tables do not say, for the manifest."""
        failed = {one.label: {"training": one.training, "reason": one.reason} for one in self.failures}
        found = {"notes": list(self.notes), "failed": failed, "alarms": self.alarms}
        return {name: value for name, value in found.items() if value}

    def check(self) -> list[Check]:
        """Whether bytes, multipliers, times and the saved tables follow from the recordings, whether these
        can be read, and whether the clock contradicts itself.

        Example:
            >>> import slsim
            >>> all(check.passed for check in slsim.open_study("results/quickstart").check())
            True
        """
        wrong = [Check("recordings", False, str(error), group="recordings") for error in self.damaged]
        wrong += [
            Check(f"clock of {label}", False, alarm, group="clock") for label, alarm in self.alarms.items()
        ]
        damaged = faults(self._folder)
        wrong += [Check(file, False, why, group="files") for file, why in damaged.items()]
        due = KEYS if self.damaged else SAVED  # rows of recordings that cannot be read are not computed
        there = [name for name in due if self._folder.has_table(name) and f"{name}.csv" not in damaged]
        with own_code("where needed" if self._trust else "never"):  # `round` needs the devices
            computed = {name: getattr(self, name) for name in there}
        with own_code("never"):
            saved = {name: self._folder.load_table(name) for name in there}
            return wrong + check_runs(self.played, computed, saved)

    def replay(self, overrides: Mapping[str, Any], *, save: bool = True) -> Study:
        """The same trainings under other links, devices or targets, without training: `overrides` is dotted
        key → value, or a list of values to sweep over; without any it is the study as it is. Raises
        `ReplayError` when a change would need a training, `ScenarioError` when it makes no sense. Saved below
        `replays/`; with `save=False` nothing is written, and it takes milliseconds.

        Example:
            >>> import slsim
            >>> study = slsim.open_study("results/quickstart")
            >>> slow = study.replay({"network.uplink": "5 Mbps"}, save=False)
            >>> bool((slow.runs["makespan_s"] > study.runs["makespan_s"]).all())
            True
        """
        source = self._source or _Source.of(self._folder)
        self._source = source
        return source.replayed(overrides, trust=self._trust, save=save)

    def trace(self, run: str = "", rounds: str = "0:3", output: str | Path | None = None) -> dict[str, Any]:
        """The timeline of some rounds of a run as Trace Event JSON, which Perfetto opens; written to `output`
        where that is given. `run` is a label of `runs`, or a part that only one has; `rounds` count from 0:
        "0:3", "5:", "5".

        Example:
            >>> import slsim
            >>> study = slsim.open_study("results/quickstart")
            >>> trace = study.trace("identity, seed 0", "0:3", "trace.json")
            >>> len(trace["traceEvents"]) > 100
            True
        """
        return tracing.trace(self.played, run, rounds, output)

    def report(
        self, path: str | Path | None = None, *, over: str | None = None, rates: str | None = None
    ) -> Path:
        """Write one HTML file that opens without a network: tables, curves, and a slider that times every
        curve again and shows who is fastest.

        Args:
            path: The file; left out, report.html in the study's folder.
            over: The number that the slider moves through, as a scenario calls it; left out, network.uplink.
            rates: Its values, as --set takes them; left out, those that the study sweeps, or else 20 from
                1 Mbps to 1 Gbps and the study's own.

        Returns:
            Where the file is.

        Raises:
            StudyError: If Plotly is not installed, the slider that is asked for cannot be, or a replay that
                was not saved is given no path.

        Example:
            >>> study = slsim.open_study("results/quickstart")  # doctest: +SKIP
            >>> study.report("report.html", rates="10 Mbps .. 100 Mbps / 10")  # doctest: +SKIP
        """
        if path is None and not self._is_saved:
            raise StudyError("this replay was not saved, so it has no folder: give the report a path")
        from slsim.study import reporting  # which opens studies itself

        made = reporting.material_of(self, self._folder, reporting.Asked(over, rates))
        return reporting.write(made, self.path / reporting.FILE if path is None else Path(path))


# The tables that are saved, the last where a scenario has hooks.
SAVED = (
    *("runs", "summary", "curves", "breakdown", "crossovers", "links", "frontier"),
    *("round", "measurements"),
)
SHOWN = (
    *("setting", "seeds", "reached", "held_accuracy", "held_accuracy_low", "held_accuracy_high"),
    *("time_to_target_s", "time_to_target_s_least", "time_to_target_s_most", "bytes_to_target"),
    *("speed_up", "speed_up_low", "speed_up_high", "traffic_multiplier", "pays"),
)


def open_study(path: str | Path, *, trust: bool = False) -> Study:
    """The study in a results folder, played again from its recordings; nothing is written. Code that it names
    is not run, unless `trust`, and then only what the clock needs. Raises `StudyError` when there is none,
    `OwnCodeError` when the clock needs code, `RecordingError` when all its recordings are damaged.

    Example:
        >>> import slsim
        >>> study = slsim.open_study("results/quickstart")
        >>> study.summary.loc[study.summary["setting"] == "identity", "reached"].item()
        3
    """
    return replay(StudyFolder.open(Path(path)), {}, trust=trust)


def replay(folder: StudyFolder, overrides: Mapping[str, Any], *, trust: bool = False) -> Study:
    """See `Study.replay`. Code that `overrides` name is run; code that the study names, only as by
    `open_study`."""
    with own_code("where needed" if trust else "never"):
        source = _Source.of(folder)
    return source.replayed(overrides, trust=trust)


@dataclass(frozen=True)
class _Source:
    """What replays are made of: a study's scenario and its cases, and its recordings with the times that are
    known already."""

    folder: StudyFolder
    document: Mapping[str, Any]
    cases: Sequence[Case]
    stored: Stored
    failures: Sequence[Failure]
    clocks: Clocks = field(default_factory=Clocks)

    @classmethod
    def of(cls, folder: StudyFolder) -> _Source:
        """A study as it lies in its folder."""
        cases = load(folder.scenario_file).cases
        return cls(folder, read(folder.scenario_file), cases, Stored(folder, cases), failed_before(folder))

    def replayed(self, overrides: Mapping[str, Any], *, trust: bool, save: bool = True) -> Study:
        """The study with these changes, saved below its replays; as it is, without any."""
        if "name" in overrides:
            raise ReplayError("a replay is called by what it changes, so its name cannot be set")
        overrides, trusted = with_absolute_code(overrides)
        with own_code("where needed" if trust else "never", trusted):
            if not overrides:
                return self._study(self.folder, self.cases, trust=trust, source=self)
            asked = self._asked(overrides)
            document, files = localised(asked.document())
            place = self.folder.replay(self.folder.trainings.parent, described(overrides, document))
            source = replace(self, folder=place, document=document, cases=asked.cases)
            study = self._study(place, asked.cases, trust=trust, source=source, is_saved=save)
            if save:
                place.sweep()
                place.save_scenario(document, files)
                study.save({**circumstances(), "replay_of": "../..", "set": overrides})
            return study

    @uncollected()
    def _asked(self, overrides: Mapping[str, Any]) -> Plan:
        """The plan with these changes. Raises `ReplayError` where a case is not one of the trainings."""
        changes = ", ".join(f"{key} = {value!r}" for key, value in overrides.items())
        told = f"{self.folder.path} with {changes}"
        asked = plan(override(self.document, overrides), told, self.folder.path)
        for case in asked.cases:
            if learned_text(case.scenario) not in self._learned:
                raise ReplayError(
                    f"{told}: that changes what is learned, so no recording can answer it; "
                    "change links, devices or the target, or `slsim run` the scenario with the same --set"
                )
        return asked

    @cached_property
    def _learned(self) -> set[str]:
        return {learned_text(case.scenario) for case in self.cases}

    def _study(self, folder: StudyFolder, cases: Sequence[Case], **told: Any) -> Study:
        stored, failures = self.stored, self.failures
        played = play(cases, stored.recordings, stored.of, failures=failures, clocks=self.clocks)
        if not played.runs:
            raise stored.nothing()
        return Study(folder, played, failures=failures, damaged=stored.damaged, **told)
