"""What a hook may look at: the mini-batch that comes next, and what the server would receive of it."""

from __future__ import annotations

import copy
from functools import cached_property

import numpy as np
import torch
from torch import nn

from slsim import seeds
from slsim.codecs import Codec, Payload
from slsim.learning import ghost
from slsim.learning.exchange import Exchange
from slsim.learning.sampling import Batch
from slsim.learning.tensors import Tensors
from slsim.recording import ACTIVATIONS, GRADIENTS


class Look:
    """A look at a training after a round, or before the first. What is looked at is not used up: the same
    mini-batch is taken next, and the codec's draw for it is repeated, not taken."""

    def __init__(self, exchange: Exchange) -> None:
        assert isinstance(exchange.computation, Tensors)
        self._exchange, self._tensors = exchange, exchange.computation
        self._batch: Batch = exchange.sampler.peek(exchange.progress.rounds)[0]

    @property
    def round(self) -> int:
        """How many rounds are over."""
        return self._exchange.progress.rounds

    @property
    def client(self) -> int:
        """The client whose mini-batch comes next."""
        return self._batch.client

    @cached_property
    def images(self) -> torch.Tensor:
        """The mini-batch's images as the model is given them, float32 [samples, channels, height, width]."""
        return self._tensors.training_images([self._batch])

    @cached_property
    def labels(self) -> torch.Tensor:
        """The mini-batch's labels, int64 [samples]."""
        return self._tensors.as_labels(self._exchange.images.y_train[self._batch.indices])

    @cached_property
    def activations(self) -> torch.Tensor:
        """The activations of `images` at the cut (see `activations_of`)."""
        return self.activations_of(self.images)

    @cached_property
    def received(self) -> torch.Tensor:
        """What the server receives of `activations` (see `received_of`)."""
        return self.received_of(self.activations)

    def test_images(self, count: int) -> torch.Tensor:
        """The first `count` test images, or all if there are fewer, as the model is given them."""
        return next(self._exchange.images.test_batches(count))[0]

    def activations_of(self, images: torch.Tensor) -> torch.Tensor:
        """What crosses the cut for images, float32, as in evaluation, in batches of a client's size: their
        activations, or what an adapter makes of them."""
        parts, size = self._exchange.parts, self._exchange.sampler.batch_size
        with torch.no_grad(), parts.evaluating():
            return parts.through_client(images, [len(part) for part in images.split(size)])

    def received_of(self, activations: torch.Tensor) -> torch.Tensor:
        """What the server receives of activations: through the uplink codec, as in evaluation."""
        at_cut, size = self._tensors.cut_shape(ACTIVATIONS), self._exchange.sampler.batch_size
        rows = [len(part) for part in activations.split(at_cut.rows(size))]
        return self._tensors.through(ACTIVATIONS, activations, [at_cut.samples_a_row * n for n in rows])

    def encoded(self, activations: torch.Tensor) -> Payload:
        """The mini-batch's activations through the uplink codec, with the draw that training will take."""
        ends, draw = self._exchange.codings.ends(ACTIVATIONS), self._tensors.draw(ACTIVATIONS, self._batch)
        return ends.encode_again(activations, self._batch, draw)[0]

    @cached_property
    def client_module(self) -> nn.Module:
        """The layers below the cut, an adapter's encoder included, a copy for the mini-batch."""
        return self._copied(self._exchange.parts.model.client)

    @cached_property
    def server_module(self) -> nn.Module:
        """The layers above the cut, an adapter's decoder and a head on the client included, a copy for the
        mini-batch."""
        model = self._exchange.parts.model
        return self._copied(model.server if model.head is None else nn.Sequential(model.server, model.head))

    def _copied(self, module: nn.Module) -> nn.Module:
        """A copy whose adapter knows how many samples the mini-batch has."""
        own = copy.deepcopy(module)
        for layer in ghost.layers_of(own):
            if not isinstance(layer, ghost.GhostBatchNorm):
                layer.counts = (self._batch.indices.size,)
        return own

    @property
    def uplink(self) -> Codec:
        """The codec of activations."""
        return self._exchange.codings.of(ACTIVATIONS)

    @property
    def downlink(self) -> Codec:
        """The codec of their gradients."""
        return self._exchange.codings.of(GRADIENTS)

    def generator(self, purpose: str) -> np.random.Generator:
        """A generator of the hook's own for this round, from the scenario's seed."""
        return seeds.generator(self._exchange.seed, purpose, self.round)
