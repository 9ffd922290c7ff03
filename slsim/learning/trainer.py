"""The primitives of training, real tensors and no clock: exchange activations and gradients, step, average,
send weights, evaluate. A protocol puts them in order.

There is one model. Where all clients hold the same weights, their batches run as one (`exchange` of many
batches): each client's activations are still encoded alone, and batch normalization sees each client's
batch alone. A half with layers that look across a batch in another way takes one client's batch after the
other's (`apart.py`). Where clients' weights differ, a protocol loads one client's after the other's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from slsim import seeds
from slsim.codecs import Codec, Identity, Payload
from slsim.codecs import create as create_codec
from slsim.codecs.costs import by_kind, cost_of
from slsim.errors import TrainingDiverged
from slsim.learning import ghost, sampling
from slsim.learning.apart import Manner, one_by_one
from slsim.learning.crossing import check_finite, decoded, encoded
from slsim.learning.data import Dataset
from slsim.learning.halves import Half, Snapshot, lay_out
from slsim.learning.images import Images
from slsim.learning.open_round import OpenRound
from slsim.learning.progress import Progress
from slsim.learning.sampling import Batch, Sampler
from slsim.learning.sending import state_sent
from slsim.learning.split import SplitModel
from slsim.learning.transfer import moved
from slsim.recording import (
    ACTIVATIONS,
    GRADIENTS,
    LABELS,
    WEIGHTS,
    Costs,
    Direction,
    Evaluation,
    Message,
    TestSet,
    Turn,
)
from slsim.scenario import Scenario
from slsim.scenario.tables import TrainingTable


class Trainer:
    """One training: both halves of the model, the data, the codecs, and where it has got to.

    `crosses_cut` says whether activations travel at inference, so that test accuracy is measured through the
    uplink codec; `open_round` is for protocols whose rounds have several steps.
    """

    def __init__(
        self,
        scenario: Scenario,
        data: Dataset,
        model: SplitModel,
        uplink: Codec,
        downlink: Codec,
        weights: Codec | None = None,
        device: torch.device | None = None,
        manner: Manner | None = None,
    ) -> None:
        self.model = model
        self.uplink, self.downlink = uplink, downlink
        self.weights_codec = weights or create_codec("identity")
        self._settings: TrainingTable = scenario.training
        self.seed = scenario.seed
        self._batch_size = scenario.clients.batch_size
        self._device = device or torch.device("cpu")
        self.manner = manner or Manner(self._settings.channels_last)
        self._modules = [model.client, model.server]
        for module in self._modules:
            lay_out(module.to(self._device), self.manner.channels_last)
        self._ghosts = ghost.layers_of(self._modules)  # looked for once, not at every step
        self._images = Images(data, scenario.data.augment, self._device, self.manner.channels_last)
        self.client = Half(model.client, self._settings, self.manner.client_apart)
        self.server = Half(model.server, self._settings, self.manner.server_apart)
        self.sampler = Sampler.of(scenario, data)
        self._label_type = np.min_scalar_type(data.num_classes - 1).newbyteorder("<")
        self.test_set = TestSet(data.y_test.size, data.num_classes, data.chance)
        protocol = self._settings.protocol.create()
        self.crosses_cut: bool = protocol.crosses_cut
        self.progress = Progress(self._settings, protocol.rounds_per_epoch(self.sampler))
        self.open_round: OpenRound | None = None
        self._losses: list[float] = []

    def costs(self) -> Costs:
        """FLOPs, and what codecs cost, for the clock. Measures codecs of one's own that do not say it."""
        shape = (self._batch_size, *self.model.activation_shape)
        codecs = {
            ACTIVATIONS: cost_of(self.uplink, shape, sparse=True),
            GRADIENTS: cost_of(self.downlink, shape, sparse=False),
            WEIGHTS: cost_of(self.weights_codec, (self.client.size,), sparse=False),
        }
        return Costs(
            client_forward_flops=self.model.client_flops.forward,
            client_backward_flops=self.model.client_flops.backward,
            server_forward_flops=self.model.server_flops.forward,
            server_backward_flops=self.model.server_flops.backward,
            **by_kind(codecs),
        )

    # Split training: one exchange of activations and their gradients.

    def exchange(self, batches: Sequence[Batch]) -> list[Turn]:
        """Forward and backward of a mini-batch of each of these clients, through codecs and both halves; all
        hold the weights that are loaded. Gradients are summed until the halves' `step`. What each sent."""
        activations = self.forward(batches)
        uplink = self.encode(batches, activations)
        labels = self.encode_labels(batches)
        downlink = self.server_pass(uplink, labels)
        self.backward(activations, downlink)
        turns = []
        for batch, up, label, down in zip(batches, uplink, labels, downlink, strict=True):
            raw = 4 * batch.indices.size * math.prod(self.model.activation_shape)
            messages = (
                Message(ACTIVATIONS, "up", up.num_bytes, raw, self.uplink.extra(up)),
                Message(LABELS, "up", len(label), len(label)),
                Message(GRADIENTS, "down", down.num_bytes, raw, self.downlink.extra(down)),
            )
            turns.append(Turn(batch.client, batch.indices.size, messages))
        return turns

    def forward(self, batches: Sequence[Batch]) -> torch.Tensor:
        """Activations of all clients, one below the other, float32 with their graph."""
        return self._activations(self._training_images(batches), [batch.indices.size for batch in batches])

    def _activations(self, images: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
        return self._through(self.client, images, counts).float()

    def _through(self, half: Half, inputs: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
        """The batches of clients, `counts` samples each, through one half; none sees another's."""
        with self._precision():
            if half.apart and len(counts) > 1:
                shares = sampling.shares(counts, self._settings.weighting)
                return one_by_one(half.module, inputs.split(list(counts)), shares)
            with ghost.grouped(self._ghosts, counts, self._uneven(counts)):
                return half(inputs)

    def _uneven(self, counts: Sequence[int]) -> list[float]:
        """How much each client's batch counts in an average; empty where all count the same."""
        weighting = self._settings.weighting
        return sampling.shares(counts, weighting) if weighting == "samples" and len(set(counts)) > 1 else []

    def _scales(self, counts: Sequence[int], like: torch.Tensor) -> torch.Tensor | None:
        """How many times its own gradient each client's counts in the sum that a step divides by the number
        of clients, a row a sample; None where it is once."""
        if not (shares := self._uneven(counts)):
            return None
        rows = np.repeat(np.array(shares, dtype=np.float32) * len(counts), counts)
        return moved(torch.from_numpy(rows), self._device).view(-1, *[1] * (like.ndim - 1))

    def encode(self, batches: Sequence[Batch], activations: torch.Tensor) -> list[Payload]:
        """Each client's activations through the uplink codec. Raises `TrainingDiverged`."""
        draws = self.uplink.draws
        rngs = [self._generator("codec", batch) for batch in batches] if draws else None
        return encoded(self.uplink, activations, [batch.indices.size for batch in batches], rngs)

    def _training_images(self, batches: Sequence[Batch]) -> torch.Tensor:
        augments = self._images.augments
        rngs = [self._generator("augmentation", batch) for batch in batches] if augments else []
        return self._images.training([batch.indices for batch in batches], rngs)

    def _generator(self, purpose: str, batch: Batch) -> np.random.Generator:
        """Of the client's mini-batch: no two draw from one stream."""
        return seeds.generator(self.seed, purpose, batch.client, batch.number)

    def encode_labels(self, batches: Sequence[Batch]) -> list[bytes]:
        """Each client's labels as they travel: one unsigned integer a sample, of the smallest width."""
        return [self._images.y_train[batch.indices].astype(self._label_type).tobytes() for batch in batches]

    def server_pass(self, payloads: Sequence[Payload], labels: Sequence[bytes]) -> list[Payload]:
        """Decodes activations and labels; forward and backward of each client's mean cross-entropy on the
        server's half; each client's activation gradients through the downlink codec. Raises
        `TrainingDiverged`."""
        counts = [len(part) // self._label_type.itemsize for part in labels]
        activations = self._decoded(self.uplink, payloads, counts).requires_grad_()
        targets = np.concatenate([np.frombuffer(part, self._label_type) for part in labels])
        losses = self._client_losses(self._through(self.server, activations, counts), targets, counts)
        losses.sum().backward()
        gradients, scales = cast(torch.Tensor, activations.grad), self._scales(counts, activations)
        payloads = encoded(self.downlink, gradients if scales is None else gradients / scales, counts)
        self._note_loss(losses)
        return payloads

    def backward(self, activations: torch.Tensor, payloads: Sequence[Payload]) -> None:
        """Decodes the gradients and runs the clients' backward; the codec's own gradient is taken as
        identity."""
        counts = [payload.shape[0] for payload in payloads]
        gradients = self._decoded(self.downlink, payloads, counts)
        if activations.requires_grad:
            scales = self._scales(counts, gradients)
            activations.backward(gradients if scales is None else gradients * scales)

    def _decoded(self, codec: Codec, payloads: Sequence[Payload], counts: Sequence[int]) -> torch.Tensor:
        """All payloads decoded, one below the other; each must have the shape that the receiver expects."""
        last, shape = self.manner.channels_last, self.model.activation_shape
        return moved(decoded(codec, payloads, counts, shape, last), self._device)

    # The whole model in one place.

    def learn_whole(self, batches: Sequence[Batch]) -> None:
        """Forward and backward of these batches, as one, through both halves, with nothing in between.
        Raises `TrainingDiverged`."""
        with self._precision():
            logits = self.server(self.client(self._training_images(batches)))
        indices = np.concatenate([batch.indices for batch in batches])
        losses = self._client_losses(logits, self._images.y_train[indices], [indices.size])
        losses.sum().backward()
        self._note_loss(losses)

    def _client_losses(
        self, logits: torch.Tensor, targets: NDArray[Any], counts: Sequence[int]
    ) -> torch.Tensor:
        """Each client's mean cross-entropy, times what it counts (see `_scales`), [clients]."""
        labels = self._labels(targets)
        losses = nn.functional.cross_entropy(logits.float(), labels, reduction="none")
        if min(counts) == max(counts):  # as most rounds are: one operation instead of one a client
            return losses.view(len(counts), -1).mean(dim=1)
        scales = self._scales(counts, losses)
        losses = losses if scales is None else losses * scales
        return torch.stack([part.mean() for part in losses.split(list(counts))])

    def _labels(self, targets: NDArray[Any]) -> torch.Tensor:
        """As torch wants them: int64, where it computes."""
        return moved(torch.from_numpy(targets.astype(np.int64)), self._device)

    def _note_loss(self, client_losses: torch.Tensor) -> None:
        """Read last of all: by then an accelerator has done what it was waited for. Raises
        `TrainingDiverged`."""
        mean_loss = float(client_losses.detach().mean())
        if not math.isfinite(mean_loss):
            raise TrainingDiverged(f"the loss became {mean_loss}")
        self._losses.append(mean_loss)

    # Steps and weights.

    def step(self, participants: int = 1) -> None:
        """One optimizer step on both halves by the gradients averaged over `participants` (MS, Eq. 2): an
        `exchange` of batches of different sizes has weighted them by samples, unless `weighting` says not."""
        self.progress.steps += 1
        rate = self.progress.learning_rate()
        self.client.step(rate, participants)
        self.server.step(rate, participants)

    def send_weights(
        self, state: torch.Tensor, client: int, direction: Direction
    ) -> tuple[tuple[Message, ...], torch.Tensor]:
        """A state, of the client's half or of both, as it arrives, and its messages: the weights through the
        weights codec; what is no weight (running statistics, counters), if there is any, as it is."""
        halves = (self.client,) if len(state) == self.client.size else (self.client, self.server)
        rng = seeds.generator(self.seed, f"weights {direction}", client, self.progress.rounds)
        return state_sent(state, halves, self.weights_codec, direction, rng)

    def whole_weights(self) -> torch.Tensor:
        """The state of the client's half and then the server's, as one vector."""
        return torch.cat([half.weights().to(self._device) for half in (self.client, self.server)])

    def load_whole(self, weights: torch.Tensor) -> None:
        """Put the whole model's state back; momentum is forgotten."""
        client, server = weights.split([self.client.size, self.server.size])
        for half, part in ((self.client, client), (self.server, server)):
            half.load(part)
            half.forget_momentum()

    def begin_round(self, **kept: Any) -> OpenRound:
        """A round of several steps begins, with what its protocol keeps of it (see `OpenRound`)."""
        self.open_round = OpenRound(**kept)
        return self.open_round

    def finish_round(self) -> None:
        """The round is over, and the weights that are loaded are everyone's."""
        self.progress.rounds += 1
        self.open_round = None

    # Looking at it.

    def look_ahead(self) -> tuple[Batch, torch.Tensor, torch.Tensor]:
        """The mini-batch that the coming round's first participant will take, without taking it: with its
        images and its labels (int64)."""
        batch = self.sampler.peek(self.progress.rounds)[0]
        labels = self._labels(self._images.y_train[batch.indices])
        return batch, self._training_images([batch]), labels

    @torch.no_grad()
    def test_activations(self) -> Iterator[torch.Tensor]:
        """The activations of the test images at the cut, in a client's batch size."""
        with self._evaluating():
            for images, _ in self._images.test_batches():
                yield from self._activations(images, self._client_batches(images)).split(self._batch_size)

    @torch.no_grad()
    def evaluate(self) -> Evaluation:
        """Accuracy on the test set, encoded in a client's batch size as at inference, and plain."""
        correct_through, correct_plain, total = 0, 0, 0
        with self._evaluating():
            for images, labels in self._images.test_batches():
                counts = self._client_batches(images)
                activations = self._activations(images, counts)
                plain = self._num_correct(activations, labels, counts)
                correct_plain += plain
                total += labels.numel()
                if not self.crosses_cut or isinstance(self.uplink, Identity):
                    correct_through += plain
                    continue
                arrived = self._decoded(self.uplink, encoded(self.uplink, activations, counts), counts)
                correct_through += self._num_correct(arrived, labels, counts)
        training_loss = sum(self._losses) / len(self._losses)
        self._losses.clear()
        accuracies = correct_through / total, correct_plain / total
        return Evaluation(self.progress.rounds, self.progress.epoch, *accuracies, training_loss)

    def _client_batches(self, images: torch.Tensor) -> list[int]:
        """Test images in a client's batch size."""
        return [len(part) for part in images.split(self._batch_size)]

    def _num_correct(self, activations: torch.Tensor, labels: torch.Tensor, counts: Sequence[int]) -> int:
        logits = self._through(self.server, activations, counts)
        check_finite(logits, "what the model makes of the test images")
        return int((logits.argmax(dim=1) == labels).sum())

    # Where it has got to.

    def state(self) -> dict[str, Any]:
        """All that a training needs to go on from here, beside its scenario: tensors and plain values."""
        return {
            "client": vars(self.client.snapshot()),
            "server": vars(self.server.snapshot()),
            "taken": torch.from_numpy(self.sampler.taken.copy()),
            "rounds": self.progress.rounds,
            "steps": self.progress.steps,
            "open_round": self.open_round.state() if self.open_round else None,
            "losses": list(self._losses),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.client.restore(Snapshot(**state["client"]))
        self.server.restore(Snapshot(**state["server"]))
        self.sampler.taken[:] = state["taken"].numpy()
        self.progress.rounds, self.progress.steps = state["rounds"], state["steps"]
        unfinished = state["open_round"]
        self.open_round = OpenRound.of(unfinished, self._device) if unfinished else None
        self._losses = list(state["losses"])

    # How it computes.

    def _precision(self) -> AbstractContextManager[Any]:
        enabled = self._settings.precision == "bfloat16"
        return torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=enabled)

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Layers use running statistics, and drop nothing."""
        for module in self._modules:
            module.eval()
        try:
            yield
        finally:
            for module in self._modules:
                module.train()
