"""The loss of one mini-batch as a function of the activations at the cut, with its derivatives.

Computed on copies of both halves, in float32, and with the random numbers of layers that draw held fixed:
looking changes nothing that is learned.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import nn

from slsim.errors import DataError
from slsim.learning.halves import flat

Vectors: TypeAlias = Callable[[torch.Tensor], torch.Tensor]

ITERATIONS = 10  # of the power method


class Surface:
    """L(a) = mean cross-entropy of the server's half over the mini-batch, batch normalization as in training.

    `activations` are the client's, a; G(a) = ∂L/∂a; g_s(a) = ∂L/∂θ_s, the server's gradient; the client's
    is Jᵀ G with J = ∂a/∂θ_c. Vectors over parameters are flat, those over activations have a's shape.
    """

    def __init__(
        self, client: nn.Module, server: nn.Module, images: torch.Tensor, labels: torch.Tensor
    ) -> None:
        self._server = copy.deepcopy(server)
        own = copy.deepcopy(client)
        self._labels = labels
        self._client_weights = _learned(own)
        self._server_weights = _learned(self._server)
        torch.manual_seed(0)
        self._outputs = own(images).float()
        self.activations: torch.Tensor = self._outputs.detach()

    @property
    def learns_on_client(self) -> bool:
        return bool(self._client_weights) and self._outputs.requires_grad

    @property
    def learns_on_server(self) -> bool:
        return bool(self._server_weights)

    def gradients(self, activations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """G and g_s there. The copy gives the same values the same place in memory: without, arithmetic would
        go in another order, and rounding would look like an error."""
        place = activations.detach().clone(memory_format=torch.contiguous_format)
        own, cross = self._gradients(place.requires_grad_(), graph=False)
        return own.detach(), cross.detach()

    def client_gradient(self, gradients: torch.Tensor) -> torch.Tensor:
        """Jᵀ `gradients`."""
        return _product([self._outputs], self._client_weights, [gradients], graph=True).detach()

    def jacobian_norm(self, start: torch.Tensor) -> float:
        """‖J‖, by the power method from `start`: at least ‖Jᵀ start‖ / ‖start‖."""
        dual = torch.zeros_like(self._outputs, requires_grad=True)
        transposed = _product([self._outputs], self._client_weights, [dual], graph=True)

        def forward(direction: torch.Tensor) -> torch.Tensor:
            return _product([transposed], [dual], [direction]).view_as(start)

        return largest_singular_value(self.client_gradient, forward, start)

    def hessian_norms(self, activations: torch.Tensor, start: torch.Tensor) -> tuple[float, float]:
        """‖∂G/∂a‖ and ‖∂g_s/∂a‖ there, by the power method from `start`, a direction in activations."""
        place = activations.detach().requires_grad_()
        own, cross = self._gradients(place, graph=True)

        def along(outputs: torch.Tensor) -> Vectors:
            return lambda direction: _product([outputs], [place], [direction]).view_as(start)

        within = largest_singular_value(along(own), along(own), start)  # it is symmetric
        if not self.learns_on_server:
            return within, 0.0
        across = largest_singular_value(
            lambda direction: _product([own], self._server_weights, [direction]), along(cross), start
        )
        return within, across

    def _gradients(self, activations: torch.Tensor, graph: bool) -> tuple[torch.Tensor, torch.Tensor]:
        torch.manual_seed(0)
        loss = nn.functional.cross_entropy(self._server(activations).float(), self._labels)
        found = torch.autograd.grad(
            loss, [activations, *self._server_weights], create_graph=graph, materialize_grads=True
        )
        return found[0], flat(found[1:])


def largest_singular_value(forward: Vectors, adjoint: Vectors, start: torch.Tensor) -> float:
    """‖A‖ by the power method on AᵀA from `start`, which is not zero. The iterates ‖A v‖ never fall, so it
    is between ‖A start‖ / ‖start‖ and ‖A‖."""
    largest, direction = 0.0, start / norm(start)
    for _ in range(ITERATIONS):
        image = forward(direction)
        size = norm(image)
        largest = max(largest, size)
        if size == 0:
            break
        direction = adjoint(image / size)
        if (length := norm(direction)) == 0:
            break
        direction = direction / length
    return largest


def norm(values: torch.Tensor) -> float:
    """The l2 norm, summed in float64."""
    return float(torch.linalg.vector_norm(values, dtype=torch.float64))


@contextmanager
def undisturbed(device: torch.device) -> Iterator[None]:
    """Draws of torch's own generators inside leave no trace. A layer without second derivatives is told."""
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    except RuntimeError as error:
        if not any(sign in str(error) for sign in ("is not implemented", "once_differentiable")):
            raise
        raise DataError(
            f'the hook "theory" needs second derivatives, and a layer of this model has none ({error}); '
            "leave it out of training.hooks"
        ) from error


def _learned(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def _product(
    outputs: Sequence[torch.Tensor],
    inputs: Sequence[torch.Tensor],
    vectors: Sequence[torch.Tensor],
    graph: bool = False,
) -> torch.Tensor:
    """Σ vector · ∂output/∂input, flat; 0 where an output does not depend on anything."""
    if not outputs[0].requires_grad:
        return torch.cat([torch.zeros_like(one).flatten() for one in inputs])
    found = torch.autograd.grad(
        outputs, inputs, vectors, retain_graph=True, create_graph=graph, materialize_grads=True
    )
    return flat(found)
