"""What a reader must know beside a table of answers, in a line each: the target, who missed it and why, what
multipliers and speed-ups are over, and which differences are smaller than what was measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from slsim.analysis import NO_TARGET, NOT_REACHED, REACHED, Link, in_words
from slsim.own_code import without_folder
from slsim.recording import CODEC_OF
from slsim.report.terminal import accuracy, listed
from slsim.units import DURATION, RATE

if TYPE_CHECKING:
    import pandas as pd

    from slsim.recording import Recording

BASELINE = "identity both ways"
FASTER_BY = 1.05  # below that, a codec counts as not paying
PAYS = (
    f"A codec pays where it reaches the target at least {100 * (FASTER_BY - 1):.0f} % sooner than {BASELINE}."
)
IF_OTHERWISE = "Stops paying, if devices had no fixed costs and codecs took half … if both were doubled:"
EXPLAINED = 1.01  # times the compression ratio: mini-batches of several sizes spread bytes unevenly
MOST_TARGETS, MOST_REASONS = 3, 8  # told; summary.csv has all


def target(summary: pd.DataFrame) -> str:
    """What is aimed at: "Target: test accuracy of 83.1 %, at 2 of 3 evaluations in a row"."""
    targets = sorted(summary["target_accuracy"].dropna().unique())
    if not targets:
        return "No target"
    windows = sorted(summary["target_window"].unique())
    held = f", at {' or '.join(map(in_words, windows))}" if windows != [1] else ""
    if len(targets) > MOST_TARGETS:
        return f"Targets: test accuracies from {accuracy(targets[0])} to {accuracy(targets[-1])}{held}"
    return f"Target: test accuracy of {', '.join(map(accuracy, targets))}{held}"


def of(summary: pd.DataFrame, link: Link | None = None) -> Iterator[str]:
    """Every note on a summary; runs are called without the rate of `link`."""
    called = summary.assign(called=summary["run" if link is None else f"{link}_series"])
    yield from _reasons(called, NO_TARGET, "No target for {}: {}.")
    yield from _reasons(called, NOT_REACHED, "Not reached by {}: {}.")
    yield from _diverged(called)
    yield from _baseline(called, "Multipliers" if link is None else "Speed-ups, under the times,")
    yield from _grain(called, link)
    if link is None:
        yield from _above_format(called)


def _reasons(called: pd.DataFrame, state: str, line: str) -> Iterator[str]:
    rows = called[called["target_state"] == state]
    groups = list(rows.groupby("target_reason", sort=False))
    for reason, group in groups[:MOST_REASONS]:
        yield line.format(_names(group), reason)
    if len(groups) > MOST_REASONS:
        yield f"{len(groups) - MOST_REASONS} more reasons are in summary.csv."


def _names(rows: pd.DataFrame) -> str:
    return listed(list(rows["called"].unique()))


def _diverged(called: pd.DataFrame) -> Iterator[str]:
    """Of those whose reason does not say so."""
    rows = called[(called["status"] == "diverged") & (called["target_state"] != NOT_REACHED)]
    for rounds, group in rows.groupby("rounds"):
        yield f"Diverged in round {int(str(rounds)) + 1}: {_names(group)}."


def _baseline(called: pd.DataFrame, what: str) -> Iterator[str]:
    """What the multipliers or speed-ups of those that reached the target are over."""
    rows = called[called["target_state"] == REACHED]
    lacking = rows[rows["baseline"] == ""]
    over = set(rows["baseline"]) - {""}
    if len(lacking):
        yield (
            f"{what} are over {BASELINE}, which there is not for {_names(lacking)}: add that run, with "
            '"identity" as codec.uplink and for all else that [codec] sets.'
        )
    if over:
        own = ", each run's of its own setting" if len(over) > 1 else ""
        absent = "" if over & set(called["training"]) else ", which is no run of this table"
        compared = rows[["speed_up", "traffic_multiplier"]].notna().any(axis=None)
        failed = "" if compared else ", which did not reach the target"
        yield f"{what} are over {BASELINE}{own}{absent}{failed}."


def _grain(called: pd.DataFrame, link: Link | None) -> Iterator[str]:
    """Which runs are less than one evaluation apart in what they needed to the target."""
    rows = called[called["target_state"] == REACHED]
    places: dict[tuple[str, ...], list[str]] = {}
    if link is None:
        share = rows["evaluation_step_rounds"] / rows["rounds_to_target"]
        rows = rows.assign(evaluation_step_multiplier=share * rows["traffic_multiplier"])
        for what, cost, step in (
            ("time", "time_to_target_s", "evaluation_step_s"),
            ("bytes", "bytes_to_target", "evaluation_step_bytes"),
            ("multiplier", "traffic_multiplier", "evaluation_step_multiplier"),
        ):
            for group in _closer_than(rows.dropna(subset=[cost]), cost, step):
                places.setdefault(group, []).append(what)
    else:
        for rate, at_rate in rows.groupby(f"{link}_bps"):
            for group in _closer_than(at_rate, "time_to_target_s", "evaluation_step_s"):
                places.setdefault(group, []).append(RATE.pretty(float(str(rate))))
    if not places:
        return
    steps = sorted(rows["evaluation_step_rounds"].unique())
    every = f"{steps[0]:.0f}" if len(steps) == 1 else f"{steps[0]:.0f} to {steps[-1]:.0f}"
    preposition = "in" if link is None else "at"
    apart = [f"{listed(group)} {preposition} {listed(where)}" for group, where in places.items()]
    more = [f"{len(apart) - MOST_REASONS} more groups"] if len(apart) > MOST_REASONS else []
    yield f"Evaluated every {every} rounds; less than that apart: {'; '.join(apart[:MOST_REASONS] + more)}."


def _above_format(called: pd.DataFrame) -> Iterator[str]:
    """Whose multiplier is more than the bytes of its format explain."""
    rows = called[called["traffic_multiplier"] > EXPLAINED * called["compression_ratio"]]
    if len(rows):
        yield (
            f"The multiplier of {_names(rows)} is more than the compression ratio explains: fewer steps were "
            "needed than by the baseline, which one seed does not prove of a codec."
        )


def _closer_than(rows: pd.DataFrame, cost: str, step: str) -> Iterator[tuple[str, ...]]:
    """Runs of different trainings in a row whose costs differ by less than the step of one of them."""
    group: list[tuple[str, str]] = []
    reach = last = float("-inf")
    ordered = rows.sort_values(cost, kind="stable")
    for called, training, value, width in zip(
        ordered["called"], ordered["training"], ordered[cost], ordered[step], strict=True
    ):
        if not (value < reach or value - width < last):
            yield from _several(group)
            group, reach = [], float("-inf")
        group.append((called, training))
        reach, last = max(reach, value + width), value
    yield from _several(group)


def _several(group: list[tuple[str, str]]) -> Iterator[tuple[str, ...]]:
    if len({training for _, training in group}) > 1:
        yield tuple(sorted({called for called, _ in group}, key=[called for called, _ in group].index))


def measured_codecs(recording: Recording) -> list[str]:
    """A sentence for each codec whose cost was measured on the machine that trained."""
    tables = recording.learning.get("codec", {})
    lines = []
    for one in recording.measured_codecs:
        if CODEC_OF[one.kind] in tables:
            name = without_folder(tables[CODEC_OF[one.kind]]["name"])
            encode, decode = map(DURATION.pretty, (one.encode_s, one.decode_s))
            lines.append(
                f"{name} does not say what it costs: measured on the machine that trained, as {encode} to "
                f"encode and {decode} to decode an element on the core of reference (a core there is "
                f"{one.core:.2f} times as fast)"
            )
    return lines
