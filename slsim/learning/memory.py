"""Whether an error says that memory did not suffice: told by its type, or by torch's own words."""

from __future__ import annotations

import torch

TORCHS_WORDS = ("DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory")


def lacks_memory(error: BaseException) -> bool:
    """Whether Python, numpy or torch raised `error` because memory could not be allocated. torch's allocator
    on the CPU raises a plain `RuntimeError`."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in TORCHS_WORDS)
