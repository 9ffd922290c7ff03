"""The costs that a recording is played with, and what a reader has to know of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from slsim import codecs
from slsim.codecs.costs import SHIPPED, by_kind, cost_of
from slsim.recording import ACTIVATIONS, GRADIENTS, WEIGHTS, Costs, Recording
from slsim.units import DURATION

# Which of a scenario's codecs carries a message, by its kind.
CODEC_OF = {ACTIVATIONS: "uplink", GRADIENTS: "downlink", WEIGHTS: "weights"}
SOME_WEIGHTS = 1 << 16  # how many there are is not recorded, and an element costs nearly the same


def costs_of(recording: Recording) -> Costs:
    """A recording's costs. Formats 1 and 2 know of codecs only the memory that they touch: those that ship
    get what the table of costs says today; one of somebody's own is counted by its memory traffic."""
    costs = recording.costs
    if costs.encode_s:
        return costs
    samples = recording.learning.get("clients", {}).get("batch_size", 1)
    shapes = dict.fromkeys(CODEC_OF, (samples, *recording.activation_shape)) | {WEIGHTS: (SOME_WEIGHTS,)}
    known = {
        kind: cost_of(codecs.create(**table), shapes[kind], sparse=kind == ACTIVATIONS)
        for kind, table in _chosen(recording).items()
        if table["name"] in SHIPPED
    }
    found = by_kind(known).items()
    fields: dict[str, Any] = {name: {**getattr(costs, name), **kinds} for name, kinds in found}
    return replace(costs, **fields)


def notes(recording: Recording) -> list[str]:
    """A sentence for each codec whose cost was measured on the machine that trained."""
    costs, chosen = recording.costs, _chosen(recording)
    return [
        f"{Path(chosen[kind]['name']).name} does not say what it costs: measured on the machine that "
        f"trained, as {DURATION.pretty(costs.encode_s[kind])} to encode and "
        f"{DURATION.pretty(costs.decode_s[kind])} to decode an element on the core of reference "
        f"(a core there is {core:.2f} times as fast)"
        for kind, core in costs.measured_core.items()
        if kind in chosen
    ]


def _chosen(recording: Recording) -> dict[str, Mapping[str, Any]]:
    """Each message kind's codec, as the scenario has it."""
    tables: Mapping[str, Any] = recording.learning.get("codec", {})
    return {kind: tables[name] for kind, name in CODEC_OF.items() if name in tables}
