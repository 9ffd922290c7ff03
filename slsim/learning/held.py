"""Layers that draw get a draw's expectation, so that a batch can be run twice and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten


@contextmanager
def held() -> Iterator[None]:
    """Within it, torch's usual draws (dropout, uniform and normal noise) give their expectation. Others are
    drawn as ever, and compare as different."""
    with _Held():  # type: ignore[no-untyped-call]
        yield


class _Held(TorchDispatchMode):
    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        del types
        if func in DRAWS:
            return DRAWS[func](*args)
        drawn = func(*args, **(kwargs or {}))
        return drawn.fill_(FILLED[func]) if func in FILLED else drawn


def _probability(x: torch.Tensor, p: Any = 0.5, *_generator: Any) -> torch.Tensor:
    """In place of zeros and ones."""
    return x.copy_(p) if isinstance(p, torch.Tensor) else x.fill_(p)


def _middle(x: torch.Tensor, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    return x.fill_((low + high) / 2)


def _mean(x: torch.Tensor, mean: float = 0.0, *_deviation: float) -> torch.Tensor:
    return x.fill_(mean)


def _all_kept(x: torch.Tensor, *_settings: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return x.clone(), torch.ones_like(x, dtype=torch.bool)


DRAWS: Mapping[Any, Callable[..., Any]] = {
    aten.bernoulli_.float: _probability,
    aten.bernoulli_.Tensor: _probability,
    aten.bernoulli.default: torch.clone,
    aten.bernoulli.p: lambda x, p: torch.full_like(x, p),
    aten.native_dropout.default: _all_kept,
    aten.uniform_.default: _middle,
    aten.normal_.default: _mean,
}
FILLED: Mapping[Any, float] = {
    aten.rand.default: 0.5,
    aten.rand_like.default: 0.5,
    aten.randn.default: 0.0,
    aten.randn_like.default: 0.0,
}
