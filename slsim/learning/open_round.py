"""A round that is not over: what a protocol needs to go on with it, and so what a checkpoint keeps."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from slsim.learning.halves import Snapshot
from slsim.recording import Message, Turn


@dataclass
class OpenRound:
    """What was sent so far, in order, and how far the round is.

    What `done` and `step` count and which `halves` are kept under which names, the protocol says. `mean` is
    the state that the round will end with, as far as it is summed up.
    """

    halves: dict[Any, Snapshot] = field(default_factory=dict)
    mean: torch.Tensor = field(default_factory=lambda: torch.zeros(0))
    turns: list[Turn] = field(default_factory=list)
    done: int = 0
    step: int = 0

    def sent(self, client: int, messages: tuple[Message, ...]) -> None:
        """Weights travelled: a turn of their own."""
        self.turns.append(Turn(client, 0, messages))

    def add(self, weights: torch.Tensor, share: float) -> None:
        """A participant's state enters the mean (FedAvg, McMahan et al., AISTATS 2017)."""
        self.mean.add_(weights, alpha=share)

    def state(self) -> dict[str, Any]:
        """A copy, as tensors and plain values."""
        return {
            "halves": {name: vars(snapshot) for name, snapshot in self.halves.items()},
            "mean": self.mean.clone(),
            "turns": [dataclasses.astuple(turn) for turn in self.turns],
            "done": self.done,
            "step": self.step,
        }

    @classmethod
    def of(cls, state: dict[str, Any], device: torch.device) -> OpenRound:
        """What `state` gave."""
        kept = {name: Snapshot(**values) for name, values in state["halves"].items()}
        return cls(
            {name: replace(half, weights=half.weights.to(device)) for name, half in kept.items()},
            state["mean"].to(device, copy=True),
            [Turn(client, n, tuple(Message(*one) for one in sent)) for client, n, sent in state["turns"]],
            state["done"],
            state["step"],
        )
