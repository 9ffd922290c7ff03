"""What a reader must know beside a table of answers, in a line each: the target, who missed it and why, what
multipliers and speed-ups are over, and which differences are smaller than what was measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from slsim.analysis import CONFIDENCE, ELSEWHERE, FAILED, FASTER_BY, NO_TARGET, NOT_REACHED, REACHED, in_words
from slsim.own_code import without_folder
from slsim.recording import CODEC_OF
from slsim.report.frontiers import interval, signed
from slsim.report.swept import Swept
from slsim.report.terminal import accuracy, listed
from slsim.units import DURATION

if TYPE_CHECKING:
    import pandas as pd

    from slsim.recording import Recording

BASELINE = "identity both ways"
PERCENT = f"{100 * CONFIDENCE:.0f}"  # of intervals
IF_OTHERWISE = "Pays, if devices had no fixed costs and codecs took half … if both were doubled:"
EXPLAINED = 1.01  # times the compression ratio: mini-batches of several sizes spread bytes unevenly
EQUAL = 1e-9  # accuracies that differ by less are the same
MOST_TARGETS, MOST_REASONS, MOST_RATES = 3, 8, 12  # told; summary.csv has all


def most_seeds(summary: pd.DataFrame) -> int:
    """How many seeds the settings have, the most of them."""
    return int(summary["seeds"].max())


def target(summary: pd.DataFrame) -> str:
    """What is aimed at: "Target: test accuracy of 83.1 %, at 2 of 3 evaluations in a row"."""
    there = summary[summary["target_accuracy"].notna()]
    targets = sorted(there["target_accuracy"].unique())
    if not targets:
        return "No target"
    windows = sorted(int(window) for window in there["target_window"].unique())
    held = f", at {' or '.join(map(in_words, windows))}" if windows != [1] else ""
    if "target_method" in there and (there["target_method"] == "interpolated").any():
        held += ", interpolated between evaluations"
    differs = there["target_accuracy_high"] - there["target_accuracy_low"] > EQUAL
    own = " (each seed's own, the mean)" if differs.any() else ""
    if len(targets) > MOST_TARGETS:
        return f"Targets: test accuracies from {accuracy(targets[0])} to {accuracy(targets[-1])}{own}{held}"
    return f"Target: test accuracy of {', '.join(dict.fromkeys(map(accuracy, targets)))}{own}{held}"


def pays(summary: pd.DataFrame) -> str:
    """When a codec counts as paying."""
    by = f"{100 * (FASTER_BY - 1):.0f} %"
    sooner = f"A codec pays where it reaches the target at least {by} sooner than {BASELINE}"
    if (summary["pays"] == "unclear").any():
        return f"{sooner}; ?: the {PERCENT} % interval over seeds does not tell."
    return f"{sooner}."


def of(summary: pd.DataFrame, axis: Swept | None = None) -> Iterator[str]:
    """Every note on a summary; settings are called without the number of `axis`."""
    called = summary.assign(called=summary["setting" if axis is None else axis.series])
    yield from _certainty(called, axis)
    if axis is None:
        yield from _paying(called)
    yield from _reasons(called, called["target_state"] == FAILED, "failure", "Failed: {}: {}.")
    some = (called["failed"] > 0) & (called["target_state"] != FAILED)
    yield from _reasons(called, some, "failure", "Failed with some seeds: {}: {}.")
    yield from _reasons(called, called["target_state"] == NO_TARGET, "target_reason", "No target for {}: {}.")
    missed = called["target_state"] == NOT_REACHED
    yield from _reasons(called, missed, "target_reason", "Not reached by {}: {}.")
    partly = (called["target_state"] == REACHED) & (called["reached"] < called["seeds"] - called["failed"])
    yield from _reasons(called, partly, "target_reason", "Not reached with every seed by {}: {}.")
    yield from _method(called, axis)
    yield from _diverged(called)
    if axis is None and (called["target_state"] == REACHED).any():
        yield "Multipliers count the activations up, as published ones mostly do, and all bytes both ways."
    yield from _baseline(called, "Multipliers" if axis is None else "Speed-ups, under the times,")
    yield from _grain(called, axis)
    if axis is None:
        yield from _above_format(called)
        yield from _bd_rates(called)


def _certainty(called: pd.DataFrame, axis: Swept | None) -> Iterator[str]:
    """What seeds prove: which codecs are better than every other; or that one seed proves nothing."""
    seeds = sorted(int(count) for count in called["seeds"].unique())
    if seeds[-1] == 1:
        if called["setting"].nunique() > 1:
            nor = "" if axis is None else ", nor where one stops paying"
            yield f"One seed cannot tell codecs apart{nor}: add seeds = 5 to the scenario."
        return
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    how = f"paired over {count} seeds, {PERCENT} %"
    if called["codec"].nunique() < 2:
        return
    best = {"time": called["best_time"], "bytes": called["best_bytes"]}
    found = [f"{_names(called[flags])} in {what}" for what, flags in best.items() if flags.any()]
    if found:
        better = f"significantly better than every other codec that reached the target ({how})"
        yield f"Bold: {better}: {'; '.join(found)}."
    else:
        yield f"No codec is significantly better than every other that reached the target ({how})."


def _method(called: pd.DataFrame, axis: Swept | None) -> Iterator[str]:
    """What the numbers of several seeds are."""
    seeds = sorted({int(count) for count in called["seeds"] if count > 1})
    if not seeds:
        return
    over = f"over {' to '.join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))} seeds"
    never = "not reached: by half of the seeds or more"
    if axis is not None:
        yield f"Times are medians {over}, speed-ups geometric means; {never}."
        return
    yield f"Accuracies and multipliers are means {over} with {PERCENT} % intervals by Student's t."
    yield (
        f"Times and bytes are medians with their range, of bytes up and down together; {never}; ∞: a seed "
        "that did not."
    )


def _paying(called: pd.DataFrame) -> Iterator[str]:
    """Who is significantly faster than the baseline, and who may be."""
    by = f"at least {100 * (FASTER_BY - 1):.0f} % sooner at the target than {BASELINE}"
    told = {"yes": "significantly", "no": "significantly not", "unclear": "unclear"}
    found = [
        f"{told[answer]}: {_names(called[called['pays'] == answer])}"
        for answer in told
        if (called["pays"] == answer).any()
    ]
    if found:
        yield f"{by[0].upper()}{by[1:]}, {'; '.join(found)}."


def _reasons(called: pd.DataFrame, chosen: pd.Series, reason: str, line: str) -> Iterator[str]:
    groups = list(called[chosen].groupby(reason, sort=False))
    for told, group in groups[:MOST_REASONS]:
        yield line.format(_names(group), str(told).rstrip("."))
    if len(groups) > MOST_REASONS:
        yield f"{len(groups) - MOST_REASONS} more reasons are in summary.csv."


def _names(rows: pd.DataFrame) -> str:
    return listed(list(rows["called"].unique()))


def _diverged(called: pd.DataFrame) -> Iterator[str]:
    """Of those whose reason does not say so."""
    rows = called[(called["diverged"] > 0) & (called["target_state"] != NOT_REACHED)]
    several = rows["seeds"].gt(1)
    share = ", " + rows["diverged"].astype(str) + " of " + rows["seeds"].astype(str) + " seeds"
    for of_seeds, group in rows.groupby(share.where(several, ""), sort=False):
        yield f"Diverged: {_names(group)}{of_seeds}."


def _baseline(called: pd.DataFrame, what: str) -> Iterator[str]:
    """What the multipliers or speed-ups of those that reached the target are over."""
    rows = called[called["target_state"] == REACHED]
    lacking = rows[rows["baseline"] == ""]
    names = dict(zip(called["setting"], called["called"], strict=True))
    over = {names.get(baseline, baseline) for baseline in rows["baseline"]} - {""}
    seed = " with the same seed" if (rows["seeds"] > 1).any() else ""
    if len(lacking):
        yield (
            f"{what} are over {BASELINE}, which there is not for {_names(lacking)}: add that run, with "
            '"identity" as codec.uplink and for all else that [codec] sets, and without an adapter.'
        )
    if over:
        own = ", each of its own setting" if len(over) > 1 else ""
        absent = ", which is no row of this table" if over == {ELSEWHERE} else ""
        compared = rows[["speed_up", "traffic_multiplier"]].notna().any(axis=None)
        failed = "" if compared else ", which did not reach the target"
        yield f"{what} are over {BASELINE}{seed}{own}{absent}{failed}."


def _grain(called: pd.DataFrame, axis: Swept | None) -> Iterator[str]:
    """Which codecs are, under the same conditions, less than one evaluation apart in what they needed to the
    target."""
    rows = called[called["target_state"] == REACHED]
    places: dict[tuple[str, ...], list[str]] = {}
    if axis is None:
        share = rows["evaluation_step_rounds"] / rows["rounds_to_target"]
        rows = rows.assign(evaluation_step_multiplier=share * rows["traffic_multiplier"])
        for what, cost, step in (
            ("time", "time_to_target_s", "evaluation_step_s"),
            ("bytes", "bytes_to_target", "evaluation_step_bytes"),
            ("multiplier", "traffic_multiplier", "evaluation_step_multiplier"),
        ):
            for _, alike in rows.dropna(subset=[cost]).groupby("conditions", sort=False):
                for group in _closer_than(alike, cost, step):
                    places.setdefault(group, []).append(what)
    else:
        for (value, _), alike in rows.groupby([axis.column, "conditions"]):
            for group in _closer_than(alike, "time_to_target_s", "evaluation_step_s"):
                places.setdefault(group, []).append(axis.pretty(float(str(value))))
    if not places:
        return
    steps = sorted(rows["evaluation_step_rounds"].unique())
    every = f"{steps[0]:.0f}" if len(steps) == 1 else f"{steps[0]:.0f} to {steps[-1]:.0f}"
    apart = [f"{listed(group)} {_where(where, axis)}" for group, where in places.items()]
    more = [f"{len(apart) - MOST_REASONS} more groups"] if len(apart) > MOST_REASONS else []
    yield f"Evaluated every {every} rounds; less than that apart: {'; '.join(apart[:MOST_REASONS] + more)}."


def _where(where: Sequence[str], axis: Swept | None) -> str:
    if axis is None:
        return f"in {listed(where)}"
    return f"at {listed(where)}" if len(where) <= MOST_TARGETS else f"at {len(where)} values of {axis.title}"


def _above_format(called: pd.DataFrame) -> Iterator[str]:
    """Whose multiplier is more than the bytes of its format explain."""
    explained = EXPLAINED * called["compression_ratio"].clip(lower=1)  # the baseline's own is 1
    above = called["traffic_multiplier"] > explained
    proven = above & (called["traffic_multiplier_low"] > explained) & (called["compared"] == called["seeds"])
    fewer = "more than the compression ratio explains: fewer steps were needed than by the baseline"
    if proven.any():
        yield f"The multiplier of {_names(called[proven])} is significantly {fewer}."
    for seeds, group in called[above & ~proven].groupby("seeds"):
        prove = "one seed does not prove" if seeds == 1 else f"{seeds} seeds do not prove"
        yield f"The multiplier of {_names(group)} is {fewer}, which {prove} of a codec."


def _bd_rates(called: pd.DataFrame) -> Iterator[str]:
    """How many more bytes than the baseline each setting needed for the same accuracy."""
    if "bd_rate" not in called:
        return
    rows = called[called["bd_rate"].notna() & (called["baseline"] != called["setting"])]
    found = [
        f"{row['called']} {signed(row['bd_rate'])}{interval(row['bd_rate_low'], row['bd_rate_high'])}"
        for row in rows.to_dict("records")
    ]
    if found:
        some = [*found[:MOST_RATES], f"{len(found) - MOST_RATES} more"] if len(found) > MOST_RATES else found
        yield (
            f"Bytes both ways for the same accuracy, on average over accuracies (BD-rate over {BASELINE}): "
            f"{'; '.join(some)}."
        )


def _closer_than(rows: pd.DataFrame, cost: str, step: str) -> Iterator[tuple[str, ...]]:
    """Settings of different trainings in a row whose costs differ by less than the step of one of them."""
    group: list[tuple[str, str]] = []
    reach = last = float("-inf")
    ordered = rows.sort_values(cost, kind="stable")
    names = list(rows["called"].unique())
    for called, training, value, width in zip(
        ordered["called"], ordered["training"], ordered[cost], ordered[step], strict=True
    ):
        if not (value < reach or value - width < last):
            yield from _several(group, names)
            group, reach = [], float("-inf")
        group.append((called, training))
        reach, last = max(reach, value + width), value
    yield from _several(group, names)


def _several(group: list[tuple[str, str]], names: list[str]) -> Iterator[tuple[str, ...]]:
    if len({training for _, training in group}) > 1:
        yield tuple(sorted({called for called, _ in group}, key=names.index))


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


def several_machines(recordings: Iterable[Recording]) -> list[str]:
    """A sentence where the trainings were computed by different processors or versions of torch."""
    found = Counter(_machine(recording.provenance) for recording in recordings)
    if len(found) < 2:
        return []
    counted = listed([f"{count} by {machine}" for machine, count in found.most_common()])
    return [
        f"Trainings were computed by several machines, {counted}: the same seed draws the same on each, but "
        "numbers differ in their last places, and so accuracies by chance"
    ]


def _machine(provenance: Mapping[str, Any]) -> str:
    """What computed a training, as far as it is known: "AMD EPYC with torch 2.14.1"."""
    torch = provenance.get("versions", {}).get("torch", "?")
    device = provenance.get("device", "cpu")
    if device == "cpu":
        device = provenance.get("host", {}).get("processor") or device
    return f"{device} with torch {torch}"
