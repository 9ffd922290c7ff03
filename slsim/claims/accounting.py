"""What published figures count, and the same figures by another accounting."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, model_validator

from slsim.claims.formula import Formula, figures, number

Counting = Literal["counted", "not counted", "none", "not said"]
Bits = Literal[16, 32, 64]
Directions = Literal["uplink activations", "uplink", "both"]
Quantity = Literal["multiplier", "percent", "percent saved", "bytes"]

FLAGS = (
    *("first_epoch", "headers", "indices", "codebooks"),
    *("labels", "side_information", "adapter_weights"),
)
WORDS = ("counted", "not counted", "none", "not said")


class Part(BaseModel):
    """A table of a claim file: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
Name = Annotated[str, Field(pattern=NAME, max_length=40)]


Text = Annotated[str, Field(min_length=1, max_length=500)]


def _parameter(value: object) -> Fraction | Formula:
    return Formula.parse(value) if isinstance(value, str) else number(value)


Parameters = Annotated[
    dict[Name, Annotated[Any, PlainValidator(_parameter)]],  # each a Fraction, or a Formula of others
    Field(max_length=50),
]


def written(value: Fraction | Formula) -> str:
    """A parameter as text."""
    return value.text if isinstance(value, Formula) else figures(value)


class Accounting(Part):
    """[accounting]: what the figures of a claim count. "none": the scheme sends no such thing; "not said":
    the paper does not say it. A formula may name each: 1 where it is counted, else 0."""

    baseline_bits: Bits = Field(description="of a value that is not compressed")
    directions: Directions = Field(description="what crosses the cut and is counted")
    first_epoch: Counting = Field("not said", description="of schemes that send it in full")
    headers: Counting = Field("not said", description="of messages")
    indices: Counting = Field("not said", description="which elements were kept: positions, or a mask")
    codebooks: Counting = Field("not said", description="of vector quantization")
    labels: Counting = Field("not said", description="of the samples")
    side_information: Counting = Field("not said", description="ranges, scales and the like")
    adapter_weights: Counting = Field("not said", description="of layers that encode, as they are averaged")

    def counts(self, what: str) -> bool:
        """Whether it is counted."""
        return str(getattr(self, what)) == "counted"

    def values(self) -> dict[str, Fraction]:
        """What formulas may name."""
        flags = {name: Fraction(self.counts(name)) for name in FLAGS}
        return {"baseline_bits": Fraction(self.baseline_bits), **flags}

    def told(self) -> Iterator[str]:
        """In words: "uplink activations", "floats of 32 bits", "counted: headers", …"""
        yield {"both": "both directions", "uplink": "the uplink"}.get(self.directions, self.directions)
        yield f"floats of {self.baseline_bits} bits"
        for word in WORDS:
            if named := [name.replace("_", " ") for name in FLAGS if getattr(self, name) == word]:
                yield f"{word}: {', '.join(named)}"


class Recount(Part):
    """[[recount]]: another accounting, by which all exact figures of a claim are computed again. `epochs`:
    over the first so many epochs, of which the first crosses in full."""

    baseline_bits: Bits | None = None
    epochs: int | None = Field(None, strict=True, ge=2, le=10**6)
    first_epoch: Counting | None = None
    headers: Counting | None = None
    indices: Counting | None = None
    codebooks: Counting | None = None
    labels: Counting | None = None
    side_information: Counting | None = None
    adapter_weights: Counting | None = None
    parameters: Parameters = Field(default_factory=dict, description="other values of parameters")

    @model_validator(mode="after")
    def _changes_something(self) -> Recount:
        if not self.model_fields_set:
            raise ValueError("changes nothing: set baseline_bits, epochs, parameters, or what is counted")
        return self

    def of(self, accounting: Accounting) -> Accounting:
        """The accounting with these changes."""
        changed = self.model_dump(exclude_none=True, exclude={"epochs", "parameters"})
        counted = {"first_epoch": "counted"} if self.epochs else {}
        return accounting.model_copy(update=counted | changed)

    def told(self) -> str:
        """In words: "32-bit floats", "epochs 1 to 10", "indices not counted", "bits = 32"."""
        bits = [f"{self.baseline_bits}-bit floats"] if self.baseline_bits else []
        epochs = [f"epochs 1 to {self.epochs:,}"] if self.epochs else []
        flags = [f"{name.replace('_', ' ')} {word}" for name in FLAGS if (word := getattr(self, name))]
        changed = [f"{name} = {written(value)}" for name, value in self.parameters.items()]
        return ", ".join([*bits, *epochs, *flags, *changed])


def with_first_epoch(value: Fraction, quantity: Quantity, epochs: int | None) -> Fraction:
    """A figure over so many epochs, of which the first crosses in full: x sent of raw becomes
    (1 + (n - 1) · x) / n. Bytes stay what they are: they are those of one message."""
    if epochs is None or quantity == "bytes":
        return value
    share = 1 / value if quantity == "multiplier" else value  # sent ÷ raw
    share = (1 + (epochs - 1) * share) / epochs
    return 1 / share if quantity == "multiplier" else share


def in_print(value: Fraction, quantity: Quantity) -> Fraction:
    """The number that a paper prints of a figure: of what is sent ÷ raw, percent or percent saved."""
    if quantity == "percent saved":
        return 100 * (1 - value)
    return 100 * value if quantity == "percent" else value


def shown(value: Fraction, quantity: Quantity, decimals: int = 0) -> str:
    """A figure as it is printed: "13.79", "6.771 %", "1,216,348 bytes"."""
    return f"{figures(in_print(value, quantity), decimals)}{unit(quantity)}"


def unit(quantity: Quantity) -> str:
    """What stands behind a number: " %", " bytes", or nothing."""
    return {"multiplier": "", "bytes": " bytes"}.get(quantity, " %")
