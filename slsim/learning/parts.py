"""The parts of the model in training, and how batches of several clients go through them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from slsim.learning import ghost, sampling
from slsim.learning.apart import Manner, one_by_one
from slsim.learning.halves import Half, lay_out
from slsim.learning.split import SplitModel
from slsim.learning.transfer import moved
from slsim.scenario.training_table import TrainingTable


class Parts:
    """The client's half, which has the head where there is one, and the server's half, on `device`.

    There is one model. Where all clients hold the same weights, their batches run as one: batch normalization
    sees each client's batch alone, and a part with layers that look across a batch in another way takes one
    client's batch after the other's (`apart.py`). Where clients' weights differ, a protocol loads one
    client's after the other's.
    """

    def __init__(
        self, model: SplitModel, settings: TrainingTable, manner: Manner, device: torch.device
    ) -> None:
        self.model, self.manner, self.device = model, manner, device
        self._settings = settings
        self._modules = [model.client, model.server, *([model.head] if model.head is not None else [])]
        for module in self._modules:
            lay_out(module.to(device), manner.channels_last)
        self._ghosts = ghost.layers_of(self._modules)  # looked for once, not at every step
        on_client = model.client if model.head is None else nn.ModuleList([model.client, model.head])
        self.client = Half(on_client, settings)
        self.server = Half(model.server, settings)

    def halves_of(self, state: torch.Tensor) -> tuple[Half, ...]:
        """The halves whose state a vector is: the client's, or both."""
        return (self.client,) if len(state) == self.client.size else (self.client, self.server)

    def through_client(self, images: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
        """Activations of clients' batches, `counts` samples each, concatenated along the batch, float32."""
        return self._through(self.model.client, self.manner.client_apart, images, counts).float()

    def through_server(self, activations: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
        """What the server's half makes of clients' activations."""
        return self._through(self.model.server, self.manner.server_apart, activations, counts)

    def through_head(self, features: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
        """What the head makes of the server's features."""
        assert self.model.head is not None
        return self._through(self.model.head, self.manner.head_apart, features, counts)

    def through_whole(self, images: torch.Tensor) -> torch.Tensor:
        """What the whole model makes of one batch, with nothing in between."""
        with self._precision():
            outputs = images
            for module in self._modules:
                outputs = module(outputs)
            return outputs

    def _through(
        self, module: nn.Module, is_apart: bool, inputs: torch.Tensor, counts: Sequence[int]
    ) -> torch.Tensor:
        with self._precision():
            if is_apart and len(counts) > 1:
                shares = sampling.shares(counts, self._settings.weighting)
                rows = self._rows(module, counts)
                return one_by_one(module, inputs.split(rows), shares, counts)
            with ghost.grouped(self._ghosts, counts, self._uneven(counts)):
                outputs: torch.Tensor = module(inputs)
                return outputs

    def _rows(self, module: nn.Module, counts: Sequence[int]) -> list[int]:
        """The number of rows that each client's samples have where they go into `module`."""
        at_cut = self.model.cut_shape
        return [at_cut.rows(count) if module is self.model.server else count for count in counts]

    def _uneven(self, counts: Sequence[int]) -> list[float]:
        """How much each client's batch counts in an average; empty where all count the same."""
        weighting = self._settings.weighting
        return sampling.shares(counts, weighting) if weighting == "samples" and len(set(counts)) > 1 else []

    def scales(
        self, counts: Sequence[int], like: torch.Tensor, rows: Sequence[int] | None = None
    ) -> torch.Tensor | None:
        """How many times its own gradient each client's counts in the sum that a step divides by the number
        of clients, for each row of `like`, of which each client has so many (`rows`; one a sample where they
        are left out); None where it is once."""
        if not (shares := self._uneven(counts)):
            return None
        of_rows = np.repeat(np.array(shares, dtype=np.float32) * len(counts), rows or counts)
        return moved(torch.from_numpy(of_rows), self.device).view(-1, *[1] * (like.ndim - 1))

    def losses(self, logits: torch.Tensor, labels: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
        """Each client's mean cross-entropy, times what it counts (see `scales`), [clients]."""
        losses = nn.functional.cross_entropy(logits.float(), labels, reduction="none")
        if min(counts) == max(counts):  # as most rounds are: one operation instead of one a client
            return losses.view(len(counts), -1).mean(dim=1)
        scales = self.scales(counts, losses)
        losses = losses if scales is None else losses * scales
        return torch.stack([part.mean() for part in losses.split(list(counts))])

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Within it, layers use running statistics, and drop nothing."""
        for module in self._modules:
            module.eval()
        try:
            yield
        finally:
            for module in self._modules:
                module.train()

    def _precision(self) -> AbstractContextManager[Any]:
        enabled = self._settings.precision == "bfloat16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled)
