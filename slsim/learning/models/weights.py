"""Weights from a torchvision file into a model of ours. (Needs torch to be read.)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from slsim.errors import DataError

UNSAVED = ".num_batches_tracked"  # torchvision's older files lack these; they start at 0


def load(
    layers: nn.Sequential,
    path: Path,
    names: Mapping[str, str],
    optional: Sequence[Sequence[str]] = (),
    ignored: Sequence[str] = (),
) -> int:
    """Copies the tensors of `path` into `layers` and gives how many (see `Published` for the other
    parameters). Raises `DataError` that names the first tensor that does not fit, with nothing copied."""
    found = _read(path)
    ours = {
        theirs + name.removeprefix(start): tensor
        for start, theirs in names.items()
        for name, tensor in layers.state_dict().items()
        if name.startswith(start)
    }
    for name in found:
        if name not in ours and not name.startswith(tuple(ignored)):
            raise DataError(f"{path} does not fit: the model has no place for {name}")
    wanted = {name: tensor for name, tensor in ours.items() if name in found or not name.endswith(UNSAVED)}
    for group in optional:
        members = [name for name in wanted if name.startswith(tuple(group))]
        if any(_misfit(name, wanted[name], found) for name in members):
            wanted = {name: tensor for name, tensor in wanted.items() if name not in members}
    for name, tensor in wanted.items():
        if misfit := _misfit(name, tensor, found):
            raise DataError(f"{path} does not fit: {misfit}")
    for name, tensor in wanted.items():
        tensor.copy_(found[name])
    return len(wanted)


def _misfit(name: str, ours: torch.Tensor, found: Mapping[str, torch.Tensor]) -> str | None:
    if name not in found:
        return f"it lacks {name}"
    if found[name].shape != ours.shape:
        return f"its {name} is {list(found[name].shape)}, the model's is {list(ours.shape)}"
    return None


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DataError(f"there is no file of weights {path}") from None
    except Exception as error:  # whatever unpickling raises on a file that is something else
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path} is not a file of weights that torch can read: {reason}") from error
    tensors = isinstance(content, Mapping) and all(isinstance(one, torch.Tensor) for one in content.values())
    if not tensors or not content:
        raise DataError(f"{path} holds no weights by name (a state dict), as torchvision's files do")
    return dict(content)
