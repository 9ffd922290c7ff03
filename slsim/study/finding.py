"""Which trainings are there already: in the study, or in other studies beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from slsim.errors import RecordingError
from slsim.events import Notice, Tell
from slsim.recording import Recording
from slsim.results import StudyFolder
from slsim.scenario import Plan
from slsim.study.fingerprints import Fingerprints
from slsim.study.placing import sharing
from slsim.study.reuse import reusable
from slsim.study.training import Training


def _elsewhere(
    places: Sequence[StudyFolder], training: Training, files: Mapping[str, str], any_version: bool
) -> Recording | None:
    for place in places:
        for name in place.trainings_of_key(training.key) if any_version else [training.name]:
            with suppress(RecordingError):
                if (found := reusable(place, name, files, any_version)) is not None:
                    return found
    return None


@dataclass
class There:
    """The trainings that are there already: by key, and by name those that lie in other studies alone, and
    those that are damaged."""

    folder: StudyFolder
    recordings: dict[str, Recording] = field(default_factory=dict)
    elsewhere: dict[str, Recording] = field(default_factory=dict)
    damaged: dict[str, RecordingError] = field(default_factory=dict)

    @classmethod
    def of(
        cls, asked: Plan, folder: StudyFolder, trainings: Sequence[Training], any_version: bool = False
    ) -> There:
        """Look for each of `trainings`, of this version of slsim or of `any_version`; nothing is written."""
        there, fingerprints = cls(folder), Fingerprints()
        own = [folder] if any_version else []  # there by another name
        places = [*own, *sharing(folder, asked)]
        for training in trainings:
            files, found = fingerprints.of(training.scenario), None
            try:
                found = reusable(folder, training.name, files, any_version)
            except RecordingError as error:
                there.damaged[training.name] = error
            if found is None and (found := _elsewhere(places, training, files, any_version)) is not None:
                there.elsewhere[training.name] = found
            if found is not None:
                there.recordings[training.key] = found
        return there

    def settle(self, tell: Tell) -> None:
        """Set aside what is damaged, and copy what lies elsewhere. Raises `DiskError`."""
        for name, error in self.damaged.items():
            aside = self.folder.set_training_aside(name)
            tell(Notice(f"{error}; it is kept as {aside.name}"))
        for name, recording in self.elsewhere.items():
            self.folder.save_training(name, recording)
