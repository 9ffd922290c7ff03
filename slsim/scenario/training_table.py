"""[training] of a scenario: the protocol, the optimizer, how long, what is measured, and what is aimed at."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from slsim.scenario.choice import MOST, Choice, HookChoice, ProtocolChoice, Table
from slsim.scenario.schedule import SCHEDULE_SCHEMA, Schedule
from slsim.units import Duration, Size

MOST_THREADS = 1024
Method = Literal["stepped", "interpolated"]
STEPPED: Method = "stepped"
_BASELINE = re.compile(r"baseline(?:\s*-\s*([0-9]+(?:\.[0-9]+)?)\s*%)?")


def _listed(hooks: object) -> object:
    """One hook may stand without the list."""
    return [hooks] if isinstance(hooks, (str, dict)) else hooks


class StopTable(Table):
    """What ends a training before its epochs do, whichever comes first; looked at after each round."""

    uplink: Size | None = Field(None, description="Stop once all clients together have sent so many bytes.")
    downlink: Size | None = Field(
        None, description="Stop once all clients together have received so many bytes."
    )
    bytes: Size | None = Field(
        None, description="Stop once clients have sent and received so many bytes together."
    )
    time: Duration | None = Field(
        None,
        description="Stop after so much simulated time. What is learned then depends on links and devices.",
    )
    target: bool = Field(
        False,
        strict=True,
        description="Stop once target_accuracy is reached and target_window has confirmed it.",
    )

    @model_validator(mode="after")
    def _says_something(self) -> StopTable:
        limits = self.model_dump(exclude={"target"}, exclude_none=True)
        if not (self.target or limits):
            raise ValueError(
                'says nothing; give uplink, downlink or bytes ("500 MB"), time ("1 h") or target = true, '
                "or leave stop out"
            )
        if self.time == 0:
            raise ValueError("time must be more than 0 s")
        return self


class TrainingTable(Table):
    """[training]: the protocol, the optimizer (SGD), how long, and what accuracy is aimed at."""

    protocol: ProtocolChoice = Field(
        default="splitfed", validate_default=True, description="The protocol: who does what when."
    )
    epochs: int = Field(
        6, strict=True, ge=1, le=MOST, description="The number of passes over the training data."
    )
    learning_rate: float = Field(
        0.05, strict=True, gt=0, le=1e30, description="The learning rate of stochastic gradient descent."
    )
    momentum: float = Field(0.9, strict=True, ge=0, lt=1, description="The momentum, not Nesterov's.")
    weight_decay: float = Field(
        0.0, strict=True, ge=0, le=1e30, description="The weight decay, an L2 penalty."
    )
    schedule: Annotated[
        Schedule,
        BeforeValidator(Schedule.parse),
        PlainSerializer(Schedule.table),
        WithJsonSchema(SCHEDULE_SCHEMA),
    ] = Field(
        Schedule("constant"),
        description='The schedule of the learning rate: "constant", "cosine" (0 after the last epoch), or '
        "{ milestones = [60, 120], factor = 0.2 } (in epochs).",
    )
    max_rounds: int | None = Field(
        None, strict=True, ge=1, le=MOST, description="The training ends after so many rounds."
    )
    stop: StopTable | None = Field(
        None,
        description="What ends a training early, beside epochs: "
        '{ uplink = "500 MB" }, { time = "1 h" }, { target = true }, ….',
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="The precision of the arithmetic inside the model. What crosses the cut is float32.",
    )
    channels_last: bool = Field(
        True,
        strict=True,
        description="Whether images are laid out with their channels last, which speeds convolutions up.",
    )
    threads: int = Field(
        1,
        strict=True,
        ge=1,
        le=MOST_THREADS,
        description="The number of threads that torch computes a training with. It is part of what is "
        "learned, because sums of floats depend on it.",
    )
    evaluate_every: int | None = Field(
        None,
        strict=True,
        ge=1,
        le=MOST,
        description="The number of rounds between two test evaluations. Left out, there is one an epoch.",
    )
    weighting: Literal["samples", "clients"] = Field(
        "samples", description="How much a client counts in averages: by its samples, or all alike."
    )
    aggregation: Literal["free", "server", "all-reduce"] = Field(
        "free",
        description="How clients that are averaged every step exchange their own gradients: free of charge "
        "as in the paper, up to the server and their mean down, or in a ring among the clients.",
    )
    hooks: Annotated[tuple[HookChoice, ...], BeforeValidator(_listed)] = Field(
        (), description="What is measured after rounds, beside the accuracy."
    )
    target_accuracy: float | str = Field(
        "baseline",
        description="The test accuracy that is aimed at: a number up to 1, "
        '"baseline" (what the uncompressed run held), or "baseline - 1%" (a percentage point below '
        "that). A list of these is a target each.",
    )
    target_window: int = Field(
        3,
        strict=True,
        ge=1,
        description="The number of evaluations in a row of which the first and more than half "
        "must be at or above the target.",
    )

    target_method: Method = Field(
        STEPPED,
        description="Where rounds, time and bytes to the target are read: at the evaluation that reached it, "
        "or interpolated between that one and the one before.",
    )

    @model_validator(mode="before")
    @classmethod
    def _probes_are_a_hook(cls, table: object) -> object:
        """Up to version 0.1 `probes = { every, draws }` was what the hook "theory" is."""
        if not isinstance(table, dict) or not isinstance(table.get("probes"), dict):
            return table
        rest = {key: value for key, value in table.items() if key not in ("probes", "hooks")}
        hooks = _listed(table.get("hooks", []))
        if isinstance(hooks, (list, tuple)):
            hooks = [*hooks, {"name": "theory", **table["probes"]}]
        return {**rest, "hooks": hooks}

    @field_validator("hooks")
    @classmethod
    def _each_once(cls, hooks: tuple[Choice, ...]) -> tuple[Choice, ...]:
        names = [hook.name for hook in hooks]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f'"{twice[0]}" is given twice; its rows could not be told apart')
        return hooks

    @model_validator(mode="after")
    def _protocol_can_do_that(self) -> TrainingTable:
        if self.protocol.is_text:
            return self
        if self.protocol.create().averages_gradients:
            return self
        if self.aggregation != "free":
            raise ValueError(
                f"aggregation: {self.protocol.label} has clients send their weights, not their gradients; "
                'leave aggregation out, or let protocol be "splitfed" without local_epochs, or "u-shaped"'
            )
        for hook in self.hooks:
            if not hook.is_text and hook.create().needs_shared_weights:
                raise ValueError(
                    f"the hook {hook.label} looks at rounds of one step from weights that all share, which "
                    f"{self.protocol.label} has not; leave it out of hooks, or let protocol be "
                    '"splitfed" without local_epochs'
                )
        return self

    @field_validator("target_accuracy", mode="before")
    @classmethod
    def _target(cls, value: object) -> object:
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= 1
        if not number and not (isinstance(value, str) and _BASELINE.fullmatch(value)):
            raise ValueError(
                f'must be a number above 0 and up to 1, "baseline" or "baseline - 1%", found {value!r}'
            )
        return value

    @property
    def target_margin(self) -> float | None:
        """How far below the uncompressed run the target lies (0 … 1); None when the target is a number."""
        match = _BASELINE.fullmatch(self.target_accuracy) if isinstance(self.target_accuracy, str) else None
        return float(match[1] or 0) / 100 if match else None
