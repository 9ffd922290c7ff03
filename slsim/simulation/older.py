"""What recordings before 0.2 do not say: they know of codecs only the memory that they touch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from slsim import codecs
from slsim.codecs.costs import SHIPPED, by_kind, cost_of
from slsim.recording import ACTIVATIONS, GRADIENTS, WEIGHTS, Costs, Recording

DIRECTIONS = {ACTIVATIONS: "uplink", GRADIENTS: "downlink", WEIGHTS: "weights"}
SOME_WEIGHTS = 1 << 16  # how many there are is not recorded, and an element costs nearly the same


def costs_of(recording: Recording) -> Costs:
    """A recording's costs. Where they have no seconds of any codec, those that ship get what the table of
    costs says today; one of somebody's own is counted by its memory traffic, as it was."""
    costs = recording.costs
    if costs.encode_s:
        return costs
    samples = recording.learning.get("clients", {}).get("batch_size", 1)
    shapes = dict.fromkeys(DIRECTIONS, (samples, *recording.activation_shape)) | {WEIGHTS: (SOME_WEIGHTS,)}
    tables: Mapping[str, Any] = recording.learning.get("codec", {})
    chosen = {kind: tables[name] for kind, name in DIRECTIONS.items() if name in tables}
    known = {
        kind: cost_of(codecs.create(**table), shapes[kind], sparse=kind == ACTIVATIONS)
        for kind, table in chosen.items()
        if table["name"] in SHIPPED
    }
    found = by_kind(known).items()
    fields: dict[str, Any] = {name: {**getattr(costs, name), **kinds} for name, kinds in found}
    return replace(costs, **fields)
