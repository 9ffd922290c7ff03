"""Sanity checks of a study: do bytes follow from the formats, multipliers from ratios and steps, and
seconds from bytes and rates? Each check states its arithmetic, so that a reader can do it again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slsim import analysis, codecs
from slsim.analysis import Run
from slsim.codecs import Codec
from slsim.network import LinkUsage
from slsim.own_code import is_own_code
from slsim.recording import ACTIVATIONS, CODEC_OF, LABELS, STATISTICS, Format, Recording, parse_shape
from slsim.registry import registry_of
from slsim.verdict import Check

RELATIVE_TOLERANCE = 1e-9  # of times and bytes that must be equal
MULTIPLIER_TOLERANCE = 0.01  # batches of different sizes spread the last steps' bytes unevenly
ROUNDING = 1e-5  # of gradients, whose arithmetic is float32
SHOWN_ROWS = 5
LINKS = ("uplink", "downlink")
SIZES = ("num_bytes", "raw_bytes", "extra_bytes")


# The groups of checks, as they are told.
SENT, ERRORS, MULTIPLIERS = "bytes of messages", "gradient errors", "traffic multipliers"
CARRIED, BUSY, MAKESPANS, TABLES = "bytes on links", "busy times of links", "makespans", "tables"


Tables = Mapping[str, pd.DataFrame]


def check_runs(runs: Sequence[Run], computed: Tables, saved: Tables) -> list[Check]:
    """All checks of a study's runs, and of its tables "runs" and "summary" as they are saved,
    those of these that could be read."""
    trainings = {run.training: run.recording for run in runs}
    return [
        *(check for name, recording in trainings.items() for check in check_sizes(name, recording)),
        *(check for name, recording in trainings.items() for check in check_bounds(name, recording)),
        *(check for run in runs for check in check_multiplier(run)),
        *(check for run in runs for check in check_time(run)),
        *(
            check
            for name, column in KEYS.items()
            if name in saved
            for check in check_summary(name, column, computed[name], saved[name])
        ),
    ]


def check_sizes(name: str, recording: Recording) -> Iterator[Check]:
    """Every message of a training against its format's formula, to the byte."""
    tables = {**recording.learning["codec"], "no codec": {"name": "identity"}}
    messages = _Messages.of(recording)
    for kind in messages.kinds:
        which = CODEC_OF.get(kind, "no codec" if kind == STATISTICS else "")
        recorded = {one.shape: one for one in recording.formats if one.kind == kind}
        if kind == LABELS or not (which or recorded):
            continue
        own = messages.of_kind(kind)
        formats = _formats(recorded, kind, tables.get(which, {"name": "identity"}), own)
        wrong = [
            f"round {one.round}, client {one.client}, {kind}: {one.num_bytes, one.raw_bytes}, "
            f"the format says {expected}"
            for one in own
            if not _agrees(one, expected := _expected(formats, one))
        ]
        yield Check(
            f"bytes of {name}, {kind}", not wrong, _sizes_arithmetic(formats, own), _first(wrong), group=SENT
        )
    if labels := messages.of_kind(LABELS):
        width = {one.num_bytes / math.prod(one.shape) for one in labels}
        shown = " or ".join(f"{value:g}" for value in sorted(width))
        one_width = len(width) <= 1 and all(value in (1, 2, 4, 8) for value in width)
        arithmetic = f"{shown} bytes a sample, in every message"
        yield Check(f"bytes of {name}, {LABELS}", one_width, arithmetic, group=SENT)


def check_bounds(name: str, recording: Recording) -> Iterator[Check]:
    """What the hook "theory" measured: gradient errors against Lemma 2's bound, and biases that stand out."""
    for part in ("client", "server"):
        found = [one for one in recording.measurements if one.part == part]
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
            group=ERRORS,
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


@dataclass(frozen=True)
class _Message:
    """Messages of a training that are alike: how many, one of them, and where that is."""

    count: int
    round: int
    client: int
    kind: str
    shape: tuple[int, ...]
    num_bytes: int
    raw_bytes: int
    extra_bytes: int


@dataclass(frozen=True)
class _Messages:
    """The messages of a training that differ."""

    messages: tuple[_Message, ...]

    @classmethod
    def of(cls, recording: Recording) -> _Messages:
        steps = recording.steps
        where = np.flatnonzero(steps.are_messages)
        rows, round_of = steps.rows[where], steps.round_of[where]
        columns = pd.DataFrame({name: rows[name] for name in ("kind", "shape", *SIZES)})
        kind_of = columns.groupby(list(columns), sort=False).ngroup().to_numpy()
        first = np.unique(kind_of, return_index=True)[1]
        distinct = columns.iloc[first].to_numpy().tolist()
        times = np.bincount(recording.rounds, minlength=len(steps))[round_of]
        counts = np.bincount(kind_of, weights=times)
        rounds = recording.firsts[round_of[first]]
        kinds, shapes = (steps.words.texts[column] for column in ("kind", "shape"))
        clients = steps.clients[where][first]
        return cls(
            tuple(
                _Message(int(count), at, client, kinds[kind], parse_shape(shapes[shape] or "0"), *sizes)
                for (kind, shape, *sizes), count, at, client in zip(
                    distinct, counts, rounds.tolist(), clients.tolist(), strict=True
                )
            )
        )

    @property
    def kinds(self) -> list[str]:
        return list(dict.fromkeys(one.kind for one in self.messages))

    def of_kind(self, kind: str) -> list[_Message]:
        return [one for one in self.messages if one.kind == kind]


def _formats(recorded: Formats, kind: str, table: Mapping[str, Any], messages: Sequence[_Message]) -> Formats:
    """By shape, what the codec of a kind of message says of its sizes: asked anew, or, of code that is not
    slsim's own, as it said when it was recorded."""
    if recorded and not _is_ours(table["name"]):
        return recorded
    codec = codecs.create(table["name"], **{key: value for key, value in table.items() if key != "name"})
    return {one.shape: format_of(codec, kind, one.shape) for one in messages}


def _is_ours(codec: str) -> bool:
    """Whether a codec can be asked: one in a file is not run, and one of another installation not there."""
    return not is_own_code(codec) and registry_of("codec").knows(codec)


Expected = tuple[int | tuple[int, int], int]


def _expected(formats: Formats, message: _Message) -> Expected | None:
    """Encoded and raw bytes that the format's formula gives for a message, what it says of its signs
    included; a range where a lossless stage decides; None where the format is not known."""
    known = formats.get(message.shape)
    if known is None:
        return None
    raw = 4 * math.prod(message.shape)
    if known.lossless:
        return (known.least, known.most), raw
    return min(known.least + message.extra_bytes, known.most), raw


def _agrees(message: _Message, expected: Expected | None) -> bool:
    if expected is None:
        return False
    encoded, raw = expected
    low, high = (encoded, encoded) if isinstance(encoded, int) else encoded
    return low <= message.num_bytes <= high and message.raw_bytes == raw


def _sizes_arithmetic(formats: Formats, messages: Sequence[_Message]) -> str:
    """The formula with its numbers, for the commonest batch."""
    shapes: Counter[tuple[int, ...]] = Counter()
    for one in messages:
        shapes[one.shape] += one.count
    shape = next((shape for shape, _ in shapes.most_common() if shape in formats), None)
    if shape is None:
        return f"{shapes.total():,} messages, of whose shapes no format is known"
    elements, known = math.prod(shape), formats[shape]
    measured = sum(one.count * one.num_bytes for one in messages)
    raw = sum(one.count * one.raw_bytes for one in messages)
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
    agrees = math.isclose(measured, expected, rel_tol=MULTIPLIER_TOLERANCE)
    steps_ratio = f"{baseline_steps:g} / {steps:g} steps"
    arithmetic = f"measured {measured:.3f}; ratio {ratio:.3f} × {steps_ratio} = {expected:.3f}"
    yield Check(subject, agrees, arithmetic, _above_format(run, measured), group=MULTIPLIERS)


def _above_format(run: Run, measured: float) -> str:
    first = min(_Messages.of(run.recording).of_kind(ACTIVATIONS), key=lambda one: (one.round, one.client))
    recorded = {one.shape: one for one in run.recording.formats if one.kind == ACTIVATIONS}
    shape = first.shape
    known = _formats(recorded, ACTIVATIONS, run.scenario.codec.uplink.table(), [first]).get(shape)
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
    for link in LINKS:
        yield _check_carried(run, link)
    for link, usage, best_bps, burst_bytes in _slowest_links(run):
        bound_s = 8 * (usage.num_bytes - burst_bytes * run.recording.num_rounds) / best_bps
        yield Check(
            f"busy time of {link}, {run.label}",
            usage.busy_s >= bound_s * (1 - RELATIVE_TOLERANCE),
            f"busy {usage.busy_s:.6f} s ≥ {bound_s:.6f} s = 8 × {usage.num_bytes:,.0f} bytes / "
            f"{best_bps:,.0f} bit/s" + (f", less {burst_bytes:,.0f} bytes a round" if burst_bytes else ""),
            group=BUSY,
        )
    bound_s = float(run.recording.totals(_least_round_s(run))[-1])
    yield Check(
        f"makespan of {run.label}",
        run.timeline.makespan_s >= bound_s * (1 - RELATIVE_TOLERANCE),
        f"{run.timeline.makespan_s:.6f} s ≥ {bound_s:.6f} s, transfers and latencies that nothing can hide",
        group=MAKESPANS,
    )


def _check_carried(run: Run, link: str) -> Check:
    """The bytes on the wire against the messages' own, in segments with their headers."""
    framing = run.scenario.network.framing
    sizes, times = _transfers(run, link)
    sent, segments = int((sizes * times).sum()), int((-(-sizes // framing.segment) * times).sum())
    due = sent + framing.header * segments
    links = run.timeline.used_as(link).values()
    carried = sum(usage.num_bytes for usage in links)
    return Check(
        f"bytes on the {link}s of {run.label}",
        math.isclose(carried, due, rel_tol=RELATIVE_TOLERANCE),
        f"{sent:,} bytes + {segments:,} segments × {framing.header} bytes of header = {due:,}; "
        f"carried {carried:,.0f} in {sum(usage.busy_s for usage in links):.6f} s",
        group=CARRIED,
    )


def _transfers(run: Run, link: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bytes of each transfer that crosses links of a role, and how often it was done."""
    steps = run.recording.steps
    first = np.flatnonzero(~steps.rows["joined"])
    sizes = np.add.reduceat(steps.rows["num_bytes"], first) if first.size else np.zeros(0, np.int64)
    crossing = steps.crosses(link)[first]
    times = np.bincount(run.recording.rounds, minlength=len(steps))[steps.round_of[first]]
    return sizes[crossing], times[crossing]


def _slowest_links(run: Run) -> Iterator[tuple[str, LinkUsage, float, float]]:
    """Of uplinks and of downlinks, the one that was busy longest: its name, what it did, the best rate that
    it ever had (bit/s), and what it let pass at once (bytes)."""
    for link in LINKS:
        if own := run.timeline.used_as(link):
            busiest = max(own, key=lambda name: own[name].busy_s)
            yield busiest, own[busiest], _best_rate(run, link), run.scenario.network.burst


def _best_rate(run: Run, name: str) -> float:
    """The best rate that any access link of that direction has at any time, in bit/s."""
    table = run.scenario.network
    spread = table.jitter.spread if table.jitter else 0.0
    return max(one.best_bps for one in table.access(name)) * (1 + spread)


def _least_round_s(run: Run) -> NDArray[np.float64]:
    """Of each of the rounds that differ: the longest that one client's own transfers and latencies must take,
    in seconds."""
    table, steps = run.scenario.network, run.recording.steps
    first = np.flatnonzero(~steps.rows["joined"])
    sizes = np.add.reduceat(steps.rows["num_bytes"], first) if first.size else np.zeros(0, np.int64)
    least_s = np.zeros(len(first))
    for link in LINKS:
        latency_s = min(table.latency_s(one) for one in table.access(link))
        transfer_s = latency_s + np.maximum(0.0, sizes - table.burst) * 8 / _best_rate(run, link)
        least_s = np.maximum(least_s, np.where(steps.crosses(link)[first], transfer_s, 0.0))
    clients = run.scenario.clients.count
    keys = steps.round_of[first] * clients + steps.clients[first]
    own = np.bincount(keys, weights=least_s, minlength=len(steps) * clients)
    longest: NDArray[np.float64] = own.reshape(len(steps), clients).max(axis=1)
    return longest


KEYS = {"runs": "run", "summary": "setting"}  # what tells the rows of each table apart


def check_summary(name: str, key: str, computed: pd.DataFrame, saved: pd.DataFrame) -> Iterator[Check]:
    """A saved table against the one that was computed from the recordings."""
    for position, label in enumerate(computed[key]):
        rows = saved[saved[key] == label]
        if len(rows) != 1:
            found = f"{len(rows)} rows of that {key}, expected 1"
            yield Check(f"{name}.csv, {label}", False, found, group=TABLES)
            continue
        wrong = [
            f"{column}: {_saved(rows, column)} saved, {expected} from the recording"
            for column, expected in computed.iloc[position].to_dict().items()
            if not _equal(_saved(rows, column), expected)
        ]
        yield Check(
            f"{name}.csv, {label}",
            not wrong,
            f"{len(computed.columns)} columns compared with the recording",
            _first(wrong),
            group=TABLES,
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
