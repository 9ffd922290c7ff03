"""Where training computes, and tensors on their way there."""

from __future__ import annotations

import torch

from slsim.errors import StudyError


def usable(name: str) -> torch.device:
    """The device of that name: "cpu", "cuda", "cuda:1". Raises `StudyError` where torch cannot compute."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError) as error:  # the latter from a torch that was built without it
        reason = str(error).partition("\n")[0]
        raise StudyError(
            f"torch cannot compute on device {name!r} ({reason}); cpu is always there"
        ) from error
    return device


def called(device: torch.device) -> str:
    """What a device is called in a recording's provenance: "cpu", "cuda (NVIDIA H100 80GB HBM3)"."""
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type


def moved(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy a tensor from the host to `device`. To CUDA the copy is asynchronous: pinned memory, ordered after
    kernels that are already queued."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
