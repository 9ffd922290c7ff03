"""Devices: pieces of work → seconds. By rated figures, by explicit times, or as measured.

A device's module is imported when the device is first named, or its class first asked for.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slsim import lazy
from slsim.devices.base import (
    AS_STATED,
    Assumptions,
    Device,
    Floats,
    Part,
    Work,
    register,
    registry,
)

if TYPE_CHECKING:
    from slsim.devices import catalogue
    from slsim.devices.measured import Measured
    from slsim.devices.rated import Rated
    from slsim.devices.timed import Timed

create = registry.create

__all__ = [
    "AS_STATED",
    "Assumptions",
    "Device",
    "Floats",
    "Measured",
    "Part",
    "Rated",
    "Timed",
    "Work",
    "catalogue",
    "create",
    "register",
    "registry",
]

_HOMES = {
    "catalogue": ("catalogue",),
    "measured": ("Measured",),
    "rated": ("Rated",),
    "timed": ("Timed",),
}
__getattr__ = lazy.attributes(__name__, _HOMES)


def _device_file() -> tuple[type[Device], Callable[[Path], dict[str, Any]]]:
    from slsim.devices.measured import Measured, read

    return Measured, read


registry.add_file_type(".toml", _device_file)
