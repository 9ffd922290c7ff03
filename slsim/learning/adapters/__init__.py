"""Adapters: layers on both sides of the cut. `create("bottleneck", channels=4)` gives one, `register` adds
one.

Naming, checking and listing adapters costs no torch import; building one does.
"""

from typing import TYPE_CHECKING

from slsim import lazy
from slsim.learning.adapters.base import Adapter, register, registry

if TYPE_CHECKING:
    from slsim.learning.adapters.bottleneck import Bottleneck
    from slsim.learning.adapters.c3 import C3
    from slsim.learning.adapters.constant import Constant
    from slsim.learning.adapters.projection import Projection

create = registry.create

__all__ = [
    "C3",
    "Adapter",
    "Bottleneck",
    "Constant",
    "Projection",
    "create",
    "register",
    "registry",
]

_HOMES = {
    "bottleneck": ("Bottleneck",),
    "c3": ("C3",),
    "constant": ("Constant",),
    "projection": ("Projection",),
}
__getattr__ = lazy.attributes(__name__, _HOMES)
