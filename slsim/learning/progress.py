"""How far a training is, and what follows from that: the learning rate, and when it is evaluated."""

from __future__ import annotations

import math

from slsim.scenario.training_table import TrainingTable


class Progress:
    """Counts rounds, and optimizer steps. `rounds_per_epoch` is the protocol's."""

    def __init__(self, settings: TrainingTable, rounds_per_epoch: float) -> None:
        self._settings = settings
        self.rounds_per_epoch = rounds_per_epoch
        planned = max(1, math.ceil(settings.epochs * rounds_per_epoch - 1e-9))
        self.total_rounds = min(planned, settings.max_rounds or planned)
        self.rounds, self.steps = 0, 0
        self._stopped = False

    @property
    def is_over(self) -> bool:
        """Whether all rounds are done, or no more are wanted."""
        return self._stopped or self.rounds >= self.total_rounds

    def stop(self) -> None:
        """End the training after the round just done."""
        self._stopped = True

    @property
    def epoch(self) -> float:
        """How often every sample was seen."""
        return self.rounds / self.rounds_per_epoch

    def learning_rate(self) -> float:
        """Of this round."""
        return self._settings.schedule.rate(
            self._settings.learning_rate, progress=self.rounds / self.total_rounds, epoch=self.epoch
        )

    def evaluation_due(self) -> bool:
        """Whether the scenario wants an evaluation after the round just done; the last round always."""
        every = self._settings.evaluate_every
        if self.is_over:
            return True
        return self.rounds % every == 0 if every else self.epoch_ended()

    def epoch_ended(self) -> bool:
        """Whether the round just done was the last of an epoch."""
        return self._epochs(self.rounds) > self._epochs(self.rounds - 1)

    def _epochs(self, rounds: int) -> int:
        """Whole epochs in so many rounds."""
        return math.floor(rounds / self.rounds_per_epoch + 1e-9)
