"""What a model is: a sequence of layers that can be cut in two; and the registry.

A cut after layer n gives the first n to the client and the others to the server.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, ClassVar

from slsim.registry import Component, Registry

if TYPE_CHECKING:
    from torch import nn

    from slsim.learning.outline import LayerOutline

CONVOLUTION = re.compile(r"conv ([0-9]+)")


class Model(Component, ABC):
    """A model that can be cut. A subclass is final; its fields are what a scenario's [model] may set.

    A layer is whatever may stand alone on one side: between two of them a single tensor crosses. `cuts`
    names some of the places where the model may be cut, as the number of layers on the client.
    `convolutions` says how many each layer has along its main path, so that a cut may be told by those as
    papers do ("conv 9"); left out, it may not.

    Example:
        >>> from slsim.learning.models import create
        >>> vgg = create("vgg19", width=0.5)
        >>> vgg.client_layers("medium"), vgg.client_layers("conv 8"), vgg.num_layers
        (8, 8, 17)
    """

    cuts: ClassVar[Mapping[str, int]]
    num_layers: ClassVar[int]
    convolutions: ClassVar[tuple[int, ...]] = ()
    image_shape: ClassVar[tuple[int, int, int]] = (3, 32, 32)  # with `classes`: of the data that one would
    classes: ClassVar[int] = 10  # train it on; `slsim list models` gives sizes for these

    @abstractmethod
    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> nn.Sequential:
        """`num_layers` modules, from images float32 [batch, *image_shape] to logits [batch, num_classes].
        Initial weights come from torch's generator, which the caller has seeded. Raises `DataError` for
        images that it cannot take."""

    def outline(self, image_shape: tuple[int, int, int], num_classes: int) -> Sequence[LayerOutline] | None:
        """The sizes of the layers of `build`, found without torch; None where only `build` knows them.
        Raises `DataError` as `build` does."""
        del image_shape, num_classes
        return None

    def client_layers(self, cut: str | int) -> int:
        """How many layers the client has. Raises `ValueError` that lists the cuts there are."""
        if isinstance(cut, str) and (asked := CONVOLUTION.fullmatch(cut)) and self.convolutions:
            layers = self._after_convolution(int(asked[1]))
        else:
            layers = self.cuts.get(cut) if isinstance(cut, str) else cut
        if layers is None or not 1 <= layers < self.num_layers:
            raise ValueError(f"no such cut: {cut!r}; there are: {self._cuts_in_words()}")
        return layers

    def _after_convolution(self, number: int) -> int | None:
        """The layers up to the one that ends with that convolution; None where there is no such one."""
        ends = list(accumulate(self.convolutions))
        if not 1 <= number <= ends[-1]:
            return None
        index = bisect_left(ends, number)
        if ends[index] != number:
            before, after = ends[index - 1], ends[index]
            raise ValueError(
                f"'conv {number}' is inside a residual block, where two tensors would cross; the nearest "
                f"whole blocks end at 'conv {before}' (layer {index}) and 'conv {after}' (layer {index + 1})"
            )
        return index + 1

    def _cuts_in_words(self) -> str:
        words = [f"{name} ({number})" for name, number in self.cuts.items()]
        words += [f"conv 1 to {sum(self.convolutions)}"] if self.convolutions else []
        named = f"{', '.join(words)}, or " if words else ""
        return f"{named}a layer from 1 to {self.num_layers - 1}"


registry: Registry[Model] = Registry("model", Model)  # type: ignore[type-abstract]  # only used as a bound
register = registry.register
