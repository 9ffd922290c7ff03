"""A user's own nn.Sequential as a model: one at the end of a file path, or a function that makes one."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
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
    if inspect.isclass(found):
        return _of_class(found) if issubclass(found, nn.Module) else None
    return _of_function(found) if callable(found) else None


def _check_sequence(module: object) -> None:
    from torch import nn

    if not isinstance(module, nn.Sequential) or type(module).forward is not nn.Sequential.forward:
        kind = type(module).__name__
        parts = [name for name, _ in module.named_children()] if isinstance(module, nn.Module) else []
        how = _how_to(kind, [f"m.{part}" for part in parts]) if parts else ""
        raise ValueError(f"is a {kind}, not a plain nn.Sequential, one layer after the other{how}")
    if len(module) < 2:
        raise ValueError(f"cannot be cut: it has {len(module)} layers, two are the least")


def _check_new(layers: nn.Sequential, function: Callable[..., Any]) -> None:
    """Raises `ValueError` where layers with weights were made when the file was imported."""
    there = {id(value) for value in getattr(function, "__globals__", {}).values()}
    for module in layers.modules():
        if id(module) in there and next(module.parameters(), None) is not None:
            raise ValueError(
                f"has a {type(module).__name__} that was made when the file was imported: its weights do not "
                "come from the scenario's seed, and trainings would share it; make it inside the function"
            )


def _how_to(name: str, parts: Sequence[str] = ("m.conv1", "nn.ReLU()", "nn.Flatten()", "m.fc")) -> str:
    """Two lines of code that make a sequence of a module's parts."""
    return (
        f"; write a function that lists its parts in the order of its forward, and name that:\n"
        f"    def net(image_shape, num_classes):\n"
        f"        m = {name}(); return nn.Sequential({', '.join(parts)})  "
        f"# and what forward does between them: nn.Flatten(), nn.ReLU()"
    )


def _of_class(found: type[nn.Module]) -> type[Model]:
    """A subclass of nn.Sequential, made with image_shape and num_classes, or with nothing."""
    from torch import nn

    if not issubclass(found, nn.Sequential) or found.forward is not nn.Sequential.forward:
        raise ValueError(
            "is a class with a forward of its own, which cannot be cut in two" + _how_to(found.__name__)
        )
    if found.__init__ is nn.Sequential.__init__:
        raise ValueError("has no __init__ that makes its layers; write one, or a function that gives them")
    if _takes(found):
        return _of_function(found)
    if not _takes(found, sizes=False):
        raise ValueError("must be made with image_shape and num_classes, or with nothing")
    return _of_function(found, sizes=False)


def _takes(function: Callable[..., Any], sizes: bool = True) -> bool:
    """Whether it may be called with an image shape and a number of classes, or with nothing."""
    try:
        inspect.signature(function).bind(*(((3, 32, 32), 10) if sizes else ()))
    except TypeError:
        return False
    return True


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


def _of_function(function: Callable[..., Any], sizes: bool = True) -> type[Model]:
    """What a call of it gives; without `sizes` it is called with nothing."""
    if sizes and not _takes(function):
        raise ValueError(
            "must take image_shape and num_classes, and nothing else: "
            f"it is {getattr(function, '__name__', 'the function')}{inspect.signature(function)}"
        )

    class OwnFunction(Model):
        """An nn.Sequential that a function of one's own makes, with the weights that it gives."""

        cuts: ClassVar[Mapping[str, int]] = {}
        num_layers = 0  # known when it is built

        def build(self, image_shape: tuple[int, int, int], num_classes: int) -> nn.Sequential:
            from slsim.learning.layers import naming

            name = getattr(function, "__name__", "the function")
            arguments = (image_shape, num_classes) if sizes else ()
            with naming(lambda: f"{name}({', '.join(map(str, arguments))}) failed"):
                layers: nn.Sequential = function(*arguments)
            try:
                _check_sequence(layers)
                _check_new(layers, function)
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
