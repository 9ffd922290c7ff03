"""Devices: pieces of work → seconds. By rated figures, by explicit times, or as measured."""

from slsim.devices import catalogue
from slsim.devices.base import (
    AS_STATED,
    Assumptions,
    Device,
    Number,
    Part,
    Work,
    register,
    registry,
)
from slsim.devices.measured import Measured
from slsim.devices.rated import Rated
from slsim.devices.timed import Timed

create = registry.create

__all__ = [
    "AS_STATED",
    "Assumptions",
    "Device",
    "Measured",
    "Number",
    "Part",
    "Rated",
    "Timed",
    "Work",
    "catalogue",
    "create",
    "register",
    "registry",
]
