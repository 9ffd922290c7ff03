"""When each step of a round began and ended: the slices of a timeline, for traces and charts.

SimPy plays the rounds that are asked for, whatever the links are. Where a round depends on those before it
(rates that change, connections that remember), these are played too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slsim.clock import events
from slsim.clock.clock import Clock
from slsim.clock.events import LiveStage, Span
from slsim.clock.program import Ints, Program
from slsim.clock.stage import Stage
from slsim.errors import ClockError
from slsim.recording import Recording, Steps
from slsim.recording.kinds import BARRIER_WAIT, PEER_WAIT, SERVER_WAIT

WORK, TRANSFER, WAIT = "work", "transfer", "wait"
AT_BARRIER = -3  # in place of a phase's number, beside those of `events`
WAITS = {events.SERVER_WAIT: SERVER_WAIT, events.PEER_WAIT: PEER_WAIT, AT_BARRIER: BARRIER_WAIT}
NO_STEP = -1
COLUMNS = (
    *("round", "section", "lane", "step", "what", "client", "who", "to", "phase", "work", "kind", "codec"),
    *("start_s", "end_s", "links", "num_bytes", "raw_bytes", "framed_bytes", "waits_for"),
)
SPAN = {"client": int, "phase_number": int, "start_s": float, "end_s": float, "at": int}
SUMMED = ("num_bytes", "raw_bytes")
Objects = NDArray[np.object_]


def slices(recording: Recording, stage: Stage, rounds: Collection[int]) -> pd.DataFrame:
    """Return when each step of some rounds began and ended, one row a step or wait, in order of their starts.

    `rounds` count from 0, as those of a `Timeline`. The columns:

    - `round`, `section`, `lane`, `step`: where the step stands, steps counted within their round; a wait for
      the server or for a peer has those of the step that waits, a wait at the barrier has -1;
    - `what`: "work", "transfer" or "wait";
    - `client`: whose time it takes. A client's slices follow one another and fill each round that it takes
      part in;
    - `who`: who works, sends or waits: a client's number, or -1 for the server;
    - `to`: of a transfer who receives it, else the same as `client`;
    - `phase`, and `work` of work; `kind` and `codec` of messages and of codecs' work. Texts of what is done
      in one go are joined by " + ";
    - `start_s`, `end_s`: seconds from the beginning of the training. A transfer begins with the latency of
      its links;
    - `links`: the names of the links that a transfer crosses, as a tuple; `num_bytes` as sent, `raw_bytes` of
      its tensors as float32, and `framed_bytes` with headers, as the links carry them;
    - `waits_for`: the step of the same round that must be over before, -1 for none.

    A wait that takes no time is no slice, nor is work of the server that takes none. Raises `ClockError` for
    a round that the recording does not have, and as `Clock.play` does.
    """
    asked = sorted(set(rounds))
    lacking = [number for number in asked if not 0 <= number < recording.num_rounds]
    if lacking:
        raise ClockError(f"no round {lacking[0]}: the recording has {recording.num_rounds}, counted from 0")
    program = Program.of(recording.steps, stage)
    parts = [_spans_table(*played) for played in _played(recording, program, stage, asked)]
    spans = pd.concat(parts or [_spans_table(0, 0.0, 0.0, [])])
    at = spans.pop("at").to_numpy(np.int64)
    steps = _steps_table(recording.steps, program, stage, np.unique(at[at != NO_STEP])).reindex(at)
    table = pd.concat([spans.reset_index(drop=True), steps.reset_index(drop=True)], axis=1)
    table = _with_waits(table)
    return table.sort_values(["start_s", "end_s"], kind="stable", ignore_index=True)[list(COLUMNS)]


def _played(
    recording: Recording, program: Program, stage: Stage, rounds: list[int]
) -> Iterator[tuple[int, float, float, list[Span]]]:
    """Of each round its number, its beginning and end (s), and what happened."""
    numbers = recording.rounds
    if stage.topology.network.is_steady and not stage.topology.transport.remembers:
        yield from _played_apart(recording, program, stage, rounds)
        return
    live = LiveStage(stage, program)
    for number in range(rounds[-1] + 1 if rounds else 0):
        began_s = float(live.env.now)
        live.play(int(numbers[number]))
        if number in rounds:
            yield number, began_s, float(live.env.now), live.spans.copy()
        live.spans.clear()


def _played_apart(
    recording: Recording, program: Program, stage: Stage, rounds: list[int]
) -> Iterator[tuple[int, float, float, list[Span]]]:
    """The same, where rounds that are equal take equal times: each distinct one is played once, from 0."""
    ends_s = Clock(stage).round_ends_s(recording, program)
    once: dict[int, LiveStage] = {}
    last, ended_s = -1, 0.0
    for number in rounds:
        place = int(recording.rounds[number])
        if place not in once:
            once[place] = LiveStage(stage, program)
            once[place].play(place)
        began_s = ended_s if number == last + 1 else float(ends_s[number - 1])
        last, ended_s = number, began_s + float(once[place].env.now)
        moved = [
            (who, phase, start + began_s, end + began_s, at)
            for who, phase, start, end, at in once[place].spans
        ]
        yield number, began_s, ended_s, moved


def _spans_table(number: int, began_s: float, ended_s: float, spans: list[Span]) -> pd.DataFrame:
    """A row a span of time of a round; whenever a client does nothing, it waits at a barrier."""
    told = list(spans)
    last_s: dict[int, float] = {}
    for client, _, start_s, end_s, _ in spans:
        told.append((client, AT_BARRIER, last_s.get(client, began_s), start_s, NO_STEP))
        last_s[client] = end_s
    told += [(client, AT_BARRIER, end_s, ended_s, NO_STEP) for client, end_s in last_s.items()]
    table = pd.DataFrame(told, columns=list(SPAN)).astype(SPAN)
    table.insert(0, "round", number)
    return table[(table["phase_number"] >= 0) | (table["end_s"] > table["start_s"])]


def _steps_table(steps: Steps, program: Program, stage: Stage, chosen: Ints) -> pd.DataFrame:
    """What some steps of a program are, by their place in it."""
    starts = np.flatnonzero(~steps.rows["joined"])
    first = program.first[chosen]
    ends = np.append(starts[1:], len(steps.rows))[np.searchsorted(starts, first)]
    is_transfer, who, to = (values[chosen] for values in (program.is_transfer, program.who, program.to))
    round_begins = np.searchsorted(program.round, program.round[chosen])
    columns: dict[str, object] = {
        "section": program.section[chosen],
        "lane": program.lane[chosen],
        "step": chosen - round_begins,
        "waits_for": np.where(program.waits_for[chosen] < 0, -1, program.waits_for[chosen] - round_begins),
        "what": np.where(is_transfer, TRANSFER, WORK),
        "who": who,
        "to": to,
        "links": _objects(
            [
                stage.topology.route(sender, receiver) if crosses else ()
                for sender, receiver, crosses in zip(
                    who.tolist(), to.tolist(), is_transfer.tolist(), strict=True
                )
            ]
        ),
        **{name: _joined(steps, name, first, ends) for name in ("phase", "work", "kind", "codec")},
    }
    running = {name: np.concatenate([[0], np.cumsum(steps.rows[name])]) for name in SUMMED}
    columns |= {name: total[ends] - total[first] for name, total in running.items()}
    framed = stage.topology.framing.framed(program.num_bytes[chosen])
    columns["framed_bytes"] = np.where(is_transfer, framed, 0)
    return pd.DataFrame(columns, index=chosen)


def _joined(steps: Steps, column: str, first: Ints, ends: Ints) -> Objects:
    """The different texts of the rows from `first` up to `ends`, in their order."""
    texts, numbers = steps.words.texts[column], steps.rows[column]
    known: dict[tuple[int, ...], str] = {}
    found = []
    for begin, end in zip(first.tolist(), ends.tolist(), strict=True):
        key = tuple(numbers[begin:end].tolist())
        if key not in known:
            known[key] = " + ".join(dict.fromkeys(filter(None, (texts[number] for number in key))))
        found.append(known[key])
    return _objects(found)


def _objects(values: Sequence[object]) -> Objects:
    """An array of objects, of tuples too."""
    return np.fromiter(values, np.object_, len(values))


def _with_waits(table: pd.DataFrame) -> pd.DataFrame:
    """The slices, with what waits are in place of what the steps are that they belong to."""
    numbers = table["phase_number"]
    waits, alone = numbers < 0, numbers == AT_BARRIER
    for column in ("who", "to"):
        table[column] = table[column].where(~waits, table["client"])
    for column in ("section", "lane", "step", "waits_for"):
        table[column] = table[column].where(~alone, NO_STEP)
    for column in ("num_bytes", "raw_bytes", "framed_bytes"):
        table[column] = table[column].where(~waits, 0)
    for column in ("work", "kind", "codec"):
        table[column] = table[column].where(~waits, "")
    whole = [name for name in COLUMNS if table[name].dtype.kind == "f" and not name.endswith("_s")]
    table[whole] = table[whole].astype(np.int64)
    table["what"] = table["what"].where(~waits, WAIT)
    table["phase"] = table["phase"].where(~waits, numbers.map({key: one.name for key, one in WAITS.items()}))
    table["links"] = _objects(
        [() if wait else links for wait, links in zip(waits, table["links"], strict=True)]
    )
    return table
