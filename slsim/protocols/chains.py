"""Chains of steps that several protocols have: an exchange through the cut, and weights that travel."""

from __future__ import annotations

from slsim.protocols.steps import Compute, Download, Serve, Step, Upload, Workload
from slsim.recording import ACTIVATIONS, GRADIENTS, WEIGHTS, Turn, Turns


def split_turn(turn: Turn | Turns, workload: Workload) -> tuple[Step, ...]:
    """A mini-batch through both halves, or weights that travel."""
    return exchange(turn, workload) if turn.sends(ACTIVATIONS, "up") else weights(turn, workload)


def exchange(turn: Turn | Turns, workload: Workload) -> tuple[Step, ...]:
    """Activations up, the server's passes, their gradients down."""
    up, down = turn.message(ACTIVATIONS), turn.message(GRADIENTS)
    return (
        Compute("client forward", (workload.half("client forward", turn),)),
        Compute("encode", (workload.encode(up),)),
        Upload(turn.num_bytes("up")),
        Serve(
            (
                workload.decode(up),
                workload.half("server forward", turn),
                workload.half("server backward", turn),
                workload.encode(down),
            )
        ),
        Download(turn.num_bytes("down")),
        Compute("decode", (workload.decode(down),)),
        Compute("client backward", (workload.half("client backward", turn),)),
    )


def weights(turn: Turn | Turns, workload: Workload) -> tuple[Step, ...]:
    """Weights from the server to the client, or from the client to the server; the averaging itself, an
    addition a weight, is not charged."""
    message = turn.message(WEIGHTS)
    if turn.sends(WEIGHTS, "down"):
        return (
            Serve((workload.encode(message),)),
            Download(turn.num_bytes("down")),
            Compute("decode", (workload.decode(message),)),
        )
    return (
        Compute("encode", (workload.encode(message),)),
        Upload(turn.num_bytes("up")),
        Serve((workload.decode(message),)),
    )
