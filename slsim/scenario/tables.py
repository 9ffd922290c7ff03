"""The scenario as typed, frozen models: what is asked, and every default.

Reading a file, sweeping and overriding is `plan.py`; choosing components by name is `choice.py`.
"""

from __future__ import annotations

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

from slsim.errors import FaultsError
from slsim.scenario import fits, shares
from slsim.scenario.choice import (
    ALTERNATIVE_MARK,
    COMPONENT_MARK,
    MOST,
    PARTITION_SCHEMA,
    AdapterChoice,
    Augmentation,
    Choice,
    ComponentTable,
    DeviceChoice,
    NestedChoice,
    Partition,
    Table,
    choose,
)
from slsim.scenario.codec_table import IDENTITY, CodecTable
from slsim.scenario.contents import by_content
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
    def _sections_fit(self) -> Scenario:
        if faults := fits.faults(self):
            raise FaultsError(faults)
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
