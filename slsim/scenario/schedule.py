"""How the learning rate goes down: constant, cosine, or in steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

MOST_EPOCHS = 1e9  # of a milestone


@dataclass(frozen=True)
class Schedule:
    """ "constant"; "cosine", which ends at 0; or steps: times `factor` at each of `milestones` (epochs)."""

    kind: Literal["constant", "cosine", "steps"]
    milestones: tuple[float, ...] = ()
    factor: float = 1.0

    @classmethod
    def parse(cls, value: object) -> Schedule:
        match value:
            case Schedule():
                return value
            case "constant" | "cosine":
                return cls(value)
            case {"milestones": list() as milestones, "factor": int() | float() as factor, **rest}:
                rising = all(type(one) in (int, float) and 0 < one <= MOST_EPOCHS for one in milestones)
                if not rest and milestones and rising and sorted(milestones) == milestones and 0 < factor < 1:
                    return cls("steps", tuple(map(float, milestones)), float(factor))
        raise ValueError(
            f'{value!r} is no schedule; write "constant", "cosine" or '
            "{ milestones = [60, 120], factor = 0.2 } (epochs, ascending; a factor between 0 and 1)"
        )

    def table(self) -> str | dict[str, object]:
        if self.kind == "steps":
            return {"milestones": list(self.milestones), "factor": self.factor}
        return self.kind

    def rate(self, initial: float, progress: float, epoch: float) -> float:
        """The learning rate at `progress` (0 … 1 of the training), `epoch` epochs from its start."""
        if self.kind == "cosine":
            return initial * (1 + math.cos(math.pi * progress)) / 2
        passed = sum(epoch >= milestone - 1e-9 for milestone in self.milestones)
        return initial * self.factor**passed


SCHEDULE_SCHEMA = {
    "anyOf": [
        {"enum": ["constant", "cosine"]},
        {
            "type": "object",
            "properties": {
                "milestones": {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}},
                "factor": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            },
            "required": ["milestones", "factor"],
            "additionalProperties": False,
        },
    ]
}
