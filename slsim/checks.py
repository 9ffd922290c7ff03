"""Sanity checks of a study: do bytes follow from the formats, multipliers from ratios and steps, and
seconds from bytes and rates? Each check states its arithmetic, so that a reader can do it again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from slsim import analysis, codecs
from slsim.analysis import Run
from slsim.codecs import Codec
from slsim.network import LinkUsage
from slsim.own_code import is_own_code
from slsim.recording import (
    ACTIVATIONS,
    GRADIENTS,
    LABELS,
    STATISTICS,
    WEIGHTS,
    Direction,
    Format,
    Message,
    Recording,
    Turn,
)

RELATIVE_TOLERANCE = 1e-9  # of times and bytes that must be equal
MULTIPLIER_TOLERANCE = 0.01  # batches of different sizes spread the last steps' bytes unevenly
ROUNDING = 1e-5  # of gradients, whose arithmetic is float32
SHOWN_ROWS = 5
FORMATS = {ACTIVATIONS: "uplink", GRADIENTS: "downlink", WEIGHTS: "weights", STATISTICS: "no codec"}
DIRECTIONS: tuple[Direction, ...] = ("up", "down")


@dataclass(frozen=True)
class Check:
    """One check of one training or run: what, whether it holds, its arithmetic, and what to note."""

    subject: str
    passed: bool
    arithmetic: str
    note: str = ""


def check_runs(runs: Sequence[Run], saved: pd.DataFrame) -> list[Check]:
    """All checks of a study's runs, and of its summary as it is saved."""
    trainings = {run.training: run.recording for run in runs}
    return [
        *(check for name, recording in trainings.items() for check in check_sizes(name, recording)),
        *(check for name, recording in trainings.items() for check in check_bounds(name, recording)),
        *(check for run in runs for check in check_multiplier(run)),
        *(check for run in runs for check in check_time(run)),
        *check_summary(analysis.summarise(runs), saved),
    ]


def check_sizes(name: str, recording: Recording) -> Iterator[Check]:
    """Every message of a training against its format's formula, to the byte."""
    chosen = {**recording.learning["codec"], "no codec": {"name": "identity"}}
    for kind, which in FORMATS.items():
        if not any(_messages(recording, kind)):
            continue
        formats = _formats(recording, kind, chosen[which])
        wrong = [
            f"round {number}, client {turn.client}, {kind}: {_found(message)}, the format says {expected}"
            for number, turn, message in _messages(recording, kind)
            if not _agrees(message, expected := _expected(formats, recording, turn, message))
        ]
        yield Check(
            f"bytes of {name}, {kind}", not wrong, _sizes_arithmetic(formats, recording, kind), _first(wrong)
        )
    if not any(_messages(recording, LABELS)):
        return
    width = {message.num_bytes / turn.samples for _, turn, message in _messages(recording, LABELS)}
    labels = " or ".join(f"{value:g}" for value in sorted(width))
    one_width = len(width) <= 1 and all(value in (1, 2, 4, 8) for value in width)
    yield Check(f"bytes of {name}, {LABELS}", one_width, f"{labels} bytes a sample, in every message")


def check_bounds(name: str, recording: Recording) -> Iterator[Check]:
    """What probes measured: the gradient errors against Lemma 2's bound, and whether biases stand out."""
    for part in ("client", "server"):
        found = [one for one in recording.probes if one.part == part]
        errors, bounds, norms, low = (
            [one.value for one in found if one.quantity == quantity]
            for quantity in ("error", "bound", "norm", "bias_low")
        )
        if not errors:
            continue
        triples = zip(errors, bounds, norms, strict=True)
        holds = all(error <= bound + ROUNDING * (bound + norm) for error, bound, norm in triples)
        ratios = [bound / error for error, bound in zip(errors, bounds, strict=True) if error]
        least = f"bound ÷ error is {min(ratios):.3g} or more" if ratios else "no errors"
        drawn = f"bias above 0 with 95 % confidence in {sum(end > 0 for end in low)} of {len(low)}"
        yield Check(
            f"gradient errors of {name}, {part}",
            holds,
            f"{len(errors)} measurements, {least}",
            drawn if low else "",
        )


Formats = Mapping[tuple[int, ...], Format]


def format_of(codec: Codec, kind: str, shape: tuple[int, ...]) -> Format:
    """What a codec says of the sizes of its payloads of `shape`."""
    nominal, (least, most) = codec.num_bytes(shape), codec.size_bounds(shape)
    return Format(
        kind=kind,
        shape=shape,
        nominal=nominal,
        header=nominal - codec.body_bytes(shape),
        least=least,
        most=most,
        lossless=codec.lossless is not None,
        formula=codec.size_formula(shape),
    )


def _formats(recording: Recording, kind: str, table: Mapping[str, Any]) -> Formats:
    """By shape, what the codec of a kind of message says of its sizes: asked anew, or, of code that is not
    slsim's own, as it said when it was recorded."""
    recorded = {one.shape: one for one in recording.formats if one.kind == kind}
    if is_own_code(table["name"]) and recorded:
        return recorded
    codec = codecs.create(table["name"], **{key: value for key, value in table.items() if key != "name"})
    messages = _messages(recording, kind)
    shapes = {message_shape(recording, turn, message) for _, turn, message in messages}
    return {shape: format_of(codec, kind, shape) for shape in shapes}


def _messages(recording: Recording, kind: str) -> Iterator[tuple[int, Turn, Message]]:
    for number, record in enumerate(recording.rounds, start=1):
        for turn in record.turns:
            yield from ((number, turn, message) for message in turn.messages if message.kind == kind)


def _found(message: Message) -> tuple[int, int]:
    return message.num_bytes, message.raw_bytes


Expected = tuple[int | tuple[int, int], int]


def _expected(formats: Formats, recording: Recording, turn: Turn, message: Message) -> Expected | None:
    """Encoded and raw bytes that the format's formula gives for a message, what it says of its signs
    included; a range where a lossless stage decides; None where the format is not known."""
    shape = message_shape(recording, turn, message)
    known = formats.get(shape)
    if known is None:
        return None
    if known.lossless:
        return (known.least, known.most), 4 * math.prod(shape)
    return min(known.least + message.extra_bytes, known.most), 4 * math.prod(shape)


def message_shape(recording: Recording, turn: Turn, message: Message) -> tuple[int, ...]:
    """Of the tensor in a message: a mini-batch's activations or their gradients, or a state as a vector."""
    if message.kind in (WEIGHTS, STATISTICS):
        return (message.raw_bytes // 4,)
    return turn.samples, *recording.activation_shape


def _agrees(message: Message, expected: Expected | None) -> bool:
    if expected is None:
        return False
    encoded, raw = expected
    low, high = (encoded, encoded) if isinstance(encoded, int) else encoded
    return low <= message.num_bytes <= high and message.raw_bytes == raw


def _sizes_arithmetic(formats: Formats, recording: Recording, kind: str) -> str:
    """The formula with its numbers, for the commonest batch."""
    messages = list(_messages(recording, kind))
    shapes = Counter(message_shape(recording, turn, message) for _, turn, message in messages)
    shape = next((shape for shape, _ in shapes.most_common() if shape in formats), None)
    if shape is None:
        return f"{shapes.total():,} messages, of whose shapes no format is known"
    elements, known = math.prod(shape), formats[shape]
    measured = sum(message.num_bytes for _, _, message in messages)
    raw = sum(message.raw_bytes for _, _, message in messages)
    return (
        f"{shapes.total():,} messages; d = {elements:,}: "
        f"{known.formula} = {known.nominal - known.header:,} bytes + {known.header} of header; "
        f"ratio {4 * elements:,} / {known.nominal:,} = {4 * elements / known.nominal:.3f}, "
        f"measured {raw:,} / {measured:,} = {raw / measured:.3f}"
    )


def _first(lines: Sequence[str]) -> str:
    shown = "\n".join(lines[:SHOWN_ROWS])
    return shown + (f"\n… and {len(lines) - SHOWN_ROWS} more" if len(lines) > SHOWN_ROWS else "")


def check_multiplier(run: Run) -> Iterator[Check]:
    """A traffic multiplier against compression ratio × baseline's steps ÷ this run's steps."""
    if run.baseline is None or run.baseline_sent is None:
        return
    if next(_messages(run.recording, ACTIVATIONS), None) is None:
        return  # no activations, no multiplier
    subject = f"traffic multiplier of {run.label}"
    measured, rounds = analysis.traffic_multiplier(run), analysis.rounds_of_both(run)
    if rounds is None:
        own, baseline = run.outcome, run.target.outcome(run.baseline)
        why = f"{own.state}, {own.reason}" if own.reason else f"the baseline: {baseline.reason}"
        yield Check(subject, math.isnan(measured), f"none: {why}")
        return
    baseline_steps, steps = rounds
    ratio = analysis.compression_ratio(run.sent) / analysis.compression_ratio(run.baseline_sent)
    expected = ratio * baseline_steps / steps
    agrees = math.isclose(measured, expected, rel_tol=MULTIPLIER_TOLERANCE)
    steps_ratio = f"{baseline_steps} / {steps} steps"
    arithmetic = f"measured {measured:.3f}; ratio {ratio:.3f} × {steps_ratio} = {expected:.3f}"
    yield Check(subject, agrees, arithmetic, _above_format(run, measured))


def _above_format(run: Run, measured: float) -> str:
    turn, message = next((turn, one) for _, turn, one in _messages(run.recording, ACTIVATIONS))
    shape = message_shape(run.recording, turn, message)
    known = _formats(run.recording, ACTIVATIONS, run.scenario.codec.uplink.table()).get(shape)
    if known is None or known.nominal == known.header:
        return ""
    limit = 4 * math.prod(shape) / (known.nominal - known.header)
    if measured <= limit * (1 + RELATIVE_TOLERANCE):
        return ""
    return (
        f"above the format's own ratio, {limit:.2f}: it needed fewer steps than the baseline here, "
        "and one seed does not prove that"
    )


def check_time(run: Run) -> Iterator[Check]:
    """Simulated time against bytes and rates: what the access links carried, how long they were busy, and
    a lower bound of the makespan."""
    for direction in DIRECTIONS:
        yield _check_carried(run, direction)
    for link, usage, best_bps, burst_bytes in _slowest_links(run):
        bound_s = 8 * (usage.num_bytes - burst_bytes * len(run.recording.rounds)) / best_bps
        yield Check(
            f"busy time of {link}, {run.label}",
            usage.busy_s >= bound_s * (1 - RELATIVE_TOLERANCE),
            f"busy {usage.busy_s:.6f} s ≥ {bound_s:.6f} s = 8 × {usage.num_bytes:,.0f} bytes / "
            f"{best_bps:,.0f} bit/s" + (f", less {burst_bytes:,.0f} bytes a round" if burst_bytes else ""),
        )
    bound_s = sum(_least_round_s(run))
    yield Check(
        f"makespan of {run.label}",
        run.timeline.makespan_s >= bound_s * (1 - RELATIVE_TOLERANCE),
        f"{run.timeline.makespan_s:.6f} s ≥ {bound_s:.6f} s, transfers and latencies that nothing can hide",
    )


def _check_carried(run: Run, direction: Direction) -> Check:
    """The bytes on the wire against the messages' own, in segments with their headers."""
    framing = run.scenario.network.framing
    messages = [turn.num_bytes(direction) for record in run.recording.rounds for turn in record.turns]
    sent, segments = sum(messages), sum(-(-message // framing.segment) for message in messages)
    due = sent + framing.header * segments
    links = [usage for name, usage in run.timeline.links.items() if name.startswith(f"{direction}link")]
    carried = sum(usage.num_bytes for usage in links)
    return Check(
        f"bytes on the {direction}links of {run.label}",
        math.isclose(carried, due, rel_tol=RELATIVE_TOLERANCE),
        f"{sent:,} bytes + {segments:,} segments × {framing.header} bytes of header = {due:,}; "
        f"carried {carried:,.0f} in {sum(usage.busy_s for usage in links):.6f} s",
    )


def _slowest_links(run: Run) -> Iterator[tuple[str, LinkUsage, float, float]]:
    """Of uplinks and of downlinks, the one that was busy longest: its name, what it did, the best rate that
    it ever had (bit/s), and what it let pass at once (bytes)."""
    table = run.scenario.network
    for direction in DIRECTIONS:
        own = {name: use for name, use in run.timeline.links.items() if name.startswith(f"{direction}link")}
        if own:
            busiest = max(own, key=lambda name: own[name].busy_s)
            yield busiest, own[busiest], _best_rate(run, f"{direction}link"), table.burst


def _best_rate(run: Run, name: str) -> float:
    """The best rate that any access link of that direction has at any time, in bit/s."""
    table = run.scenario.network
    spread = table.jitter.spread if table.jitter else 0.0
    return max(one.best_bps for one in table.access(name)) * (1 + spread)


def _least_round_s(run: Run) -> Iterator[float]:
    """Of each round: the longest that one turn's own transfers and latencies must take, in seconds."""
    table = run.scenario.network
    latency_s = {
        direction: min(table.latency_s(one) for one in table.access(f"{direction}link"))
        for direction in DIRECTIONS
    }
    each_s = {direction: 8 / _best_rate(run, f"{direction}link") for direction in DIRECTIONS}
    for record in run.recording.rounds:
        yield max(
            (
                sum(
                    latency_s[direction] + max(0.0, sent - table.burst) * each_s[direction]
                    for direction in DIRECTIONS
                    if (sent := turn.num_bytes(direction))
                )
                for turn in record.turns
            ),
            default=0.0,
        )


def check_summary(computed: pd.DataFrame, saved: pd.DataFrame) -> Iterator[Check]:
    """The saved summary against one computed from the recordings."""
    for position, run in enumerate(computed["run"]):
        rows = saved[saved["run"] == run]
        if len(rows) != 1:
            yield Check(f"summary.csv, {run}", False, f"{len(rows)} rows of that run, expected 1")
            continue
        wrong = [
            f"{column}: {_saved(rows, column)} saved, {expected} from the recording"
            for column, expected in computed.iloc[position].to_dict().items()
            if not _equal(_saved(rows, column), expected)
        ]
        yield Check(
            f"summary.csv, {run}",
            not wrong,
            f"{len(computed.columns)} columns compared with the recording",
            _first(wrong),
        )


def _saved(rows: pd.DataFrame, column: Hashable) -> Any:
    return rows[column].iloc[0] if column in rows else "nothing"


def _equal(saved: Any, computed: Any) -> bool:
    """Whether a value read from a CSV file is what was written, as a number where both are, else as text."""
    try:
        numbers = float(saved), float(computed)
    except ValueError:
        return str(saved) == str(computed)
    return math.isclose(*numbers, rel_tol=RELATIVE_TOLERANCE) or all(map(math.isnan, numbers))
