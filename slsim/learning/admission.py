"""Whether a model can be trained as a scenario asks, and how: tried on copies, before anything is written.

A stranger's layers may do anything. So all parts take two steps on real images, in training's memory
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
from slsim.learning import apart, ghost
from slsim.learning.apart import COUNTS, Manner
from slsim.learning.codings import laid_out
from slsim.learning.data import Dataset
from slsim.learning.halves import lay_out
from slsim.learning.images import TEST_BATCH, Images
from slsim.learning.layers import Layer, Walk, backward_of, copied, layers_of, num_layers, output_of, walk
from slsim.learning.sampling import Sampler
from slsim.learning.split import SplitModel
from slsim.scenario import Scenario

SEVERAL = 3  # samples of a trial
STEPS = 2  # of a trial: what a layer keeps from the first may break the second


def admit(scenario: Scenario, data: Dataset, model: SplitModel, device: torch.device) -> Manner:
    """How `model` is to be trained. Where a layer cannot take images with their channels last, that is the
    usual layout. Raises `DataError` that names the layer and the reason where it cannot be trained at all."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        apart_ones, notices = _apart(model, data.image_shape)
        manner = Manner(scenario.training.channels_last, **apart_ones, notices=notices)
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


def _apart(model: SplitModel, image_shape: tuple[int, ...]) -> tuple[dict[str, bool], tuple[str, ...]]:
    """Which parts must take one client's batch after another's, and a line on each."""
    generator = torch.Generator().manual_seed(0)
    parts = {"client": (model.client, image_shape), "server": (model.server, model.activation_shape)}
    if model.head is not None:
        assert model.head_shape is not None
        parts["head"] = (model.head, model.head_shape)
    first, apart_ones, lines = 1, {}, []
    for name, (part, shape) in parts.items():
        rows = [model.cut_shape.rows(count) if name == "server" else count for count in COUNTS]
        batches = [torch.randn(n, *shape, generator=generator) * scale for scale, n in enumerate(rows, 1)]
        layer = apart.mixing(part, first, batches)
        first += num_layers(part)
        apart_ones[f"{name}_apart"] = layer is not None
        if layer:
            where = "the head" if name == "head" else f"the {name}'s half"
            lines.append(
                f"{layer} gives other numbers for a client's samples when another client's are in the same "
                f"batch: {where} takes one client's batch after another's"
            )
    return apart_ones, tuple(lines)


def _try(scenario: Scenario, data: Dataset, model: SplitModel, device: torch.device, manner: Manner) -> None:
    """Raises `DataError` where the model cannot be trained in that manner."""
    trial = _Trial(scenario, data, model, device, manner.channels_last)
    several = min(SEVERAL, len(data.y_train))
    for _ in range(STEPS):
        trial.learn(several)
    _check_shared(model, trial)
    trial.evaluate(several)
    together = not (manner.client_apart or manner.server_apart or manner.head_apart)
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


@dataclass(frozen=True)
class _Passed:
    """What a part received, its layers' steps, and what it sends on."""

    received: torch.Tensor
    steps: Walk
    sent: torch.Tensor


@dataclass
class _Trial:
    """Copies of all parts of the model, run as in training."""

    scenario: Scenario
    data: Dataset
    model: SplitModel
    device: torch.device
    channels_last: bool

    def __post_init__(self) -> None:
        model = self.model
        parts = {"client": model.client, "server": model.server}
        if model.head is not None:
            parts["head"] = model.head
        self._parts = {name: copied(part, self.device) for name, part in parts.items()}
        first, self._layers = 1, {}
        for name, part in self._parts.items():
            lay_out(part, self.channels_last)
            self._layers[name] = layers_of(part, first)
            first += num_layers(part)
        self.client = self._parts["client"]
        self._images = Images(self.data, None, self.device, self.channels_last)

    def learn(self, samples: int) -> None:
        """One step without the optimizer's part."""
        how = self._mode(True, samples)
        passed = self._forward(samples, how)
        for one in passed:
            self._check_numbers(one.steps, samples)
        *below, last = passed
        logits = last.steps[-1].output
        labels = torch.from_numpy(self.data.y_train[:samples].astype(np.int64)).to(self.device)
        for one in passed[1:]:
            if not _reaches(one.steps[-1].output, one.received):
                raise DataError(
                    f"{_severed(one.steps, one.received)} lets no gradient through to the client's half"
                )
        loss = nn.functional.cross_entropy(logits.float(), labels)
        with backward_of(last.steps, how):
            loss.backward()
        received = last.received
        for one in reversed(below):
            assert received.grad is not None
            if one.sent.requires_grad:
                with backward_of(one.steps, how):
                    one.sent.backward(laid_out(received.grad.contiguous(), self.channels_last))
            received = one.received
        weights = [one for one in self.client.parameters() if one.requires_grad and one.numel()]
        if weights and all(weight.grad is None for weight in weights):
            raise DataError(
                f"{_cut_off(passed[0].steps)} lets no gradient through, so nothing on the client can learn; "
                "if that is meant, freeze the client's weights (requires_grad_(False))"
            )
        for part in self._parts.values():
            part.zero_grad()

    @torch.no_grad()
    def evaluate(self, samples: int) -> None:
        """As test images are evaluated."""
        self._forward(samples, self._mode(False, samples))

    def _mode(self, training: bool, samples: int) -> str:
        for part in self._parts.values():
            part.train(training)
        count = "one sample" if samples == 1 else f"{samples} samples"
        return f"in {'training' if training else 'evaluation'}, with {count} of shape {self.data.image_shape}"

    def _forward(self, samples: int, how: str) -> list[_Passed]:
        """The images through every part, one after another."""
        received = self._images.training([np.arange(samples)], [])
        enabled = self.scenario.training.precision == "bfloat16"
        passed: list[_Passed] = []
        for name, layers in self._layers.items():
            autocast = torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled)
            with autocast, ghost.grouped(self._parts[name], (samples,)):
                steps = walk(layers, received, how)
            sent = output_of(steps, name, samples, self.model.cut_shape.rows(samples)).float()
            passed.append(_Passed(received, steps, sent))
            received = laid_out(sent.detach().contiguous(), self.channels_last)
            received.requires_grad_(torch.is_grad_enabled())
        shape, classes = tuple(passed[-1].sent.shape[1:]), self.data.num_classes
        if shape != (classes,):
            layer = passed[-1].steps[-1].layer
            raise DataError(f"{layer} gives {shape} values a sample {how}; there are {classes} classes")
        return passed

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
