"""The steps of rounds on one stage: how long each piece of work takes, and what each transfer crosses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slsim.clock.stage import Stage
from slsim.devices import Device, Work
from slsim.errors import ClockError
from slsim.recording import SERVER, Steps
from slsim.recording.steps import Table

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NOTHING = -1  # in place of a step that is waited for


@dataclass(frozen=True)
class Program:
    """Steps as columns, sorted by round, section and lane; joined rows are one step.

    `first` is the row of each step; `round`, `section` and `lane` say where it stands, `client` whose time it
    takes, `who` and `to` as in the recording, `phase` what it is counted as. A step is either work of
    `seconds` or a transfer of `num_bytes`. `waits_for` is another step, `NOTHING` for none.
    """

    first: Ints
    round: Ints
    section: Ints
    lane: Ints
    client: Ints
    who: Ints
    to: Ints
    phase: Ints
    is_transfer: NDArray[np.bool_]
    seconds: Floats
    num_bytes: Ints
    waits_for: Ints
    num_rounds: int

    @classmethod
    def of(cls, steps: Steps, stage: Stage) -> Program:
        """Time the work of `steps` by the devices of `stage`. Raises `FaultsError` where a device has no time
        for it, `ClockError` where the stage lacks a client."""
        rows, round_of = steps.rows, steps.round_of
        if len(rows) and int(max(rows["who"].max(), rows["to"].max())) >= len(stage.clients):
            raise ClockError(f"the recording has more clients than the {len(stage.clients)} on the clock")
        first = np.flatnonzero(~rows["joined"])
        order = _order(round_of[first], rows["section"][first], rows["lane"][first])
        step_of = np.cumsum(~rows["joined"]) - 1
        waited = rows["waits_for"][first].astype(np.int64)
        begins, ends = steps.offsets[round_of[first]], steps.offsets[round_of[first] + 1]
        if (begins + waited >= ends).any():
            raise ClockError("a step waits for a step that its round does not have")
        place = np.empty(len(first), np.int64)
        place[order] = np.arange(len(first))
        waits_for = np.where(waited < 0, NOTHING, place[step_of[np.where(waited < 0, 0, begins + waited)]])
        seconds = _seconds(steps, stage, first)
        totals = np.add.reduceat(rows["num_bytes"], first) if len(first) else np.zeros(0, np.int64)

        def column(name: str) -> Ints:
            values: Ints = rows[name][first][order].astype(np.int64)
            return values

        return cls(
            first=first[order],
            round=round_of[first][order],
            section=column("section"),
            lane=column("lane"),
            client=steps.clients[first][order].astype(np.int64),
            who=column("who"),
            to=column("to"),
            phase=column("phase"),
            is_transfer=steps.are_messages[first][order],
            seconds=seconds[order],
            num_bytes=totals[order],
            waits_for=waits_for[order],
            num_rounds=len(steps),
        )

    @property
    def at_server(self) -> NDArray[np.bool_]:
        """Which steps are work at the server; work of no duration is none."""
        mask: NDArray[np.bool_] = ~self.is_transfer & (self.who == SERVER) & (self.seconds > 0)
        return mask


def _seconds(steps: Steps, stage: Stage, first: Ints) -> Floats:
    """Seconds of each step, in the order of its first row; 0 of a transfer."""
    rows, work = steps.rows, np.flatnonzero(~steps.are_messages)
    seconds, busy = np.zeros(len(rows)), np.zeros(len(rows), dtype=bool)
    overhead = np.zeros(len(rows))
    devices, device_of = _devices(stage, rows["who"][work])
    texts = steps.words.texts
    width = len(texts["codec"])
    keys = (device_of * len(texts["work"]) + rows["work"][work]) * width + rows["codec"][work]
    for key in np.flatnonzero(np.bincount(keys)).tolist():
        places = work[keys == key]
        (device, name), codec = divmod(key // width, len(texts["work"])), key % width
        done = _work(rows, places, texts["work"][name], texts["codec"][codec])
        seconds[places] = devices[device].seconds(done)
        busy[places] = done.is_something | (seconds[places] > 0)
        overhead[places] = devices[device].overhead
    if not len(first):
        return np.zeros(0)
    total: Floats = np.add.reduceat(seconds, first) + overhead[first] * np.logical_or.reduceat(busy, first)
    return total


def _devices(stage: Stage, who: NDArray[np.int32]) -> tuple[list[Device], Ints]:
    """The distinct devices of the stage, and which of them does each piece of work."""
    everyone = [*stage.clients, stage.server]  # the server is `SERVER`, the last
    distinct = {id(device): device for device in everyone}
    numbers = {identity: number for number, identity in enumerate(distinct)}
    of_each = np.array([numbers[id(device)] for device in everyone], dtype=np.int64)
    return list(distinct.values()), of_each[who]


def _work(rows: Table, places: Ints, name: str, codec: str) -> Work:
    return Work(
        part=name,
        flops=rows["flops"][places],
        memory_bytes=rows["memory_bytes"][places],
        samples=rows["samples"][places].astype(np.float64),
        elements=rows["elements"][places].astype(np.float64),
        codec=codec,
        core_s=rows["core_s"][places],
        lossless_s=rows["lossless_s"][places],
    )


def _order(round_of: Ints, section: Ints, lane: Ints) -> Ints:
    """The steps' order by round, section and lane; those of one lane stay in theirs."""
    if not len(lane):
        return np.zeros(0, np.int64)
    widths = int(section.max()) + 1, int(lane.max()) + 1
    keys = (round_of * widths[0] + section) * widths[1] + lane
    return np.argsort(keys, kind="stable")
