"""The scenario's section [codec]: what encodes each tensor that crosses the cut, and model weights."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from slsim.errors import Fault, FaultsError
from slsim.scenario.choice import Choice, CodecChoice, Table

IDENTITY = Choice("codec", "identity", {})


class CodecTable(Table):
    """[codec]: what encodes the activations on their way up and their gradients on their way down; and, where
    a head is on the clients, its features on their way down and their gradients on their way up."""

    uplink: CodecChoice = Field(
        default="identity", validate_default=True, description="The codec of the activations."
    )
    downlink: CodecChoice = Field(
        default="identity", validate_default=True, description="The codec of the activations' gradients."
    )
    weights: CodecChoice = Field(
        default="identity",
        validate_default=True,
        description="The codec of model weights, where a protocol sends them.",
    )

    head_downlink: CodecChoice | None = Field(
        None,
        description="The codec of the features that a head on the clients receives "
        '("u-shaped"). It is identity where this is left out.',
    )
    head_uplink: CodecChoice | None = Field(
        None, description="The codec of these features' gradients. It is identity where this is left out."
    )

    @field_validator("uplink", "downlink", "weights", "head_downlink", "head_uplink")
    @classmethod
    def _knows_itself(cls, codec: Choice | None) -> Choice | None:
        if codec and not codec.is_text and (faults := codec.create().faults()):
            raise FaultsError(faults)
        return codec

    @field_validator("weights")
    @classmethod
    def _keeps_nothing(cls, codec: Choice) -> Choice:
        if not codec.is_text and not codec.create().is_stateless:
            what = f"{codec.label} is made for what crosses the cut: it remembers, learns or follows what "
            raise ValueError(f"{what}came the other way; give weights a codec that does not, such as qu")
        return codec

    @model_validator(mode="after")
    def _returns_fit(self) -> CodecTable:
        """What returns is encoded beside what was sent."""
        faults = []
        for back, sent in (("downlink", "uplink"), ("head_uplink", "head_downlink")):
            codec, other = getattr(self, back), getattr(self, sent) or IDENTITY
            if codec is None or codec.is_text or other.is_text:
                continue
            try:
                codec.create().paired(other.create())
            except ValueError as error:
                faults.append(Fault(back, str(error)))
        if faults:
            raise FaultsError(faults)
        return self

    def choices(self) -> dict[str, Choice]:
        """The codec of each key; identity where it was left out."""
        return {name: getattr(self, name) or IDENTITY for name in type(self).model_fields}
