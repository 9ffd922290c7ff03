"""Whether a model can be trained as a scenario asks, and how: tried on copies, before anything is written.

A stranger's layers may do anything. So both halves take two steps on real images, in training's memory
layout, precision and threads, and are evaluated; what is wrong is told of a layer. Training does not notice:
weights, buffers, gradients and random streams stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from slsim.errors import DataError
from slsim.learning import apart
from slsim.learning.apart import COUNTS, Manner
from slsim.learning.crossing import laid_out
from slsim.learning.data import Dataset
from slsim.learning.halves import lay_out
from slsim.learning.images import TEST_BATCH, Images
from slsim.learning.layers import Layer, Walk, backward_of, copied, layers_of, output_of, walk
from slsim.learning.sampling import Sampler
from slsim.learning.split import SplitModel
from slsim.scenario import Scenario

SEVERAL = 3  # samples of a trial
STEPS = 2  # of a trial: what a layer keeps from the first may break the second


def admit(scenario: Scenario, data: Dataset, model: SplitModel, device: torch.device) -> Manner:
    """How `model` is to be trained. Where a layer cannot take images with their channels last, that is the
    usual layout. Raises `DataError` that names the layer and the reason where it cannot be trained at all."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        halves_apart, notices = _apart(model, data.image_shape)
        manner = Manner(scenario.training.channels_last, *halves_apart, notices)
        try:
            _try(scenario, data, model, device, manner)
        except DataError as error:
            if not manner.channels_last:
                raise
            failed = str(error).removesuffix(".")
            reason = f"{failed}; so images are laid out as usual (channels_last = false)"
            manner = replace(manner, channels_last=False, notices=(*notices, reason))
            _try(scenario, data, model, device, manner)
    return manner


def _apart(model: SplitModel, image_shape: tuple[int, ...]) -> tuple[tuple[bool, bool], tuple[str, ...]]:
    """Which halves must take one client's batch after another's, and a line on each."""
    generator = torch.Generator().manual_seed(0)
    batches = [
        torch.randn(count, *image_shape, generator=generator) * scale for scale, count in enumerate(COUNTS, 1)
    ]
    culprits = [apart.mixing(model.client, 1, batches)]
    shape = model.activation_shape
    batches = [
        torch.randn(count, *shape, generator=generator) * scale for scale, count in enumerate(COUNTS, 1)
    ]
    culprits.append(apart.mixing(model.server, len(model.client) + 1, batches))
    lines = [
        f"{layer} gives other numbers for a client's samples when another client's are in the same batch: "
        f"the {half}'s half takes one client's batch after another's"
        for layer, half in zip(culprits, ("client", "server"), strict=True)
        if layer
    ]
    client, server = (layer is not None for layer in culprits)
    return (client, server), tuple(lines)


def _try(scenario: Scenario, data: Dataset, model: SplitModel, device: torch.device, manner: Manner) -> None:
    """Raises `DataError` where the model cannot be trained in that manner."""
    trial = _Trial(scenario, data, model, device, manner.channels_last)
    several = min(SEVERAL, len(data.y_train))
    for _ in range(STEPS):
        trial.learn(several)
    _check_shared(model, trial)
    trial.evaluate(several)
    together = not (manner.client_apart or manner.server_apart)
    protocol, batch_size = scenario.training.protocol.create(), scenario.clients.batch_size
    if several > 1 and protocol.smallest_batch(Sampler.of(scenario, data), together) == 1:
        with _alone("mini-batches"):
            trial.learn(1)
    if several > 1 and _smallest_test_batch(len(data.y_test), TEST_BATCH if together else batch_size) == 1:
        with _alone("batches of test images"):
            trial.evaluate(1)


def _smallest_test_batch(images: int, size: int) -> int:
    whole = [min(TEST_BATCH, images - start) for start in range(0, images, TEST_BATCH)]
    return min(min(count, count % size or size) for count in whole)


@contextmanager
def _alone(batches: str) -> Iterator[None]:
    """A batch of one sample is there, and fails though several do not."""
    try:
        yield
    except DataError as error:
        raise DataError(
            f"{error}. With several samples the model works, but some {batches} here have one: let the layer "
            "keep the batch's axis (torch.flatten(x, 1), not torch.squeeze(x)), or choose another batch_size"
        ) from None


def _check_shared(model: SplitModel, trial: _Trial) -> None:
    """Raises `DataError` where a buffer that training changes is on both sides of the cut."""
    for name, buffer in model.client.named_buffers():
        for other, same in model.server.named_buffers():
            if buffer is same and not torch.equal(trial.client.get_buffer(name).cpu(), buffer.cpu()):
                raise DataError(
                    f'"{name}" and "{other}" are one buffer that training changes, and the cut lies between '
                    "the layers that share it; cut the model before both or after both"
                )


@dataclass
class _Trial:
    """Copies of both halves, run as in training."""

    scenario: Scenario
    data: Dataset
    model: SplitModel
    device: torch.device
    channels_last: bool

    def __post_init__(self) -> None:
        self.client, self.server = (
            copied(half, self.device) for half in (self.model.client, self.model.server)
        )
        for half in (self.client, self.server):
            lay_out(half, self.channels_last)
        self._layers = layers_of(self.client), layers_of(self.server, len(self.client) + 1)
        self._images = Images(self.data, None, self.device, self.channels_last)

    def learn(self, samples: int) -> None:
        """One step without the optimizer's part."""
        how = self._mode(True, samples)
        sent, received, client, server = self._forward(samples, how)
        self._check_numbers(client, samples)
        self._check_numbers(server, samples)
        logits = server[-1].output
        if not _reaches(logits, received):
            raise DataError(f"{_severed(server, received)} lets no gradient through to the client's half")
        labels = torch.from_numpy(self.data.y_train[:samples].astype(np.int64)).to(self.device)
        loss = nn.functional.cross_entropy(logits.float(), labels)
        with backward_of(server, how):
            loss.backward()
        assert received.grad is not None
        weights = [one for one in self.client.parameters() if one.requires_grad and one.numel()]
        if sent.requires_grad:
            with backward_of(client, how):
                sent.backward(laid_out(received.grad.contiguous(), self.channels_last))
        if weights and all(weight.grad is None for weight in weights):
            raise DataError(
                f"{_cut_off(client)} lets no gradient through, so nothing on the client can learn; if that "
                "is meant, freeze the client's weights (requires_grad_(False))"
            )
        for half in (self.client, self.server):
            half.zero_grad()

    @torch.no_grad()
    def evaluate(self, samples: int) -> None:
        """As test images are evaluated."""
        self._forward(samples, self._mode(False, samples))

    def _mode(self, training: bool, samples: int) -> str:
        for half in (self.client, self.server):
            half.train(training)
        count = "one sample" if samples == 1 else f"{samples} samples"
        return f"in {'training' if training else 'evaluation'}, with {count} of shape {self.data.image_shape}"

    def _forward(self, samples: int, how: str) -> tuple[torch.Tensor, torch.Tensor, Walk, Walk]:
        """What the client sends, what the server receives, and both walks."""
        images = self._images.training([np.arange(samples)], [])
        enabled = self.scenario.training.precision == "bfloat16"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled):
            client = walk(self._layers[0], images, how)
        sent = output_of(client, "client", samples).float()
        received = laid_out(sent.detach().contiguous(), self.channels_last).requires_grad_(
            torch.is_grad_enabled()
        )
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled):
            server = walk(self._layers[1], received, how)
        shape = tuple(output_of(server, "server", samples).shape[1:])
        if shape != (self.data.num_classes,):
            classes = self.data.num_classes
            raise DataError(
                f"{server[-1].layer} gives {shape} values a sample {how}; there are {classes} classes"
            )
        return sent, received, client, server

    def _check_numbers(self, steps: Walk, samples: int) -> None:
        """Raises `DataError` where a half gives NaN or infinity, naming the layer where they begin."""
        if bool(torch.isfinite(steps[-1].output).all()):
            return
        wrong = next(
            step
            for step in steps
            if isinstance(step.output, torch.Tensor) and not bool(torch.isfinite(step.output).all())
        )
        raise DataError(
            f"{wrong.layer} gives NaN or infinity for the first {samples} training images, before anything "
            "is learned"
        )


def _reaches(outputs: object, inputs: torch.Tensor) -> bool:
    """Whether a gradient of `outputs` goes to `inputs`."""
    if not isinstance(outputs, torch.Tensor) or not outputs.requires_grad:
        return False
    found = torch.autograd.grad(outputs.sum(), inputs, retain_graph=True, allow_unused=True)
    return found[0] is not None


def _severed(steps: Walk, inputs: torch.Tensor) -> Layer:
    """The first layer behind which nothing leads back to `inputs`."""
    tensors = [step for step in steps if isinstance(step.output, torch.Tensor)]
    return next((step.layer for step in tensors if not _reaches(step.output, inputs)), steps[-1].layer)


def _cut_off(steps: Walk) -> Layer:
    """The first layer, from the first with weights that learn on, that gives what has no gradient."""
    learning = False
    for step in steps:
        learning = learning or any(one.requires_grad for one in step.layer.module.parameters())
        if learning and not getattr(step.output, "requires_grad", True):
            return step.layer
    return steps[-1].layer
