"""What goes with an adapter, and what does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from slsim.errors import Fault
from slsim.scenario.choice import Choice


def adapter_faults(
    adapter: Choice | None, protocol: Choice, codecs: Mapping[str, Choice], hooks: Sequence[Choice]
) -> Iterator[Fault]:
    """A fault where nothing crosses the cut, and for codecs at the cut and hooks that need a row of each
    sample where several have one. Components that are kept as text are not asked."""
    if adapter is None:
        return
    if not protocol.create().crosses_cut:
        what = f"{protocol.label} sends no activations, so nothing goes through an adapter; leave it out"
        yield Fault("model.adapter", what)
    elif not adapter.is_text and adapter.create().samples_a_row > 1:
        one_row = f"{adapter.label} sends several samples in one row; leave one of the two out"
        for key in ("uplink", "downlink"):
            if not codecs[key].is_text and codecs[key].create().needs_own_rows:
                what = f"{codecs[key].label} remembers or learns sample by sample, and {one_row}"
                yield Fault(f"codec.{key}", what)
        for hook in hooks:
            if not hook.is_text and hook.create().needs_own_rows:
                what = f"{hook.label} compares what the server receives sample by sample, and {one_row}"
                yield Fault("training.hooks", what)
