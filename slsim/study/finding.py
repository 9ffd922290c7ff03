"""Find a training that is there already, without taking it up."""

from __future__ import annotations

from contextlib import suppress

from slsim.errors import RecordingError
from slsim.results import StudyFolder
from slsim.study.fingerprints import Fingerprints
from slsim.study.placing import home_of
from slsim.study.reuse import reusable
from slsim.study.training import Training


def is_there(folder: StudyFolder, training: Training, fingerprints: Fingerprints) -> bool:
    """Return whether a run would use a training again: the study's own, or that of the scenario's main
    study."""
    files = fingerprints.of(training.scenario)
    for place in (folder, home_of(folder)):
        with suppress(RecordingError):
            if reusable(place, training.name, files) is not None:
                return True
    return False
