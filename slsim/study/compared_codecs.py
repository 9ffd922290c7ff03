"""Which codecs `slsim errors` compares: the settings of the paper's Figure 2, and the scenario's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, get_args

from slsim.codecs import Codec
from slsim.saved import NO_STAGE
from slsim.scenario import Choice, Plan

ROUNDINGS = ("floor", "nearest", "centroid")
SPARSE = (("sp", "SP"), ("rt", "RT"))
SPARSITIES = (0.95875, 0.9275, 0.89625)


@dataclass(frozen=True)
class Compared:
    """A codec that is compared: what a table calls it without its lossless stage, and the series of codecs
    that it belongs to, which differ in numbers alone."""

    series: str
    title: str
    codec: Codec

    @property
    def stage(self) -> str:
        """What the lossless stage is called."""
        return self.codec.lossless or NO_STAGE

    @property
    def nominal(self) -> Codec:
        """The codec without a lossless stage."""
        return type(self.codec)(**self.codec.model_dump(exclude={"lossless", "zstd_level"}))


def settings() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Series, codec and parameters: the paper's settings, and those of 3 and 4 bits. The sparse codecs are
    given the sparsity at which they send as many bytes as `ms` of 99 % does with 2, 3 and 4 bits."""
    for bits in (2, 3, 4):
        for rounding in ROUNDINGS:
            yield f"MS {rounding}", "ms", {"sparsity": 0.99, "bits": bits, "rounding": rounding}
    for bits in (2, 3, 4):
        yield "QU", "qu", {"bits": bits}
    for name, series in SPARSE:
        for sparsity in SPARSITIES:
            yield series, name, {"sparsity": sparsity}


def stages() -> tuple[str, ...]:
    """The lossless stages that there are.

    Example:
        >>> "zstd" in stages()
        True
    """
    return tuple(dict.fromkeys(_texts(Codec.model_fields["lossless"].annotation)))


def _texts(annotation: Any) -> Iterator[str]:
    if isinstance(annotation, str):
        yield annotation
    for argument in get_args(annotation):
        yield from _texts(argument)


def compared(asked: Plan) -> list[Compared]:
    """The settings of `settings`, each without a lossless stage and behind each; then the uplink's codecs of
    the plan that are none of these, with the stage that they are given."""
    found = []
    for series, name, params in settings():
        choice = Choice("codec", name, params)
        for stage in ({}, *({"lossless": one} for one in stages())):
            codec = replace(choice, params={**params, **stage}).create()
            found.append(Compared(series, choice.title, codec))
    for case in asked.cases:
        own = _own(case.scenario.codec.uplink)
        if all(own.codec != one.codec for one in found):
            found.append(own)
    return found


def _own(choice: Choice) -> Compared:
    """A codec of the scenario's; its series is called by what is no number."""
    rest = {key: value for key, value in choice.params.items() if key != "lossless"}
    words = {key: value for key, value in rest.items() if isinstance(value, (str, bool))}
    series = replace(choice, params=words, called="").title
    return Compared(series, replace(choice, params=rest).title, choice.create())
