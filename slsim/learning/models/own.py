"""A user's own nn.Sequential as a model: one at the end of a file path, or a function that makes one."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from slsim.errors import DataError
from slsim.learning.models.base import Model

if TYPE_CHECKING:
    from torch import nn

WHAT = "nn.Sequential (or function of image_shape and num_classes that makes one)"


def model_of(found: object) -> type[Model] | None:
    """What a file names, as a model that is cut after any of its layers; None when it can be none. Raises
    `ValueError` that says why something like it is none."""
    from torch import nn

    if isinstance(found, nn.Module):
        _check_sequence(found)
        assert isinstance(found, nn.Sequential)
        return _of_instance(found)
    if inspect.isclass(found) and not issubclass(found, nn.Sequential):
        return None
    return _of_function(found) if callable(found) else None


def _check_sequence(module: object) -> None:
    from torch import nn

    if not isinstance(module, nn.Sequential) or type(module).forward is not nn.Sequential.forward:
        raise ValueError(
            f"is a {type(module).__name__}, not a plain nn.Sequential, one layer after the other"
        )
    if len(module) < 2:
        raise ValueError(f"cannot be cut: it has {len(module)} layers, two are the least")


def _of_instance(network: nn.Sequential) -> type[Model]:
    for name, module in network.named_modules():
        if list(module.parameters(recurse=False)) and not hasattr(module, "reset_parameters"):
            raise ValueError(
                f"has a {type(module).__name__} ({name or 'itself'}) without reset_parameters, so its "
                "weights cannot be drawn from a scenario's seed; write a function that makes the sequence"
            )

    class OwnSequential(Model):
        """An nn.Sequential of one's own. Its weights are drawn again, by each layer's reset_parameters."""

        cuts: ClassVar[Mapping[str, int]] = {}
        num_layers = len(network)

        def build(
            self,
            image_shape: tuple[int, int, int],  # noqa: ARG002  # the network is as it is
            num_classes: int,  # noqa: ARG002
        ) -> nn.Sequential:
            layers = copy.deepcopy(network)
            for module in layers.modules():
                getattr(module, "reset_parameters", lambda: None)()
            return layers

    return OwnSequential


def _of_function(function: Callable[..., Any]) -> type[Model]:
    try:
        inspect.signature(function).bind((3, 32, 32), 10)
    except TypeError as error:
        raise ValueError(f"must take image_shape and num_classes, and nothing else: {error}") from None

    class OwnFunction(Model):
        """An nn.Sequential that a function of one's own makes, with the weights that it gives."""

        cuts: ClassVar[Mapping[str, int]] = {}
        num_layers = 0  # known when it is built

        def build(self, image_shape: tuple[int, int, int], num_classes: int) -> nn.Sequential:
            name = getattr(function, "__name__", "the function")
            try:
                layers: nn.Sequential = function(image_shape, num_classes)
            except Exception as error:
                call = f"{name}({image_shape}, {num_classes})"
                raise DataError(f"{call} failed: {type(error).__name__}: {error}") from error
            try:
                _check_sequence(layers)
            except ValueError as error:
                raise DataError(f"what {name} gives {error}") from None
            return layers

        def client_layers(self, cut: str | int) -> int:
            if not isinstance(cut, int) or cut < 1:
                raise ValueError(
                    f"no such cut: {cut!r}; one's own nn.Sequential is cut after a layer, from 1"
                )
            return cut

    return OwnFunction
