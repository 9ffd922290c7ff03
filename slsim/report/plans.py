"""What a study will take, on the terminal, and as a job for Slurm."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from slsim.forecast import Bounds, CaseForecast, Forecast, TrainingForecast
from slsim.report.terminal import add_row, duration, say, times
from slsim.results import slug
from slsim.units import SIZE

MOST_LINES = 30  # of a table
LIMIT = 2.0  # times the expected wall time, after which Slurm ends a task
LEAST_LIMIT_S = 600.0
SPARE = 1.25  # times the expected memory
DEPENDS = "≈"  # before a size that depends on data


def print_plan(console: Console, forecast: Forecast) -> None:
    """Print a forecast: its trainings, its cases, what is left in all, and how the numbers came about."""
    say(console, _heading(forecast))
    console.print(_trainings(forecast.trainings[:MOST_LINES]))
    _say_more(console, len(forecast.trainings), "trainings")
    console.print(_cases(forecast.cases[:MOST_LINES]))
    _say_more(console, len(forecast.cases), "settings")
    for line in (*_explained(forecast), *forecast.notes, *_problems(forecast), _left(forecast)):
        console.print(Text(line))


def _heading(forecast: Forecast) -> str:
    there = len(forecast.trainings) - len(forecast.left)
    found = f"{there} of them {_are(there)} there already" if there else "none is there yet"
    counts = (
        f"{_count(len(forecast.trainings), 'training')} ({found}), {_count(forecast.clocks, 'clock')}, "
        f"{_count(forecast.runs, 'run')}"
    )
    return f"{forecast.name}: {counts}\nResults: {forecast.folder}"


def _trainings(trainings: Sequence[TrainingForecast]) -> Table:
    shown = Table(box=box.SIMPLE_HEAD)
    shown.add_column("", justify="right")
    shown.add_column("training", overflow="fold")
    shown.add_column("state")
    for heading in ("rounds", "wall time", "memory", "disk"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for one in trainings:
        rounds = f"{'≤ ' * one.may_stop}{one.rounds:,}" if one.rounds else "–"
        state = f"{one.done:,} done" if one.state == "begun" else one.state
        wall = duration(one.wall_s) if one.is_left else "–"
        cells = (one.label, state, rounds, wall, _size(one.memory_bytes), _size(one.disk_bytes))
        add_row(shown, str(one.number + 1), *cells)
    return shown


def _cases(cases: Sequence[CaseForecast]) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, title=Text("A mini-batch of one client"), title_justify="left")
    shown.add_column("setting", overflow="fold")
    for heading in ("of", "bytes up", "bytes down", "ratio", "round"):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("bottleneck", no_wrap=True)
    for one in cases:
        most = f"{one.bottleneck} {100 * one.share:.0f} %" if one.bottleneck else "–"
        sizes = (_each(one.up, one.steps), _each(one.down, one.steps))
        add_row(shown, one.label, str(one.training + 1), *sizes, _ratio(one), duration(one.round_s), most)
    return shown


def _each(sent: Bounds, steps: int) -> str:
    """Bytes of one of so many mini-batches."""
    return f"{DEPENDS * (not sent.is_fixed)}{sent.nominal / steps:,.0f}" if steps else "–"


def _ratio(one: CaseForecast) -> str:
    exact = math.isnan(one.ratio) or one.ratio == one.least_ratio
    return times(one.ratio) if exact else f"{DEPENDS}{times(one.ratio)}"


def _explained(forecast: Forecast) -> list[str]:
    lines = ["Bytes are whole messages, headers and labels included. A round is that of all clients."]
    depending = [one for one in forecast.cases if one.ratio > one.least_ratio]
    if depending:
        least = min(one.least_ratio for one in depending)
        lines.append(f"{DEPENDS}: the size depends on the data; the ratio is at least {times(least)}.")
    if any(one.may_stop and one.is_left for one in forecast.trainings):
        lines.append("≤: training.stop may end it earlier; all rounds are counted here.")
    for one in forecast.left:
        if one.needs is not None and forecast.trainings[one.needs].is_left:
            lines.append("Trainings that stop at the uncompressed run's target wait for that.")
            break
    return lines


def _problems(forecast: Forecast) -> list[str]:
    """What is missing or not known, each once."""
    problems = [one.problem for one in forecast.trainings] + [one.problem for one in forecast.cases]
    return [f"Not known or not there: {problem}" for problem in dict.fromkeys(filter(None, problems))]


def _left(forecast: Forecast) -> str:
    left = forecast.left
    if not left:
        return "Nothing is left to train: slsim run plays the clocks and writes the tables."
    text = f"Left: {_count(len(left), 'training')}"
    if not math.isnan(forecast.wall_s):
        text += f", about {duration(forecast.wall_s)}"
    text += f" with {forecast.workers} at a time"
    memory = sum(sorted((one.memory_bytes for one in left), reverse=True)[: forecast.workers])
    disk = sum(one.disk_bytes for one in left)
    disk += sum(sorted((one.checkpoint_bytes for one in left), reverse=True)[: forecast.workers])
    known = [f"{_size(memory)} of memory"] if not math.isnan(memory) else []
    known += [f"{_size(disk)} of disk"] if not math.isnan(disk) else []
    return text + (f", {' and '.join(known)}" if known else "")


def _size(value: float) -> str:
    return "–" if math.isnan(value) else SIZE.pretty(value)


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'s' * (number != 1)}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _say_more(console: Console, count: int, what: str) -> None:
    if count > MOST_LINES:
        say(console, f"{count - MOST_LINES:,} more {what}")


# Slurm.


def slurm_script(forecast: Forecast, command: Sequence[str], folder: Path, gpu: bool = False) -> str:
    """Return an array job for `sbatch` that does the trainings that are left, one a task: `command` is the
    `slsim run …` of the study, which is run in `folder` with `--only` and the training's number. With `gpu` a
    task has one. The script can be run by a shell too."""
    left = forecast.left
    numbers = [one.number + 1 for one in left]
    memory_bytes = SPARE * max((one.memory_bytes for one in left if one.memory_bytes > 0), default=1e9)
    wall_s = max((one.wall_s for one in left), default=math.nan)
    options = {
        "job-name": f"slsim-{slug(forecast.name)}",
        "array": ranges(numbers),
        "cpus-per-task": max(one.threads for one in left),
        "mem": f"{math.ceil(memory_bytes / 2**20)}M",
    }
    if not any(math.isnan(one.wall_s) for one in left):
        options["time"] = _clock_time(max(LEAST_LIMIT_S, LIMIT * wall_s))
    if gpu:
        options["gres"] = "gpu:1"
    run = shlex.join(command)
    listed = [f"#   {one.number + 1}: {one.label}" for one in left]
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"#SBATCH --{name}={value}" for name, value in options.items()),
            "#",
            f"# The trainings of {forecast.name} that are left, one a task:",
            *listed,
            "# Submit it from where slsim is installed (sbatch FILE). A task that is ended can be submitted",
            "# again: it is resumed from its checkpoint. Without Slurm, one after another:",
            f"#   for task in {' '.join(map(str, numbers))}; do SLURM_ARRAY_TASK_ID=$task bash FILE; done",
            "# When all are done, this makes tables and figures:",
            f"#   {run}",
            "",
            "set -euo pipefail",
            f"cd {shlex.quote(str(folder))}",
            f'exec {run} --only "$SLURM_ARRAY_TASK_ID"',
            "",
        ]
    )


def ranges(numbers: Sequence[int]) -> str:
    """Return increasing numbers as Slurm writes them: "1,3-5"."""
    runs = [
        [number for _, number in group]
        for _, group in groupby(enumerate(numbers), key=lambda item: item[1] - item[0])
    ]
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _clock_time(seconds: float) -> str:
    """Whole minutes, as Slurm writes them: "1-02:30:00"."""
    minutes = math.ceil(seconds / 60)
    days, rest = divmod(minutes, 24 * 60)
    return f"{f'{days}-' * bool(days)}{rest // 60:02}:{rest % 60:02}:00"
