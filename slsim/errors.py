"""The errors that slsim raises for its users.

Every message says what was given, what is allowed and what to do about it. Programming mistakes
inside slsim are `assert`s, never one of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class SlsimError(Exception):
    """Base of every error a user can cause and mend.

    Example:
        >>> import slsim
        >>> try:
        ...     slsim.open_study("nowhere")
        ... except SlsimError as error:
        ...     print(error)
        nowhere is no study: it has no scenario.toml; make one with `slsim run SCENARIO`
    """


class UnitError(SlsimError, ValueError):
    """A quantity has no unit, an unknown unit, or a value that makes no sense."""


class UnknownNameError(SlsimError, ValueError):
    """A component cannot be had by that name: there is none, several claim it, or it cannot be loaded."""


class InstallationError(SlsimError):
    """slsim's own components cannot be found, because slsim is not installed."""


class CodecError(SlsimError, ValueError):
    """A tensor cannot be encoded, or a payload cannot be decoded."""


class ComponentError(SlsimError, ValueError):
    """A component of a third party raised, exited, or gave what its contract does not allow."""


class NetworkError(SlsimError, ValueError):
    """A link, route, transfer or rate change that cannot be simulated."""


class RecordingError(SlsimError):
    """A recording on disk is missing, damaged or of another format version."""


class DataError(SlsimError):
    """A data set cannot be read, or cannot be partitioned as asked."""


class StudyError(SlsimError):
    """A results folder is missing, damaged, or cannot answer what was asked of it."""


class DiskError(StudyError):
    """A file or folder cannot be written: the disk is full, read-only, or not the user's."""


class OwnCodeError(StudyError):
    """A study cannot be answered for without code that it names, which opening it does not run."""


class TrainingError(SlsimError):
    """One training of a study failed; the others go on."""


class ReplayError(StudyError):
    """A replay was asked to change something that only a new training can answer."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: where it stands (`path`, dotted; may be empty) and what is wrong."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message

    def under(self, prefix: str) -> Fault:
        """The same fault, seen from the table that holds it."""
        joint = "." if prefix and self.path and not self.path.startswith("[") else ""
        path = f"{prefix}{joint}{self.path}"
        return Fault(path, self.message)


class FaultsError(SlsimError, ValueError):
    """Several faults of one input, reported together, one a line."""

    def __init__(self, faults: Iterable[Fault], source: str = "") -> None:
        self.faults = tuple(faults)
        self.source = source
        prefix = f"{source}: " if source else ""
        super().__init__("\n".join(f"{prefix}{fault}" for fault in self.faults))


class ScenarioError(FaultsError):
    """A scenario file that cannot be run; `faults` holds every fault found in it.

    Example:
        >>> import slsim
        >>> try:
        ...     slsim.plan("scenarios/quickstart.toml", overrides={"network.uplink": "20"})
        ... except ScenarioError as error:
        ...     print([fault.path for fault in error.faults])
        ['network.uplink']
    """


class ClaimError(FaultsError):
    """A claim file that cannot be read or checked; `faults` holds every fault found in it."""


class TrainingDiverged(SlsimError):
    """The loss or the activations became NaN or infinite: the training ends there, with its curve."""


class ClockError(SlsimError):
    """Times that contradict each other: a fault in slsim, or in a protocol of one's own."""
