"""Do traffic multipliers follow from compression ratios and steps?"""

from __future__ import annotations

import math
from collections.abc import Iterator

from slsim import analysis
from slsim.analysis import Run
from slsim.checks.lines import RELATIVE_TOLERANCE
from slsim.checks.messages import Messages, formats_of
from slsim.recording import ACTIVATIONS
from slsim.verdict import Check

MULTIPLIER_TOLERANCE = 0.01  # batches of different sizes spread the last steps' bytes unevenly
MULTIPLIERS = "traffic multipliers"  # the group of these checks


def check_multiplier(run: Run) -> Iterator[Check]:
    """A traffic multiplier against compression ratio × baseline's steps ÷ this run's steps."""
    if run.baseline is None or run.baseline_sent is None:
        return
    if not run.recording.steps.sent(ACTIVATIONS).any():
        return  # no activations, no multiplier
    subject = f"traffic multiplier of {run.label}"
    measured, both = analysis.traffic_multiplier(run), analysis.outcomes_of_both(run)
    if both is None:
        own, baseline = run.outcome, run.target.outcome(run.baseline)
        why = f"{own.state}, {own.reason}" if own.reason else f"the baseline: {baseline.reason}"
        yield Check(subject, math.isnan(measured), f"none: {why}", group=MULTIPLIERS)
        return
    baseline_steps, steps = (outcome.rounds for outcome in both)
    ratio = analysis.compression_ratio(run.sent) / analysis.compression_ratio(run.baseline_sent)
    expected = ratio * baseline_steps / steps
    low, high = (expected * bound for bound in _bounds(run))
    agrees = low * (1 - MULTIPLIER_TOLERANCE) <= measured <= high * (1 + MULTIPLIER_TOLERANCE)
    steps_ratio = f"{baseline_steps:g} / {steps:g} steps"
    arithmetic = f"measured {measured:.3f}; ratio {ratio:.3f} × {steps_ratio} = {expected:.3f}"
    if low < high:
        arithmetic += f", by the messages' sizes {low:.3f} to {high:.3f}"
    yield Check(subject, agrees, arithmetic, _above_format(run, measured), group=MULTIPLIERS)


def _bounds(run: Run) -> tuple[float, float]:
    """Between which factors of the whole training's ratio that of some of its messages lies: 1 and 1, unless
    messages of one shape differ in size, so that the ratio is another by the time that the target is
    reached."""
    messages = Messages.of(run.recording).of_kind(ACTIVATIONS)
    sizes: dict[tuple[int, ...], set[int]] = {}
    for one in messages:
        sizes.setdefault(one.shape, set()).add(one.num_bytes)
    if all(len(of_shape) == 1 for of_shape in sizes.values()):
        return 1.0, 1.0
    ratios = [one.raw_bytes / one.num_bytes for one in messages]
    whole = analysis.compression_ratio(run.sent)
    return min(ratios) / whole, max(ratios) / whole


def _above_format(run: Run, measured: float) -> str:
    first = min(Messages.of(run.recording).of_kind(ACTIVATIONS), key=lambda one: (one.round, one.client))
    recorded = {one.shape: one for one in run.recording.formats if one.kind == ACTIVATIONS}
    shape = first.shape
    known = formats_of(recorded, ACTIVATIONS, run.scenario.codec.uplink.table(), [first]).get(shape)
    if known is None or known.nominal == known.header:
        return ""
    limit = first.raw_bytes / (known.nominal - known.header)
    if measured <= limit * (1 + RELATIVE_TOLERANCE):
        return ""
    return (
        f"above the format's own ratio, {limit:.2f}: it needed fewer steps than the baseline here, "
        "and one seed does not prove that"
    )
