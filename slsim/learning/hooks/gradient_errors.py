"""Measure a training by the quantities of the theory in *Mask-Encoded Sparsification* (ECAI 2024).

What is measured, in this reading of it (the paper's constants are not at hand, so each is derived here). An
uplink codec turns activations a into a + ε; the server's gradient g_s and the activation gradient G are
taken there; the client's is g_c = Jᵀ G, with J = ∂a/∂θ_c of the true activations, since the codec's own
gradient is taken as identity. g is without, ĝ with the codec.

Lemma 2. If ∂L/∂a and ∂L/∂θ_s change by at most H_c and H_s per unit of activations between a and a + ε, then
    ‖ĝ_s - g_s‖ ≤ H_s ‖ε‖    and    ‖ĝ_c - g_c‖ ≤ ‖J‖ (H_c ‖ε‖ + ‖δ‖),
δ being what a downlink codec adds (0 without one). H is the larger of two estimates:
- `hessian`: the norm of the second derivative by the power method from ε, at `PLACES` points of the segment.
  It may be too small in two ways: the points are few, and at a kink of ReLU or max-pool gradients jump,
  which no second derivative shows.
- `slope`: the segment in `PIECES`, the largest change of the gradient over a piece ÷ its length. Jumps count.
  By the triangle inequality slope · ‖ε‖ is never below the error.
So `bound` holds by construction, up to rounding (‖J‖ is by the power method from the very Ĝ - G that it must
hold for); that `hessian` alone bounds the error is what a measurement can refute.

Theorem 1. `bias` is ‖E ĝ - g‖ over the codec's draws (see `estimate_bias`); for a codec that does not draw it
is the error, without an interval. The activations' own bias says whether the codec is unbiased.

Theorem 4. `alpha` = 1 - E ‖ε‖² / ‖a‖²: of a contractive codec, E ‖ε‖² ≤ (1 - alpha) ‖a‖². It is below 0
where the codec does not contract.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch

from slsim.codecs import Codec
from slsim.learning.hooks.base import Row
from slsim.learning.hooks.bias import estimate_bias
from slsim.learning.hooks.look import Look
from slsim.learning.hooks.surface import Surface, norm, undisturbed

Quantities: TypeAlias = dict[str, float]

PIECES = 16  # of the segment from a to a + ε
PLACES = 5  # on it, the ends among them
PARTS = ("activations", "client", "server")


@dataclass(frozen=True)
class Lipschitz:
    """How fast G (client) and g_s (server) change with activations: largest second derivative (`hessian`)
    and largest slope over a piece of the segment."""

    hessian: tuple[float, float]
    slope: tuple[float, float]

    @property
    def constants(self) -> tuple[float, float]:
        """H_c and H_s."""
        client, server = (max(both) for both in zip(self.hessian, self.slope, strict=True))
        return client, server


def quantities(look: Look, draws: int) -> Iterator[Row]:
    """Everything of the module's docstring, at the weights that are loaded, for the mini-batch that the first
    participant takes next; nothing where a number is not finite. The codec's draw is repeated, not taken; the
    other `draws` are the hook's own."""
    with undisturbed(look.images.device):
        surface = Surface(look.client_module, look.server_module, look.images, look.labels)
        if not torch.isfinite(surface.activations).all():
            return
        arrived = look.uplink.decode(look.encoded(surface.activations)).to(look.images.device)
        found = _errors(surface, arrived, look.downlink)
        biases, alpha = _biases(surface, look, draws, look.generator("probe"))
    found["activations"]["alpha"] = alpha
    for part, bias in biases.items():
        found[part] |= bias or {"bias": found[part]["error"]}
    rows = [(part, quantity, value) for part in PARTS for quantity, value in found.get(part, {}).items()]
    if all(np.isfinite(value) for _, _, value in rows):
        yield from rows


def _errors(surface: Surface, arrived: torch.Tensor, downlink: Codec) -> dict[str, Quantities]:
    """Errors of one draw beside their bounds, of each part that learns."""
    error = arrived - surface.activations
    size = norm(error)
    true, true_server = surface.gradients(surface.activations)
    changed, changed_server = surface.gradients(arrived)
    constants = lipschitz(surface, error, true)
    found = {"activations": {"norm": norm(surface.activations), "error": size}}
    if surface.learns_on_client:
        received = _through(downlink, changed)
        jacobian = surface.jacobian_norm(received - true if norm(received - true) else true)
        lost, own = norm(received - changed), surface.client_gradient(true)
        found["client"] = {
            "norm": norm(own),
            "error": norm(surface.client_gradient(received) - own),
            "bound": jacobian * (constants.constants[0] * size + lost),
            "jacobian": jacobian,
            "hessian": constants.hessian[0],
            "slope": constants.slope[0],
            "downlink_error": lost,
        }
    if surface.learns_on_server:
        found["server"] = {
            "norm": norm(true_server),
            "error": norm(changed_server - true_server),
            "bound": constants.constants[1] * size,
            "hessian": constants.hessian[1],
            "slope": constants.slope[1],
        }
    return found


def lipschitz(surface: Surface, error: torch.Tensor, fallback: torch.Tensor) -> Lipschitz:
    """On the segment from the activations to them + `error`; the power method starts from `error`, or from
    `fallback` where it is zero."""
    size = norm(error)
    start = error if size else fallback
    places = [surface.activations + t * error for t in np.linspace(0, 1, PLACES if size else 1).tolist()]
    norms = [surface.hessian_norms(place, start) for place in places]
    client, server = (max(one) for one in zip(*norms, strict=True))
    slopes = list(_slopes(surface, error)) if size else [(0.0, 0.0)]
    return Lipschitz((client, server), (max(s[0] for s in slopes), max(s[1] for s in slopes)))


def _slopes(surface: Surface, error: torch.Tensor) -> Iterator[tuple[float, float]]:
    length = norm(error) / PIECES
    before = surface.gradients(surface.activations)
    for piece in range(1, PIECES + 1):
        now = surface.gradients(surface.activations + (piece / PIECES) * error)
        yield norm(now[0] - before[0]) / length, norm(now[1] - before[1]) / length
        before = now


def _biases(
    surface: Surface, look: Look, draws: int, rng: np.random.Generator
) -> tuple[dict[str, Quantities | None], float]:
    """For each part that learns, and for the activations, bias and interval, None where the codec does not
    draw; and alpha."""
    true, true_server = surface.gradients(surface.activations)
    rows: dict[str, list[torch.Tensor]] = {part: [] for part in PARTS}
    for _ in range(draws):
        payload = look.uplink.encode(surface.activations, rng)
        arrived = look.uplink.decode(payload).to(true.device)
        changed, changed_server = surface.gradients(arrived)
        rows["activations"].append((arrived - surface.activations).flatten())
        if surface.learns_on_client:
            rows["client"].append(surface.client_gradient(_through(look.downlink, changed) - true))
        if surface.learns_on_server:
            rows["server"].append(changed_server - true_server)
    errors = rows["activations"]
    whole = norm(surface.activations) ** 2
    alpha = 1 - sum(norm(error) ** 2 for error in errors) / len(errors) / whole if whole else 1.0
    if all(torch.equal(error, errors[0]) for error in errors):
        return {part: None for part, own in rows.items() if own}, alpha
    return {part: _interval(torch.stack(own)) for part, own in rows.items() if own}, alpha


def _interval(draws: torch.Tensor) -> Quantities:
    bias = estimate_bias(draws)
    return {"bias": bias.value, "bias_low": bias.low, "bias_high": bias.high}


def _through(codec: Codec, gradients: torch.Tensor) -> torch.Tensor:
    """Activation gradients as the client receives them."""
    return codec.decode(codec.encode(gradients)).to(gradients.device)
