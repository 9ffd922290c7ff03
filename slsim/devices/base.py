"""What a device is: pieces of work → seconds; and the registry."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from pydantic import Field

from slsim import boundary
from slsim.errors import ComponentError, Fault, FaultsError, SlsimError
from slsim.registry import Component, Registry, full_name
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
    memory_bytes: Number = 0.0  # of memory read and written by a codec
    samples: Number = 0.0  # through a half of the model
    elements: Number = 0.0  # through a codec
    codec: str = ""  # the codec's name, of "encode" and "decode"
    core_s: Number | None = None  # seconds of a codec on the core of reference; None: not known
    lossless_s: Number = 0.0  # and of its lossless stage

    @property
    def is_something(self) -> Number:
        """Whether there is anything to do, for each turn: samples for a half of the model, or work that a
        codec says it makes. Elements alone are none."""
        core_s = 0.0 if self.core_s is None else self.core_s
        effort = self.flops + self.memory_bytes + self.samples + core_s + self.lossless_s
        return effort != 0


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Factors on what rated devices assume, to see how far a result depends on it: on the fixed cost of
    setting a device to work, and on what codecs cost."""

    overhead: float = 1.0
    codecs: float = 1.0


AS_STATED = Assumptions()


class Device(Component, ABC):
    """What a client or the server computes on: pieces of work → seconds. A subclass is final.

    Contract. `piece_seconds` gives a finite number, 0 or more, the same for the same work, linear in the
    work's numbers; given arrays it gives an array or one number for all. A device that knows no time for some
    part of some scenario says so in `faults`, which is asked before anything runs; asked for such a time all
    the same, `piece_seconds` raises `FaultsError`.
    """

    overhead: Duration = Field(
        default="0 s",
        validate_default=True,
        description="fixed cost of each time that the device is set to work",
    )

    def seconds(self, *works: Work) -> Number:
        """Seconds that `works` take when done in one go: the fixed cost once, then one after the other.
        Where there is nothing to do the device is not set to work, and it is 0. Raises `ComponentError` when
        the device gives no time, or one that makes no sense."""
        total: Number = 0.0
        busy: Number = False
        for work in works:
            seconds = self._checked(work)
            total = total + seconds
            busy = busy | work.is_something | (seconds > 0)  # type: ignore[operator]
        return total + self.overhead * busy

    @abstractmethod
    def piece_seconds(self, work: Work) -> Number:
        """Seconds of one piece of work, without the fixed cost. Raises `FaultsError` where unknown."""

    def faults(self, duties: Mapping[Part, Mapping[str, Any]]) -> list[Fault]:
        """What this device cannot give a time for. `duties` has each part that will be asked of it, with
        the scenario's table for it: [model], its cut included, of a half; the codec's of "encode" and
        "decode"."""
        del duties
        return []

    def all_faults(self, duties: Mapping[Part, Mapping[str, Any]]) -> list[Fault]:
        """`faults`, and those that show when a device of one's own is asked for the time of a little work of
        each part: one turn, the same again, and two turns at once."""
        try:
            strange = (fault for duty in duties.items() if (fault := self._probe(*duty)))
            return [*self.faults(duties), *islice(strange, 1)]
        except SlsimError as error:
            return [Fault("", str(error))]

    def under(self, assumptions: Assumptions) -> Device:
        """This device if `assumptions` held. Unless a device says otherwise it assumes nothing: its times
        are given or measured."""
        del assumptions
        return self

    def _checked(self, work: Work) -> Number:
        """Seconds of one piece of work. Raises `ComponentError` when a third party's device gave none."""
        seconds = self.piece_seconds(work)
        if boundary.is_outside(type(self)) and not _is_time(seconds, work):
            raise ComponentError(
                f"{full_name(type(self))}, in piece_seconds: gave {boundary.shown(seconds)} for {work.part}; "
                "seconds must be at least 0 and finite: one number, or as many as there are turns"
            )
        return seconds

    def _probe(self, part: Part, table: Mapping[str, Any]) -> Fault | None:
        if not boundary.is_outside(type(self)):
            return None
        works = [_little_work(part, table, number) for number in (1.0, 1.0, np.ones(2))]
        try:
            one, again, both = (self._checked(work) for work in works)
        except FaultsError:  # it knows no time for such work, and perhaps one for the scenario's
            return None
        if one == again and np.equal(one, both).all():
            return None
        gives = f"{full_name(type(self))}, in piece_seconds: gives {one} s, {again} s and {both} s"
        message = f"{gives} for the same {part}, asked twice alone and then twice at once"
        return Fault("", f"{message}; it must give the same")


def _little_work(part: Part, table: Mapping[str, Any], number: Number) -> Work:
    """Ten samples through a half of the model, or 1,000 elements through a codec; `number` times 1."""
    if part in ("encode", "decode"):
        each = 1000 * number
        return Work(part, memory_bytes=8 * each, elements=each, codec=table["name"], core_s=1e-9 * each)
    return Work(part, flops=1e7 * number, samples=10 * number)


def _is_time(seconds: object, work: Work) -> bool:
    """Whether `seconds` are finite numbers, 0 or more, and as many as `work` has."""
    if isinstance(seconds, (float, int)) and not isinstance(seconds, bool):
        return 0 <= seconds < math.inf
    if not isinstance(seconds, (np.ndarray, np.number)) or seconds.dtype.kind not in "iuf":
        return False
    turns = np.shape(work.samples + work.elements)
    return np.shape(seconds) in ((), turns) and bool(((seconds >= 0) & (seconds < math.inf)).all())


registry: Registry[Device] = Registry("device", Device)  # type: ignore[type-abstract]  # only used as a bound
register = registry.register
