"""What the codecs of a training say of their payloads' sizes, kept in its recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slsim.checks import format_of, message_shape
from slsim.recording import ACTIVATIONS, GRADIENTS, WEIGHTS, Format, Recording

if TYPE_CHECKING:
    from slsim.learning.trainer import Trainer


def formats(recording: Recording, trainer: Trainer) -> tuple[Format, ...]:
    """One a message kind and tensor shape that occurred."""
    codecs = {ACTIVATIONS: trainer.uplink, GRADIENTS: trainer.downlink, WEIGHTS: trainer.weights_codec}
    seen = {
        (message.kind, message_shape(recording, turn, message))
        for record in recording.rounds
        for turn in record.turns
        for message in turn.messages
        if message.kind in codecs
    }
    return tuple(format_of(codecs[kind], kind, shape) for kind, shape in sorted(seen))
