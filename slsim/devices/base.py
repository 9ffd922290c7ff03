"""What a device is: pieces of work → seconds; and the registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import Field

from slsim.errors import Fault
from slsim.registry import Component, Registry
from slsim.units import Duration

if TYPE_CHECKING:
    from numpy.typing import NDArray

Number: TypeAlias = "float | NDArray[Any]"  # one turn, or many turns at once

Half = Literal["client forward", "client backward", "server forward", "server backward"]
CodecPart = Literal["encode", "decode"]
Part = Literal[Half, CodecPart]


@dataclass(frozen=True, slots=True)
class Work:
    """A piece of work, told in every way that a device may want to count it; what does not apply is 0.
    Every number may be an array: many turns at once."""

    part: Part
    flops: Number = 0.0  # floating-point operations of the whole piece
    memory_bytes: Number = 0.0  # of memory read and written
    samples: Number = 0.0  # through a half of the model
    elements: Number = 0.0  # through a codec
    codec: str = ""  # the codec's name, of "encode" and "decode"


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Factors on what rated devices assume, to see how far a result depends on it: on the fixed cost of
    setting a device to work, and on what codecs cost."""

    overhead: float = 1.0
    codecs: float = 1.0


class Device(Component, ABC):
    """What a client or the server computes on: pieces of work → seconds. A subclass is final.

    Contract. `seconds` is linear in the work's numbers, beside `overhead`, and takes arrays as it takes
    numbers. A device that knows no time for some part of some scenario says so in `faults`, which is asked
    before anything runs; asked for such a time all the same, `piece_seconds` raises `FaultsError`.
    """

    overhead: Duration = Field(
        default="0 s",
        validate_default=True,
        description="fixed cost of each time that the device is set to work",
    )

    def seconds(self, *works: Work) -> Number:
        """Seconds that `works` take when done in one go: the fixed cost once, then one after the other."""
        return self.overhead + sum(self.piece_seconds(work) for work in works)

    @abstractmethod
    def piece_seconds(self, work: Work) -> Number:
        """Seconds of one piece of work, without the fixed cost. Raises `FaultsError` where unknown."""

    def faults(self, duties: Mapping[Part, Mapping[str, Any]]) -> list[Fault]:
        """What this device cannot give a time for. `duties` has each part that will be asked of it, with
        the scenario's table for it: [model], its cut included, of a half; the codec's of "encode" and
        "decode"."""
        del duties
        return []

    def under(self, assumptions: Assumptions) -> Device:
        """This device if `assumptions` held. Unless a device says otherwise it assumes nothing: its times
        are given or measured."""
        del assumptions
        return self


registry: Registry[Device] = Registry("device", Device)  # type: ignore[type-abstract]  # only used as a bound
register = registry.register
