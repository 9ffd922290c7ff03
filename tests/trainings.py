"""Trainings for tests of learning and of protocols: what an exchange learned, and its steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from slsim.learning.data import Dataset
from slsim.learning.evaluation import evaluate
from slsim.learning.exchange import Exchange
from slsim.recording import SERVER, STEP, Evaluation, Round, Steps, load, tables_of
from slsim.recording.steps import TEXTS
from slsim.results import StudyFolder
from slsim.scenario import Scenario, plan
from slsim.study.preparing import prepare

NORMALIZING = """
from torch import nn

def net(image_shape, num_classes):
    block = nn.Sequential(nn.Conv2d(image_shape[0], 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
    hidden = nn.Sequential(nn.Conv2d(6, 6, 3, stride=2), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(DROP))
    return nn.Sequential(block, hidden, nn.Sequential(nn.Flatten(), nn.Linear(54, num_classes)))
"""


def normalizing_net(folder: Path, drop: float = 0.0) -> str:
    """The name of a network with batch normalization in both halves, for 8×8 images; with `drop` its upper
    block has dropout too."""
    path = folder / "normalizing.py"
    layers = NORMALIZING.replace("DROP", str(drop)) if drop else NORMALIZING.replace(", nn.Dropout(DROP)", "")
    path.write_text(layers)
    return f"{path}:net"


def scenario_of(document: dict[str, Any], **tables: Any) -> Scenario:
    """The scenario of a document without its sweep, and with these tables."""
    document = {**{key: value for key, value in document.items() if key != "sweep"}, **tables}
    return plan(document, "test", Path()).cases[0].scenario


def learn(scenario: Scenario, exchange: Exchange) -> Iterator[Round]:
    """The rounds of a scenario's protocol."""
    events = scenario.training.protocol.create().learn(exchange)
    return (event for event in events if isinstance(event, Round))


def trained(scenario: Scenario) -> tuple[Exchange, Steps]:
    """An exchange after all rounds, and the steps of each of them."""
    exchange = prepare(scenario)
    rounds = [done.rows for done in learn(scenario, exchange)]
    return exchange, Steps.of(rounds, exchange.words)


def one_round(scenario: Scenario, exchange: Exchange) -> Steps:
    """The steps of the next round."""
    return Steps.of([next(learn(scenario, exchange)).rows], exchange.words)


def evaluated(exchange: Exchange, crosses_cut: bool = True) -> Evaluation:
    """The evaluation of what was learned so far."""
    return evaluate(exchange.computation, exchange.progress, exchange.sampler.batch_size, crosses_cut)


def state_of(exchange: Exchange) -> list[torch.Tensor]:
    """The weights of all parts and, after them, the running statistics."""
    halves = exchange.client.module, exchange.server.module
    weights = [one for half in halves for one in half.parameters()]
    return weights + [one for half in halves for one in half.buffers() if one.is_floating_point()]


def table_of(steps: Steps) -> pd.DataFrame:
    """A row a piece of work or a message, with texts in place of numbers; `round` counts from 0."""
    columns = {name: steps.text(name) if name in TEXTS else steps.rows[name] for name in STEP.names or ()}
    return pd.DataFrame({"round": steps.round_of, "client": steps.clients, **columns})


def samples_of(steps: Steps) -> pd.DataFrame:
    """The samples that each client (a column) took in each round (a row)."""
    table = table_of(steps)
    taken = table[table["work"] == "client forward"]
    return taken.pivot_table("samples", "round", "client", aggfunc="sum", fill_value=0)


def sent(steps: Steps) -> Counter[tuple[str, str]]:
    """Bytes by kind and direction, of all rounds."""
    table = table_of(steps)
    messages = table[table["work"] == ""]
    ways = np.where(messages["who"] == SERVER, "down", "up")
    totals = messages["num_bytes"].groupby([messages["kind"], ways]).sum()
    return Counter({(str(kind), str(way)): int(size) for (kind, way), size in totals.items()})


def normalized(data: Dataset, indices: Sequence[int] | np.ndarray) -> torch.Tensor:
    """Training images as the model is given them."""
    mean, deviation = (torch.from_numpy(value).view(-1, 1, 1) for value in data.channel_statistics())
    return (torch.from_numpy(data.x_train[indices]).float() / 255 - mean) / deviation


def recorded(study: Path) -> dict[str, dict[str, bytes]]:
    """What the trainings of a study recorded, by training and file."""
    folder = StudyFolder.open(study)
    return {name: tables_of(load(folder.training(name))) for name in folder.trainings_listed()}
