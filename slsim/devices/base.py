"""The contract of a device: pieces of work → seconds; and the registry."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from slsim import boundary
from slsim.errors import ComponentError, Fault, FaultsError, SlsimError
from slsim.registry import Component, Registry, full_name
from slsim.units import Duration

Floats: TypeAlias = NDArray[np.float64]

Half = Literal[
    "client forward", "client backward", "server forward", "server backward", "head forward", "head backward"
]
CodecPart = Literal["encode", "decode"]
Part = Literal[Half, CodecPart]


@dataclass(frozen=True, slots=True)
class Work:
    """Pieces of work of one kind, told in every way that a device may want to count them.

    Each number is an array, one entry a piece; what does not apply is 0.
    """

    part: str
    flops: Floats  # floating-point operations of the whole piece
    memory_bytes: Floats  # of memory read and written by a codec
    samples: Floats  # through a part of the model
    elements: Floats  # through a codec
    codec: str  # the codec's name, of "encode" and "decode"
    core_s: Floats  # seconds of a codec on the core of reference; NaN: not known
    lossless_s: Floats  # and of its lossless stage

    @classmethod
    def of(cls, part: str, codec: str = "", **numbers: Any) -> Work:
        """Work of which only some numbers are told: the others are 0, and `core_s` is not known.

        >>> Work.of("client forward", samples=[10.0, 5.0], flops=[1e9, 5e8]).elements
        array([0., 0.])
        """
        given = {name: np.atleast_1d(np.asarray(value, np.float64)) for name, value in numbers.items()}
        size = max((len(values) for values in given.values()), default=1)
        names = ("flops", "memory_bytes", "samples", "elements", "core_s", "lossless_s")
        filled = {name: np.full(size, math.nan if name == "core_s" else 0.0) for name in names}
        filled |= {name: np.broadcast_to(values, size) for name, values in given.items()}
        return cls(part, codec=codec, **filled)

    @property
    def is_something(self) -> NDArray[np.bool_]:
        """Whether there is anything to do, for each piece: samples for a part of the model, or work that a
        codec says it makes. Elements alone are none."""
        core_s = np.nan_to_num(self.core_s)
        effort: NDArray[np.bool_] = (
            self.flops + self.memory_bytes + self.samples + core_s + self.lossless_s != 0
        )
        return effort


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Factors on what rated devices assume, to see how far a result depends on it: on the fixed cost of
    setting a device to work, and on what codecs cost.

    Example:
        >>> from slsim.devices import create
        >>> create("rtx-3090").under(Assumptions(overhead=0.0)).overhead
        0.0
    """

    overhead: float = 1.0
    codecs: float = 1.0


AS_STATED = Assumptions()


class Device(Component, ABC):
    """What a client or the server computes on: pieces of work → seconds. A subclass is final.

    Contract. `piece_seconds` gives finite numbers, 0 or more, one for each piece, the same for the same work,
    linear in the work's numbers; one number stands for all. A device that knows no time for some part of some
    scenario says so in `faults`, which is asked before anything runs; asked for such a time all the same,
    `piece_seconds` raises `FaultsError`.

    Example:
        >>> from slsim.devices import Work, create
        >>> create("timed", client_forward="2 ms").seconds(Work.of("client forward", samples=[10.0, 5.0]))
        array([0.02, 0.01])
    """

    overhead: Duration = Field(
        default="0 s",
        validate_default=True,
        description="The fixed time that it takes to set the device to work, each time.",
    )

    def seconds(self, work: Work) -> Floats:
        """Seconds of each piece of work, without the fixed cost. Raises `ComponentError` when a third party's
        device gives no time, or one that makes no sense."""
        seconds = self.piece_seconds(work)
        if boundary.is_outside(type(self)) and not _is_time(seconds, work):
            raise ComponentError(
                f"{full_name(type(self))}, in piece_seconds: gave {boundary.shown(seconds)} for {work.part}; "
                "seconds must be at least 0 and finite: one number, or as many as there are pieces"
            )
        return np.broadcast_to(np.asarray(seconds, np.float64), work.samples.shape)

    @abstractmethod
    def piece_seconds(self, work: Work) -> Floats:
        """Seconds of each piece of work, without the fixed cost. Raises `FaultsError` where unknown."""

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

    def _probe(self, part: Part, table: Mapping[str, Any]) -> Fault | None:
        if not boundary.is_outside(type(self)):
            return None
        try:
            one, again, both = (self.seconds(_little_work(part, table, count)) for count in (1, 1, 2))
        except FaultsError:  # it knows no time for such work, and perhaps one for the scenario's
            return None
        if (one == again).all() and (both == one).all():
            return None
        gives = f"{full_name(type(self))}, in piece_seconds: gives {one} s, {again} s and {both} s"
        message = f"{gives} for the same {part}, asked twice alone and then twice at once"
        return Fault("", f"{message}; it must give the same")


def _little_work(part: Part, table: Mapping[str, Any], count: int) -> Work:
    """`count` times ten samples through a part of the model, or 1,000 elements through a codec."""
    if part in ("encode", "decode"):
        size = {"memory_bytes": 8000.0, "elements": 1000.0, "core_s": 1e-6}
        return Work.of(part, table["name"], **{name: [number] * count for name, number in size.items()})
    return Work.of(part, flops=[1e7] * count, samples=[10.0] * count)


def _is_time(seconds: object, work: Work) -> bool:
    """Whether `seconds` are finite numbers, 0 or more, and as many as `work` has pieces."""
    if isinstance(seconds, (float, int)) and not isinstance(seconds, bool):
        return 0 <= seconds < math.inf
    if not isinstance(seconds, (np.ndarray, np.number)) or seconds.dtype.kind not in "iuf":
        return False
    return np.shape(seconds) in ((), work.samples.shape) and bool(
        ((seconds >= 0) & (seconds < math.inf)).all()
    )


registry: Registry[Device] = Registry("device", Device)  # type: ignore[type-abstract]  # only used as a bound
register = registry.register
