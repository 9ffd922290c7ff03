"""The contract of an adapter: layers on both sides of the cut, trained with the model; and the registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from slsim.registry import Component, Registry

if TYPE_CHECKING:
    from torch import nn

    from slsim.learning.outline import LayerOutline


class Adapter(Component, ABC):
    """Layers on both sides of the cut: an encoder that ends the client's half, and a decoder that begins the
    server's. A subclass is final; its fields are what a scenario's `model.adapter` may set.

    The encoder's output, the code, crosses instead of the activations, and its gradient comes back; codecs
    are applied to it as they are to activations. Both ends are trained by the task's loss as the model is,
    with the same optimizer. The encoder's weights are the client's: where a protocol averages or sends
    weights, they are averaged, sent and charged with them. Compression ratios count against the activations
    that would have crossed without the adapter.

    What does not learn and is never sent, because either end draws it from the seed, is a `Constant` of a
    module: parameters and buffers are the model's state.

    Clients' mini-batches may go through a module as one, concatenated along the batch. Batch normalization
    keeps to each client's; a module that looks across samples in another way inherits from
    `slsim.learning.ghost.Grouped`, whose `counts` say how many samples each client has.

    Example:
        >>> from slsim.learning.adapters import create
        >>> encoder, decoder = create("bottleneck", channels=4, stride=2).build((64, 8, 8))
        >>> import torch
        >>> encoder(torch.zeros(10, 64, 8, 8)).shape
        torch.Size([10, 4, 4, 4])
    """

    @property
    def samples_a_row(self) -> int:
        """The number of samples of one client that a row of the code stands for, at most. Unless an adapter
        says otherwise, each sample has its own row."""
        return 1

    @abstractmethod
    def build(self, shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
        """Encoder and decoder for activations of one sample of `shape`.

        The encoder maps float32 [samples, *shape] to a floating-point code [rows, ...], where each client has
        ⌈samples / samples_a_row⌉ rows; the decoder maps the code to [samples, *shape]. Initial weights and
        whatever else is drawn come from torch's generator, which the caller has seeded. Raises `DataError`
        for activations that the adapter cannot take.
        """

    def outline(self, shape: tuple[int, ...]) -> tuple[LayerOutline, LayerOutline] | None:
        """The sizes of the encoder and the decoder of `build`, found without torch, FLOPs as of whole rows;
        None where only `build` knows them. Raises `DataError` as `build` does."""
        del shape
        return None


registry: Registry[Adapter] = Registry("adapter", Adapter)  # type: ignore[type-abstract]  # only used as a bound
register = registry.register
