"""One round of each setting, step by step in time: what a Gantt chart is drawn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from slsim.analysis.runs import Run, named
from slsim.clock.slices import WORK, slices
from slsim.clock.stage import Stage
from slsim.recording import SERVER
from slsim.recording.kinds import BARRIER_WAIT

MOST_RUNS, MOST_CLIENTS, MOST_ROWS = 12, 12, 1500  # of the table; clients and rows of each run
FIRST = 20  # the round is one of so many
COLUMNS = ("run", "setting", "seed", "round", "who", "phase", "start_s", "end_s")


def one_round(runs: Sequence[Run]) -> pd.DataFrame:
    """One row a time that a client or the server spent in a phase: `who` ("client 3", "server"), `phase`,
    `start_s` and `end_s` since the beginning of the round, whose number counts from 1.

    Of each setting's first seed, the first round in which most clients take part; of many settings some of
    each codec; of many clients the fastest, the slowest and others between, in that order; of a round of many
    steps its beginning. The server's rows are its work for all clients.
    """
    firsts = list({run.setting: run for run in reversed(runs)}.values())[::-1]
    parts = [_rows(run) for run in _few(firsts)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))


def _few(runs: list[Run]) -> list[Run]:
    """A dozen runs at most, of each codec the ends and others between."""
    by_codec: dict[str, list[Run]] = {}
    for run in runs:
        by_codec.setdefault(run.scenario.scheme.label, []).append(run)
    each = max(1, MOST_RUNS // max(1, len(by_codec))) if len(runs) > MOST_RUNS else len(runs)
    return [group[place] for group in by_codec.values() for place in _spread(len(group), each)]


def _spread(count: int, most: int) -> list[int]:
    places = np.linspace(0, count - 1, min(count, most)) if most > 1 else np.zeros(1)
    return [round(place) for place in places.tolist()]


def _rows(run: Run) -> pd.DataFrame:
    sizes = np.diff(run.timeline.offsets)[:FIRST]
    if not sizes.any():
        return pd.DataFrame(columns=list(COLUMNS))
    number = int(np.argmax(sizes))
    table = slices(run.recording, Stage.of(run.scenario), [number])
    table = table[table["end_s"] > table["start_s"]].copy()
    table[["start_s", "end_s"]] -= table["start_s"].min()
    order = {f"client {client}": place for place, client in enumerate(_clients(table))}
    of_clients = table.assign(who=[f"client {client}" for client in table["client"]])
    served = table[(table["who"] == SERVER) & (table["what"] == WORK)]
    found = pd.concat([of_clients[of_clients["who"].isin(list(order))], served.assign(who="server")])
    found = found.sort_values("start_s", kind="stable").head(MOST_ROWS)
    places = found["who"].map(order).fillna(len(order))
    found = found.iloc[np.argsort(places.to_numpy(), kind="stable")]
    named_rows = found.assign(**named(run), round=number + 1)
    return named_rows[list(COLUMNS)].reset_index(drop=True)


def _clients(table: pd.DataFrame) -> list[int]:
    """The fastest client, the slowest and others between: by when it waits at the last barrier."""
    busy = table[table["phase"] != BARRIER_WAIT.name]
    done = busy.groupby("client")["end_s"].max().sort_values(kind="stable").index.to_list()
    return [int(done[place]) for place in _spread(len(done), MOST_CLIENTS)]
