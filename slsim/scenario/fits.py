"""What the sections of a scenario say that does not go together.

Components that are kept as text are not asked: they are not here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from slsim.errors import Fault

if TYPE_CHECKING:
    from slsim.scenario.tables import Scenario


def faults(scenario: Scenario) -> list[Fault]:
    """The faults of the first kind of which there are any; each is told once."""
    if scenario.training.protocol.is_text:
        return []
    kinds = (_unknown_times, _cuts, _missing_labels, _unused_codecs, _adapters, _aggregation)
    found = (list(dict.fromkeys(kind(scenario))) for kind in kinds)
    return next((some for some in found if some), [])


def _unknown_times(scenario: Scenario) -> Iterator[Fault]:
    """A device with measured or given times has none for something that it will be asked to do."""
    model = scenario.model.table()
    codecs = {key: choice.table() for key, choice in scenario.codec.choices().items()}
    protocol = scenario.training.protocol.create()
    on_client, on_server = protocol.computing
    ways = [("uplink", "downlink"), *([("head_uplink", "head_downlink")] if protocol.has_head else [])]
    for up, down in ways:
        coding = {"encode": codecs[up], "decode": codecs[down]}
        back = {"encode": codecs[down], "decode": codecs[up]}
        client = dict.fromkeys(on_client, model) | (coding if on_server else {})
        server = dict.fromkeys(on_server, model) | (back if on_client else {})
        yield from _of_devices(scenario, client, server)


def _of_devices(scenario: Scenario, client: Mapping[Any, Any], server: Mapping[Any, Any]) -> Iterator[Fault]:
    """What the devices have no time for, of the duties of a client and of the server."""
    devices = scenario.clients.device
    places = [(f"clients.device[{i}]", one.device, client) for i, one in enumerate(devices)]
    if len(places) == 1:
        places = [("clients.device", devices[0].device, client)]
    places.append(("server.device", scenario.server.device, server))
    for path, device, duties in places:
        if not device.is_text:
            yield from (fault.under(path) for fault in device.create().all_faults(duties))


def _cuts(scenario: Scenario) -> Iterator[Fault]:
    """One cut, or two where the protocol has a head on the clients."""
    protocol, head_cut = scenario.training.protocol, scenario.model.head_cut
    if protocol.create().has_head == (head_cut is not None):
        return
    what = (
        "needs a second cut; give one above model.cut, where the head on the clients begins"
        if head_cut is None
        else 'has no head on the clients; leave head_cut out, or let protocol be "u-shaped"'
    )
    yield Fault("model.head_cut", f"{protocol.label} {what}")


def _missing_labels(scenario: Scenario) -> Iterator[Fault]:
    """A codec learns from the true class' logits, and these are not at the server."""
    if not scenario.training.protocol.create().has_head:
        return
    for name in ("uplink", "head_downlink"):
        choice = getattr(scenario.codec, name)
        if choice and not choice.is_text and choice.create().learns_from == "true logits":
            what = "learns from logits and labels at the server, which has none where a head is on clients"
            yield Fault(f"codec.{name}", f"{choice.label} {what}")


def _unused_codecs(scenario: Scenario) -> Iterator[Fault]:
    """A codec for the features of a head that no client has."""
    protocol = scenario.training.protocol
    for name in () if protocol.create().has_head else ("head_downlink", "head_uplink"):
        if getattr(scenario.codec, name) is not None:
            what = "has no head on the clients, so nothing goes through this codec"
            yield Fault(f"codec.{name}", f"{protocol.label} {what}")


def _adapters(scenario: Scenario) -> Iterator[Fault]:
    """Nothing crosses the cut, or codecs at the cut and hooks need a row of each sample where several have
    one."""
    adapter, protocol, codecs = scenario.model.adapter, scenario.training.protocol, scenario.codec.choices()
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
        for hook in scenario.training.hooks:
            if not hook.is_text and hook.create().needs_own_rows:
                what = f"{hook.label} compares what the server receives sample by sample, and {one_row}"
                yield Fault("training.hooks", what)


def _aggregation(scenario: Scenario) -> Iterator[Fault]:
    """All-reduce and its like need all clients, on links of their own."""
    aggregation, path, network = scenario.training.aggregation, "training.aggregation", scenario.network
    if aggregation == "free":
        return
    if scenario.clients.per_round is not None:
        yield Fault(path, f"{aggregation} needs every client in every round; leave clients.per_round out")
    elif aggregation == "all-reduce" and (network.medium or network.access_points):
        what = "runs over the clients' own links; leave network.medium and network.access_points out"
        yield Fault(path, f"all-reduce {what}")
