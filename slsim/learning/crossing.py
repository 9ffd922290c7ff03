"""Tensors across the cut: encoded for each client alone, and decoded one client's below the other's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from slsim.codecs import Codec, Payload
from slsim.errors import CodecError, TrainingDiverged


def encoded(
    codec: Codec,
    tensor: torch.Tensor,
    counts: Sequence[int],
    rngs: Sequence[np.random.Generator] | None = None,
) -> list[Payload]:
    """Each client's part of a tensor as a payload. Raises `TrainingDiverged` where a codec refuses NaN and
    infinity; those that carry them leave it to the loss."""
    try:
        return codec.encode_many(tensor.detach(), counts, rngs)
    except CodecError:
        check_finite(tensor, "what crosses the cut")
        raise


def decoded(
    codec: Codec,
    payloads: Sequence[Payload],
    counts: Sequence[int],
    shape: tuple[int, ...],
    channels_last: bool,
) -> torch.Tensor:
    """All clients' tensors, [samples, *shape], on the host. The receiver expects `counts` samples of them."""
    return laid_out(codec.decode_many(payloads, [(n, *shape) for n in counts]), channels_last)


def laid_out(values: torch.Tensor, channels_last: bool) -> torch.Tensor:
    """What was received, row-major, as the layers take it: images with their channels last go faster."""
    if channels_last and values.ndim == 4:
        return values.contiguous(memory_format=torch.channels_last)
    return values


def check_finite(values: torch.Tensor, what: str) -> None:
    """Raises `TrainingDiverged` where there is NaN or infinity."""
    if not bool(torch.isfinite(values).all()):
        raise TrainingDiverged(f"{what} became NaN or infinite")
