"""Do the bytes of messages follow from their codecs' formats, to the byte?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from slsim import codecs
from slsim.checks.lines import first_lines
from slsim.codecs import Codec
from slsim.own_code import is_own_code
from slsim.recording import (
    ACTIVATIONS,
    CODEC_OF,
    GRADIENTS,
    LABELS,
    STATISTICS,
    CutShape,
    Format,
    Recording,
    parse_shape,
)
from slsim.recording.kinds import SENT_BEFORE
from slsim.registry import registry_of
from slsim.verdict import Check

SIZES = ("num_bytes", "raw_bytes", "extra_bytes")
IDENTITY = {"name": "identity"}
SENT = "bytes of messages"  # the group of these checks


def check_sizes(name: str, recording: Recording) -> Iterator[Check]:
    """Every message of a training against its format's formula, to the byte."""
    tables = {**recording.learning["codec"], "no codec": {"name": "identity"}}
    messages = Messages.of(recording)
    for kind in messages.kinds:
        which = CODEC_OF.get(kind, "no codec" if kind == STATISTICS else "")
        recorded = {one.shape: one for one in recording.formats if one.kind == kind}
        if kind == LABELS or not (which or recorded):
            continue
        own = messages.of_kind(kind)
        table, beside = (
            tables.get(key, IDENTITY) for key in (which, CODEC_OF.get(SENT_BEFORE.get(kind, "")))
        )
        formats = formats_of(recorded, kind, table, own, beside if kind in SENT_BEFORE else None)
        at_cut = recording.cut_shape if kind in (ACTIVATIONS, GRADIENTS) else None
        wrong = [
            f"round {one.round}, client {one.client}, {kind}: {one.num_bytes, one.raw_bytes}, "
            f"the format says {expected}"
            for one in own
            if not _agrees(one, expected := _expected(formats, one, at_cut))
        ]
        yield Check(
            f"bytes of {name}, {kind}",
            not wrong,
            _sizes_arithmetic(formats, own),
            first_lines(wrong),
            group=SENT,
        )
    if labels := messages.of_kind(LABELS):
        width = {one.num_bytes / math.prod(one.shape) for one in labels}
        shown = " or ".join(f"{value:g}" for value in sorted(width))
        one_width = len(width) <= 1 and all(value in (1, 2, 4, 8) for value in width)
        arithmetic = f"{shown} bytes a sample, in every message"
        yield Check(f"bytes of {name}, {LABELS}", one_width, arithmetic, group=SENT)


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
        lossless=codec.varies,
        formula=codec.size_formula(shape),
    )


@dataclass(frozen=True)
class Message:
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
class Messages:
    """The messages of a training that differ."""

    messages: tuple[Message, ...]

    @classmethod
    def of(cls, recording: Recording) -> Messages:
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
                Message(int(count), at, client, kinds[kind], parse_shape(shapes[shape] or "0"), *sizes)
                for (kind, shape, *sizes), count, at, client in zip(
                    distinct, counts, rounds.tolist(), clients.tolist(), strict=True
                )
            )
        )

    @property
    def kinds(self) -> list[str]:
        return list(dict.fromkeys(one.kind for one in self.messages))

    def of_kind(self, kind: str) -> list[Message]:
        return [one for one in self.messages if one.kind == kind]


def formats_of(
    recorded: Formats,
    kind: str,
    table: Mapping[str, Any],
    messages: Sequence[Message],
    beside: Mapping[str, Any] | None = None,
) -> Formats:
    """By shape, what the codec of a kind of message says of its sizes: asked anew, or, of code that is not
    slsim's own, as it said when it was recorded. `beside` is the codec of what was sent, of what returns."""
    if recorded and not (_is_ours(table["name"]) and (beside is None or _is_ours(beside["name"]))):
        return recorded
    codec = _created(table)
    if beside is not None and _is_ours(beside["name"]):
        codec = codec.paired(_created(beside))
    return {one.shape: format_of(codec, kind, one.shape) for one in messages}


def _created(table: Mapping[str, Any]) -> Codec:
    return codecs.create(table["name"], **{key: value for key, value in table.items() if key != "name"})


def _is_ours(codec: str) -> bool:
    """Whether a codec can be asked: one in a file is not run, and one of another installation not there."""
    return not is_own_code(codec) and registry_of("codec").knows(codec)


Expected = tuple[int | tuple[int, int], int]


def _expected(formats: Formats, message: Message, at_cut: CutShape | None) -> Expected | None:
    """Encoded and raw bytes that the format's formula gives for a message, what it says of its signs
    included; a range where a lossless stage decides; None where the format is not known."""
    known = formats.get(message.shape)
    if known is None:
        return None
    raw = 4 * math.prod(message.shape) if at_cut is None else _bare(message, at_cut)
    if known.lossless:
        return (known.least, known.most), raw
    return min(known.least + message.extra_bytes, known.most), raw


def _bare(message: Message, at_cut: CutShape) -> int:
    """The raw bytes of a message behind an adapter: those of the samples in its rows without the adapter. A
    last row may stand for fewer samples, of which the message itself says how many there are."""
    a_sample = at_cut.raw_bytes(1)
    samples = message.raw_bytes // a_sample
    if at_cut.of(samples) != message.shape:
        samples = message.shape[0] * at_cut.samples_a_row
    return a_sample * samples


def _agrees(message: Message, expected: Expected | None) -> bool:
    if expected is None:
        return False
    encoded, raw = expected
    low, high = (encoded, encoded) if isinstance(encoded, int) else encoded
    return low <= message.num_bytes <= high and message.raw_bytes == raw


def _sizes_arithmetic(formats: Formats, messages: Sequence[Message]) -> str:
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
    bare = next(one.raw_bytes for one in messages if one.shape == shape)
    return (
        f"{shapes.total():,} messages; d = {elements:,}: "
        f"{known.formula} = {known.nominal - known.header:,} bytes + {known.header} of header; "
        f"ratio {bare:,} / {known.nominal:,} = {bare / known.nominal:.3f}, "
        f"measured {raw:,} / {measured:,} = {raw / measured:.3f}"
    )
