"""The scenario as typed, frozen models: what is asked, and every default.

Reading a file, sweeping and overriding is `plan.py`; choosing components by name is `choice.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from slsim.errors import Fault, FaultsError
from slsim.scenario import shares
from slsim.scenario.choice import (
    ALTERNATIVE_MARK,
    COMPONENT_MARK,
    MOST,
    PARTITION_SCHEMA,
    AdapterChoice,
    Augmentation,
    Choice,
    CodecChoice,
    ComponentTable,
    DeviceChoice,
    NestedChoice,
    Partition,
    Table,
    choose,
)
from slsim.scenario.contents import by_content
from slsim.scenario.fits import adapter_faults
from slsim.scenario.network import NetworkTable
from slsim.scenario.schemes import Scheme
from slsim.scenario.training_table import StopTable, TrainingTable


class DataTable(ComponentTable):
    """[data]: the data set by name, its parameters, how clients share it, and how it is augmented."""

    component: Annotated[NestedChoice, WithJsonSchema({COMPONENT_MARK: "data"})]
    partition: Annotated[
        Partition,
        BeforeValidator(Partition.parse),
        PlainSerializer(Partition.table),
        WithJsonSchema(PARTITION_SCHEMA),
    ] = Field(Partition("iid"), description="Which client holds which training samples.")
    augment: Augmentation | None = Field(
        None, description="Random changes of training images. There are none where this is left out."
    )

    @field_validator("component", mode="before")
    @classmethod
    def _choose(cls, value: object, info: ValidationInfo) -> Choice:
        return choose("data", value, info, cls.own_keys())


class ModelTable(ComponentTable):
    """[model]: the model by name, its parameters, and after which layer it is cut; twice, for a protocol that
    has a head on the clients."""

    component: Annotated[NestedChoice, WithJsonSchema({COMPONENT_MARK: "model"})]
    cut: str | int = Field(description="A named cut of the model, or the number of layers on the client.")

    @field_validator("component", mode="before")
    @classmethod
    def _choose(cls, value: object, info: ValidationInfo) -> Choice:
        return choose("model", value, info, cls.own_keys())

    head_cut: str | int | None = Field(
        None,
        description='The layer after which the head on the clients begins ("u-shaped"), told as the cut is.',
    )

    adapter: AdapterChoice = Field(
        None,
        description="Layers on both sides of the cut, trained with the model. There are none where this is "
        'left out, or "none".',
    )

    @field_validator("cut", "head_cut", mode="before")
    @classmethod
    def _cut_exists(cls, cut: object, info: ValidationInfo) -> object:
        if isinstance(cut, bool) or not isinstance(cut, (str, int)) or (isinstance(cut, int) and cut > MOST):
            raise ValueError(f"a cut is a name or a layer number, found {cut!r}")
        chosen = info.data.get("component")
        if chosen is not None and not chosen.is_text:
            chosen.create().client_layers(cut)
        return cut

    @model_validator(mode="after")
    def _head_is_above(self) -> ModelTable:
        if self.head_cut is None or self.component.is_text:
            return self
        model = self.component.create()
        if model.client_layers(self.head_cut) <= model.client_layers(self.cut):
            raise ValueError(f"head_cut: {self.head_cut!r} is not above the cut, {self.cut!r}")
        return self


class DeviceShare(Table):
    """One class of client devices and the share of the clients that have it."""

    device: DeviceChoice = Field(description="The device.")
    share: float | None = Field(None, strict=True, gt=0, le=1, description=shares.MEANING)


def _device_shares(value: object, info: ValidationInfo) -> object:
    """One device for all clients is one class with all of the share."""
    if isinstance(value, (list, tuple)):
        return value
    return [{"device": choose("device", value, info), "share": 1.0}]


def _device_table(shares: tuple[DeviceShare, ...]) -> Any:
    """One device for all clients is written as the device alone."""
    if len(shares) == 1 and shares[0].share == 1:
        return shares[0].device.table()
    return [{"device": one.device.table(), "share": one.share} for one in shares]


class ClientsTable(Table):
    """[clients]: how many, their mini-batches, and their devices."""

    count: int = Field(10, strict=True, ge=1, le=10**6, description="The number of clients.")
    per_round: int | None = Field(
        None,
        strict=True,
        ge=1,
        le=MOST,
        description="How many clients take part in a round, drawn anew each time. All do where "
        "it is left out.",
    )
    batch_size: int = Field(
        10, strict=True, ge=1, le=MOST, description="The number of samples in a client's mini-batch."
    )
    device: Annotated[
        tuple[DeviceShare, ...], BeforeValidator(_device_shares), PlainSerializer(_device_table)
    ] = Field(
        default="atlas-200-dk",
        validate_default=True,
        description="The device of every client, or a list of { device, share }.",
        json_schema_extra={ALTERNATIVE_MARK: "device"},
    )

    @field_validator("device")
    @classmethod
    def _shares_add_up(cls, classes: tuple[DeviceShare, ...]) -> tuple[DeviceShare, ...]:
        shares.check([one.share for one in classes])
        return classes


class ServerTable(Table):
    """[server]: its device, and how many clients it can compute for at a time."""

    device: DeviceChoice = Field(default="rtx-3090", validate_default=True, description="The device.")
    parallel: int = Field(
        1,
        strict=True,
        ge=1,
        le=MOST,
        description="The number of clients that the server computes for at a time. The others queue.",
    )


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


class Scenario(Table):
    """One setting, whole: everything that a run depends on."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=200,
        description="The study's name, which is that of its results folder too.",
    )
    seed: int = Field(
        0, strict=True, ge=0, lt=2**63, description="The seed that every random draw derives from."
    )
    data: DataTable
    model: ModelTable
    clients: ClientsTable = Field(default_factory=dict, validate_default=True)
    server: ServerTable = Field(default_factory=dict, validate_default=True)
    network: NetworkTable = Field(default_factory=dict, validate_default=True)
    codec: CodecTable = Field(default_factory=dict, validate_default=True)
    training: TrainingTable = Field(default_factory=dict, validate_default=True)

    @field_validator("clients")
    @classmethod
    def _not_more_than_all(cls, clients: ClientsTable) -> ClientsTable:
        if clients.per_round is not None and clients.per_round > clients.count:
            raise ValueError(f"per_round: {clients.per_round} of {clients.count} clients cannot take part")
        return clients

    @model_validator(mode="after")
    def _devices_know_their_times(self) -> Scenario:
        """A device with measured or given times must have one for all that it will be asked to do."""
        if self.training.protocol.is_text:
            return self
        model = self.model.table()
        codecs = {key: choice.table() for key, choice in self.codec.choices().items()}
        protocol = self.training.protocol.create()
        on_client, on_server = protocol.computing
        ways = [("uplink", "downlink"), *([("head_uplink", "head_downlink")] if protocol.has_head else [])]
        faults: dict[Fault, None] = {}  # each once
        for up, down in ways:
            coding = {"encode": codecs[up], "decode": codecs[down]}
            back = {"encode": codecs[down], "decode": codecs[up]}
            client = dict.fromkeys(on_client, model) | (coding if on_server else {})
            server = dict.fromkeys(on_server, model) | (back if on_client else {})
            faults |= dict.fromkeys(self._unknown_times(client, server))
        if faults:
            raise FaultsError(faults)
        return self

    def _unknown_times(self, client: Mapping[Any, Any], server: Mapping[Any, Any]) -> Iterator[Fault]:
        """What the devices have no time for, of the duties of a client and of the server."""
        places = [(f"clients.device[{i}]", one.device, client) for i, one in enumerate(self.clients.device)]
        if len(places) == 1:
            places = [("clients.device", self.clients.device[0].device, client)]
        places.append(("server.device", self.server.device, server))
        for path, device, duties in places:
            if not device.is_text:
                yield from (fault.under(path) for fault in device.create().all_faults(duties))

    def _labels_missing(self, has_head: bool) -> Fault | None:
        """A codec that learns from the true class' logits where these are not at the server."""
        for name in ("uplink", "head_downlink"):
            choice = getattr(self.codec, name)
            if choice is None or choice.is_text or choice.create().learns_from != "true logits":
                continue
            if has_head:
                what = (
                    "learns from logits and labels at the server, which has none where a head is on clients"
                )
                return Fault(f"codec.{name}", f"{choice.label} {what}")
        return None

    @model_validator(mode="after")
    def _protocol_fits(self) -> Scenario:
        if self.training.protocol.is_text:
            return self
        protocol = self.training.protocol
        if protocol.create().has_head != (self.model.head_cut is not None):
            what = (
                "needs a second cut; give one above model.cut, where the head on the clients begins"
                if self.model.head_cut is None
                else 'has no head on the clients; leave head_cut out, or let protocol be "u-shaped"'
            )
            raise FaultsError([Fault("model.head_cut", f"{protocol.label} {what}")])
        if lacking := self._labels_missing(protocol.create().has_head):
            raise FaultsError([lacking])
        for name in ("head_downlink", "head_uplink"):
            if getattr(self.codec, name) is not None and not protocol.create().has_head:
                what = "has no head on the clients, so nothing goes through this codec"
                raise FaultsError([Fault(f"codec.{name}", f"{protocol.label} {what}")])
        if faults := list(
            adapter_faults(self.model.adapter, protocol, self.codec.choices(), self.training.hooks)
        ):
            raise FaultsError(faults)
        if self.training.aggregation == "free":
            return self
        path = "training.aggregation"
        if self.clients.per_round is not None:
            what = "needs every client in every round; leave clients.per_round out"
            raise FaultsError([Fault(path, f"{self.training.aggregation} {what}")])
        network = self.network
        if self.training.aggregation == "all-reduce" and (network.medium or network.access_points):
            what = "runs over the clients' own links; leave network.medium and network.access_points out"
            raise FaultsError([Fault(path, f"all-reduce {what}")])
        return self

    def table(self) -> dict[str, Any]:
        """As a scenario file would say it, every default written out."""
        return {name: item.table() if isinstance(item, Table) else item for name, item in self}

    @property
    def scheme(self) -> Scheme:
        """What makes what goes up smaller, as tables and figures call it."""
        return Scheme(self.codec.uplink, self.model.adapter)

    @property
    def is_baseline(self) -> bool:
        """Whether nothing is compressed: there are neither codecs nor an adapter."""
        return self.model.adapter is None and all(
            choice.table() == IDENTITY.table() for choice in self.codec.choices().values()
        )

    @property
    def stop(self) -> StopTable | None:
        """What ends the training early. An uncompressed run is not stopped by a target that is taken from
        what it held."""
        stop = self.training.stop
        if stop is None or not (stop.target and self.is_baseline and self.training.target_margin is not None):
            return stop
        others = stop.model_dump(exclude={"target"}, exclude_none=True)
        return stop.model_copy(update={"target": False}) if others else None

    def learning_table(self) -> dict[str, Any]:
        """The part that what is learned depends on; the name is not, nor are links, devices and the target,
        unless they end the training."""
        stop = self.stop
        training = {key: value for key, value in self.training.table().items() if key != "stop"}
        if stop is not None:
            training["stop"] = stop.table()
        if stop is None or not stop.target:
            training = {key: value for key, value in training.items() if not key.startswith("target_")}
        by_time = stop is not None and stop.time is not None
        learned, clients = (
            ("count", "batch_size", "per_round", *(("device",) if by_time else ())),
            self.clients.table(),
        )
        codec = {
            key: choice.table()
            for key, choice in self.codec.choices().items()
            if not key.startswith("head_") or choice.table() != IDENTITY.table()  # left out, it is the same
        }
        tables = {"seed": self.seed, "data": self.data.table(), "model": self.model.table()}
        if by_time:
            tables |= {"network": self.network.table(), "server": self.server.table()}
        return {
            **by_content(tables),
            "codec": codec,
            "clients": {key: clients[key] for key in learned if key in clients},
            "training": training,
        }

    def baseline(self) -> Scenario:
        """The same setting with nothing compressed: what targets, multipliers and speed-ups are over."""
        bare = self.without_codecs()
        if self.model.adapter is None:
            return bare
        return bare.model_copy(update={"model": self.model.model_copy(update={"adapter": None})})

    def without_codecs(self) -> Scenario:
        """The same setting with everything sent as it is, through its adapter if it has one."""
        return self.model_copy(update={"codec": _nothing_compressed()})


@cache
def _nothing_compressed() -> CodecTable:
    return CodecTable()
