"""Evaluate a model on the test images, with what crosses the cut through its codecs and without."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from slsim.codecs import Identity
from slsim.learning.codings import check_finite
from slsim.learning.computation import Computation
from slsim.learning.progress import Progress
from slsim.learning.tensors import Tensors
from slsim.recording import ACTIVATIONS, FEATURES, Evaluation


@torch.no_grad()
def test_activations(computation: Computation, batch_size: int) -> Iterator[torch.Tensor]:
    """The activations of the test images at the cut, in batches of `batch_size`."""
    with computation.parts.evaluating():
        for images, _ in computation.images.test_batches():
            counts = _batches(images, batch_size)
            yield from computation.parts.through_client(images, counts).split(batch_size)


@torch.no_grad()
def evaluate(tensors: Tensors, progress: Progress, batch_size: int, crosses_cut: bool) -> Evaluation:
    """Accuracy on the test images, encoded in batches of `batch_size` as at inference, and plain. Without
    `crosses_cut` nothing is encoded. The mean training loss since the last evaluation is read, and reset.
    Raises `TrainingDiverged`."""
    through_codecs = crosses_cut and not _are_exact(tensors)
    correct_through, correct_plain, total = 0, 0, 0
    with tensors.parts.evaluating():
        for images, labels in tensors.images.test_batches():
            counts = _batches(images, batch_size)
            activations = tensors.parts.through_client(images, counts)
            plain = _num_correct(_logits(tensors, activations, counts, encoded=False), labels)
            correct_plain += plain
            total += labels.numel()
            if through_codecs:
                received = tensors.through(ACTIVATIONS, activations, counts)
                plain = _num_correct(_logits(tensors, received, counts, encoded=True), labels)
            correct_through += plain
    accuracies = correct_through / total, correct_plain / total
    return Evaluation(progress.rounds, progress.epoch, *accuracies, tensors.mean_loss())


def _are_exact(tensors: Tensors) -> bool:
    kinds = [ACTIVATIONS] if tensors.parts.model.head is None else [ACTIVATIONS, FEATURES]
    return all(isinstance(tensors.codings.of(kind), Identity) for kind in kinds)


def _batches(images: torch.Tensor, size: int) -> list[int]:
    return [len(part) for part in images.split(size)]


def _logits(
    tensors: Tensors, activations: torch.Tensor, counts: Sequence[int], encoded: bool
) -> torch.Tensor:
    outputs = tensors.parts.through_server(activations, counts)
    if tensors.parts.model.head is None:
        return outputs
    features = outputs.float()
    if encoded:
        features = tensors.through(FEATURES, features, counts)
    return tensors.parts.through_head(features, counts)


def _num_correct(logits: torch.Tensor, labels: torch.Tensor) -> int:
    check_finite(logits, "what the model makes of the test images")
    return int((logits.argmax(dim=1) == labels).sum())
