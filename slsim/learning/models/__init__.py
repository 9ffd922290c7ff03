"""Models, and where they may be cut. `create("resnet18", width=0.5)` gives one, `register` adds one.

Naming, checking and listing models costs no torch import; building one does.
"""

from slsim.learning.models.base import Model, register, registry
from slsim.learning.models.own import WHAT, model_of
from slsim.learning.models.resnet import Resnet18, Resnet34
from slsim.learning.models.small import Cnn, Mlp
from slsim.learning.models.vgg import Vgg19

create = registry.create
registry.add_adapter(model_of, WHAT)

__all__ = ["Cnn", "Mlp", "Model", "Resnet18", "Resnet34", "Vgg19", "create", "register", "registry"]
