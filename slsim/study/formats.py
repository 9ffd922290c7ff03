"""What the codecs of a training say of their payloads' sizes, kept in its recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slsim.checks import format_of
from slsim.recording import CODEC_OF, Format, Recording, parse_shape

if TYPE_CHECKING:
    from slsim.learning.codings import Codings


def formats(recording: Recording, codings: Codings) -> tuple[Format, ...]:
    """Ask the codecs for the format of each message kind and tensor shape that occurred."""
    steps = recording.steps
    sent = steps.rows[steps.are_messages]
    pairs = np.unique(np.stack([sent["kind"].astype(np.int64), sent["shape"]]), axis=1).T.tolist()
    kinds, shapes = (steps.words.texts[column] for column in ("kind", "shape"))
    seen = sorted(
        (kinds[kind], parse_shape(shapes[shape])) for kind, shape in pairs if kinds[kind] in CODEC_OF
    )
    return tuple(format_of(codings.of(kind), kind, shape) for kind, shape in seen)
