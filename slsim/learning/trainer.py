"""The primitives of split training, real tensors and no clock: forward, encode, server step, backward,
aggregate, evaluate. A protocol puts them in order.

All clients hold the same weights (they are averaged every step), so their batches run as one: the
mean over clients is taken once, in `aggregate`. Each client's activations are still encoded alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from slsim import seeds
from slsim.codecs import Codec, Payload
from slsim.errors import TrainingDiverged
from slsim.learning import partition
from slsim.learning.data import Dataset
from slsim.learning.split import SplitModel
from slsim.recording import ACTIVATIONS, GRADIENTS, Costs, Evaluation
from slsim.scenario import Partition, Scenario


@dataclass(frozen=True)
class Batch:
    """A client's mini-batch: positions of its samples in the training set."""

    client: int
    indices: NDArray[np.int64]


class Trainer:
    """One training: both halves of the model, the data, the codecs, and every random generator."""

    def __init__(
        self, scenario: Scenario, data: Dataset, model: SplitModel, uplink: Codec, downlink: Codec
    ) -> None:
        self.model = model
        self.uplink, self.downlink = uplink, downlink
        self._settings = scenario.training
        self._batch_size = scenario.clients.batch_size
        self._images = _Images(data)
        self.parts = partition_samples(scenario.data.partition, data, scenario.clients.count, scenario.seed)
        self._order = [seeds.generator(scenario.seed, "batches", c) for c in range(scenario.clients.count)]
        self._codec_rngs = [seeds.generator(scenario.seed, "codec", c) for c in range(scenario.clients.count)]
        parameters = [*model.client.parameters(), *model.server.parameters()]
        self._optimizer = torch.optim.SGD(
            parameters,
            lr=self._settings.learning_rate,
            momentum=self._settings.momentum,
            weight_decay=self._settings.weight_decay,
        )
        self._label_type = np.dtype("u1" if data.num_classes <= 256 else "<u2")
        self.rounds_per_epoch = max(math.ceil(part.size / self._batch_size) for part in self.parts)
        self.total_rounds = self._settings.epochs * self.rounds_per_epoch
        self.rounds_done = 0
        self._losses: list[float] = []

    def costs(self) -> Costs:
        """FLOPs and memory traffic, for the clock."""
        (up_encode, up_decode), (down_encode, down_decode) = (
            self.uplink.bytes_touched(),
            self.downlink.bytes_touched(),
        )
        return Costs(
            client_forward_flops=self.model.client_flops.forward,
            client_backward_flops=self.model.client_flops.backward,
            server_forward_flops=self.model.server_flops.forward,
            server_backward_flops=self.model.server_flops.backward,
            encode_bytes={ACTIVATIONS: up_encode, GRADIENTS: down_encode},
            decode_bytes={ACTIVATIONS: up_decode, GRADIENTS: down_decode},
        )

    def rounds(self) -> Iterator[list[Batch]]:
        """One mini-batch a client and round, for every epoch. Clients whose samples are used up before
        the epoch's end sit its last rounds out."""
        for _ in range(self._settings.epochs):
            streams = [
                partition.batches(part, self._batch_size, rng)
                for part, rng in zip(self.parts, self._order, strict=True)
            ]
            for _ in range(self.rounds_per_epoch):
                drawn = [(client, next(stream, None)) for client, stream in enumerate(streams)]
                yield [Batch(client, indices) for client, indices in drawn if indices is not None]

    def forward(self, batches: Sequence[Batch]) -> torch.Tensor:
        """Activations of all clients, one below the other, with their graph. Raises `TrainingDiverged`."""
        images = self._images.training(np.concatenate([batch.indices for batch in batches]))
        activations = cast(torch.Tensor, self.model.client(images))
        if not torch.isfinite(activations).all():
            raise TrainingDiverged("the activations became NaN or infinite")
        return activations

    def encode(self, batches: Sequence[Batch], activations: torch.Tensor) -> list[Payload]:
        """Each client's activations through the uplink codec."""
        rngs = [self._codec_rngs[batch.client] for batch in batches]
        return self.uplink.encode_many(activations, [batch.indices.size for batch in batches], rngs)

    def encode_labels(self, batches: Sequence[Batch]) -> list[bytes]:
        """Each client's labels as they travel: one unsigned integer a sample, of the smallest width."""
        return [self._images.y_train[batch.indices].astype(self._label_type).tobytes() for batch in batches]

    def server_step(self, payloads: Sequence[Payload], labels: Sequence[bytes]) -> list[Payload]:
        """Decodes activations and labels; forward and backward of each client's mean cross-entropy on the
        server's half; each client's activation gradients through the downlink codec. The server's
        gradients are summed over clients until `aggregate`. Raises `TrainingDiverged`."""
        counts = [len(part) // self._label_type.itemsize for part in labels]
        activations = self._decoded(self.uplink, payloads, counts).requires_grad_()
        targets = [
            torch.from_numpy(np.frombuffer(part, self._label_type).astype(np.int64)) for part in labels
        ]
        losses = nn.functional.cross_entropy(
            self.model.server(activations), torch.cat(targets), reduction="none"
        )
        client_losses = torch.stack([part.mean() for part in losses.split(counts)])
        mean_loss = float(client_losses.detach().mean())
        if not math.isfinite(mean_loss):
            raise TrainingDiverged(f"the loss became {mean_loss}")
        self._losses.append(mean_loss)
        client_losses.sum().backward()
        gradients = cast(torch.Tensor, activations.grad)
        if not torch.isfinite(gradients).all():
            raise TrainingDiverged("the activation gradients became NaN or infinite")
        return self.downlink.encode_many(gradients, counts)

    def backward(
        self, batches: Sequence[Batch], activations: torch.Tensor, payloads: Sequence[Payload]
    ) -> None:
        """Decodes the gradients and runs the clients' backward; the codec's own gradient is taken as
        identity. The clients' gradients are summed until `aggregate`."""
        counts = [batch.indices.size for batch in batches]
        activations.backward(self._decoded(self.downlink, payloads, counts))

    def _decoded(self, codec: Codec, payloads: Sequence[Payload], counts: Sequence[int]) -> torch.Tensor:
        """All payloads decoded, one below the other; each must have the shape that the receiver expects."""
        shape = self.model.activation_shape
        parts = [codec.decode(payload, (n, *shape)) for payload, n in zip(payloads, counts, strict=True)]
        return torch.cat(parts)

    def aggregate(self, participants: int) -> None:
        """Averages the clients' and the server's gradients over the round's participants (MS, Eq. 2) and
        takes one optimizer step on both halves."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._learning_rate()
            for parameter in group["params"]:
                parameter.grad.div_(participants)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.rounds_done += 1

    def _learning_rate(self) -> float:
        if self._settings.schedule == "constant":
            return self._settings.learning_rate
        return (
            self._settings.learning_rate * (1 + math.cos(math.pi * self.rounds_done / self.total_rounds)) / 2
        )

    def evaluation_due(self) -> bool:
        """Whether the scenario wants an evaluation after the round just done; the last round always."""
        every = self._settings.evaluate_every or self.rounds_per_epoch
        return self.rounds_done % every == 0 or self.rounds_done == self.total_rounds

    @torch.no_grad()
    def test_activations(self) -> Iterator[torch.Tensor]:
        """The activations of the test images at the cut, in a client's batch size."""
        for images, _ in self._images.test_batches():
            yield from cast(torch.Tensor, self.model.client(images)).split(self._batch_size)

    @torch.no_grad()
    def evaluate(self) -> Evaluation:
        """Accuracy on the test set, encoded in a client's batch size as at inference, and plain."""
        correct_through, correct_plain, total = 0, 0, 0
        for images, labels in self._images.test_batches():
            activations = cast(torch.Tensor, self.model.client(images))
            if not torch.isfinite(activations).all():
                raise TrainingDiverged("the activations became NaN or infinite")
            counts = [len(part) for part in labels.split(self._batch_size)]
            decoded = self._decoded(self.uplink, self.uplink.encode_many(activations, counts), counts)
            correct_through += int((self.model.server(decoded).argmax(dim=1) == labels).sum())
            correct_plain += int((self.model.server(activations).argmax(dim=1) == labels).sum())
            total += labels.numel()
        training_loss = sum(self._losses) / len(self._losses)
        self._losses.clear()
        epoch = self.rounds_done / self.rounds_per_epoch
        return Evaluation(
            self.rounds_done, epoch, correct_through / total, correct_plain / total, training_loss
        )


class _Images:
    """A data set as normalized tensors, made batch by batch; what is held stays uint8."""

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self.y_train = data.y_train
        mean, deviation = data.channel_statistics()
        self._scale = torch.from_numpy(1 / (255 * deviation)).view(-1, 1, 1)
        self._shift = torch.from_numpy(-mean / deviation).view(-1, 1, 1)

    def training(self, indices: NDArray[np.int64]) -> torch.Tensor:
        return self._normalize(self._data.x_train[indices])

    def test_batches(self, size: int = 1000) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for start in range(0, self._data.y_test.size, size):
            images = self._normalize(self._data.x_test[start : start + size])
            yield images, torch.from_numpy(self._data.y_test[start : start + size])

    def _normalize(self, images: NDArray[np.uint8]) -> torch.Tensor:
        return torch.from_numpy(images).float() * self._scale + self._shift


def partition_samples(chosen: Partition, data: Dataset, clients: int, seed: int) -> list[NDArray[np.int64]]:
    """Each client's sample positions. Raises `DataError` when there is nothing to share out that way."""
    rng = seeds.generator(seed, "partition")
    match chosen.kind:
        case "iid":
            return partition.iid(data.y_train, clients, rng)
        case "dirichlet":
            return partition.dirichlet(data.y_train, clients, chosen.parameter, rng)
        case "shards":
            return partition.shards(data.y_train, clients, int(chosen.parameter), rng)
