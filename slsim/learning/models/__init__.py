"""Models, and where they may be cut. `create("resnet18", width=0.5)` gives one, `register` adds one.

Naming, checking and listing models costs no torch import; building one does. A model's module is imported
when the model is first named, or its class first asked for.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from slsim import lazy
from slsim.learning.models.base import Model, register, registry

if TYPE_CHECKING:
    from slsim.learning.models.resnet import Resnet18, Resnet34
    from slsim.learning.models.small import Cnn, Mlp
    from slsim.learning.models.vgg import Vgg19

create = registry.create

__all__ = ["Cnn", "Mlp", "Model", "Resnet18", "Resnet34", "Vgg19", "create", "register", "registry"]

_HOMES = {"resnet": ("Resnet18", "Resnet34"), "small": ("Cnn", "Mlp"), "vgg": ("Vgg19",)}
__getattr__ = lazy.attributes(__name__, _HOMES)


def _own_models() -> tuple[Callable[[object], type[Model] | None], str]:
    from slsim.learning.models.own import WHAT, model_of

    return model_of, WHAT


registry.add_adapter(_own_models)
