"""The scenario as typed, frozen models: what is asked, and every default.

Reading a file, sweeping and overriding is `plan.py`; choosing components by name is `choice.py`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

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
from slsim.own_code import kept_as_text
from slsim.scenario import shares
from slsim.scenario.choice import (
    ALTERNATIVE_MARK,
    COMPONENT_MARK,
    PARTITION_SCHEMA,
    Augmentation,
    Choice,
    CodecChoice,
    ComponentTable,
    DeviceChoice,
    NestedChoice,
    Partition,
    ProtocolChoice,
    Table,
    choose,
)
from slsim.scenario.network import NetworkTable
from slsim.scenario.schedule import SCHEDULE_SCHEMA, Schedule

MOST = 10**9  # of clients, samples, epochs and rounds: beyond every study, and within every counter
_BASELINE = re.compile(r"baseline(?:\s*-\s*([0-9]+(?:\.[0-9]+)?)\s*%)?")


class DataTable(ComponentTable):
    """[data]: the data set by name, its parameters, how clients share it, and how it is augmented."""

    component: Annotated[NestedChoice, WithJsonSchema({COMPONENT_MARK: "data"})]
    partition: Annotated[
        Partition,
        BeforeValidator(Partition.parse),
        PlainSerializer(Partition.table),
        WithJsonSchema(PARTITION_SCHEMA),
    ] = Field(Partition("iid"), description="which client holds which training samples")
    augment: Augmentation | None = Field(
        None, description="random changes of training images; none if left out"
    )

    @field_validator("component", mode="before")
    @classmethod
    def _choose(cls, value: object, info: ValidationInfo) -> Choice:
        return choose("data", value, info, cls.own_keys())


class ModelTable(ComponentTable):
    """[model]: the model by name, its parameters, and after which layer it is cut."""

    component: Annotated[NestedChoice, WithJsonSchema({COMPONENT_MARK: "model"})]
    cut: str | int = Field(description="a named cut of the model, or the number of layers on the client")

    @field_validator("component", mode="before")
    @classmethod
    def _choose(cls, value: object, info: ValidationInfo) -> Choice:
        return choose("model", value, info, cls.own_keys())

    @field_validator("cut", mode="before")
    @classmethod
    def _cut_exists(cls, cut: object, info: ValidationInfo) -> object:
        if isinstance(cut, bool) or not isinstance(cut, (str, int)) or (isinstance(cut, int) and cut > MOST):
            raise ValueError(f"a cut is a name or a layer number, found {cut!r}")
        chosen = info.data.get("component")
        if chosen is not None and not kept_as_text(chosen.name):
            chosen.create().client_layers(cut)
        return cut


class DeviceShare(Table):
    """One class of client devices and the share of the clients that have it."""

    device: DeviceChoice = Field(description="a device")
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

    count: int = Field(10, strict=True, ge=1, le=10**6, description="clients")
    per_round: int | None = Field(
        None,
        strict=True,
        ge=1,
        le=MOST,
        description="of them take part in a round, drawn anew; left out: all",
    )
    batch_size: int = Field(10, strict=True, ge=1, le=MOST, description="samples of a client's mini-batch")
    device: Annotated[
        tuple[DeviceShare, ...], BeforeValidator(_device_shares), PlainSerializer(_device_table)
    ] = Field(
        default="atlas-200-dk",
        validate_default=True,
        description="a device, or a list of { device, share }",
        json_schema_extra={ALTERNATIVE_MARK: "device"},
    )

    @field_validator("device")
    @classmethod
    def _shares_add_up(cls, classes: tuple[DeviceShare, ...]) -> tuple[DeviceShare, ...]:
        shares.check([one.share for one in classes])
        return classes


class ServerTable(Table):
    """[server]: its device, and how many clients it can compute for at a time."""

    device: DeviceChoice = Field(default="rtx-3090", validate_default=True, description="a device")
    parallel: int = Field(
        1, strict=True, ge=1, le=MOST, description="clients served at a time; the others queue"
    )


class CodecTable(Table):
    """[codec]: what encodes the activations on their way up and their gradients on their way down."""

    uplink: CodecChoice = Field(default="identity", validate_default=True, description="of the activations")
    downlink: CodecChoice = Field(default="identity", validate_default=True, description="of the gradients")
    weights: CodecChoice = Field(
        default="identity", validate_default=True, description="of model weights, where a protocol sends them"
    )

    @field_validator("uplink", "downlink", "weights")
    @classmethod
    def _knows_itself(cls, codec: Choice) -> Choice:
        if not kept_as_text(codec.name) and (faults := codec.create().faults()):
            raise FaultsError(faults)
        return codec


class ProbesTable(Table):
    """How often the theory's quantities are measured, and over how many draws of the codec a bias."""

    every: int = Field(strict=True, ge=1, le=MOST, description="rounds from one measurement to the next")
    draws: int = Field(64, strict=True, ge=8, le=10**6, description="of the codec, at each measurement")


class TrainingTable(Table):
    """[training]: the protocol, the optimizer (SGD), how long, and what accuracy is aimed at."""

    protocol: ProtocolChoice = Field(
        default="splitfed", validate_default=True, description="who does what when"
    )
    epochs: int = Field(6, strict=True, ge=1, le=MOST, description="passes over the training data")
    learning_rate: float = Field(
        0.05, strict=True, gt=0, le=1e30, description="of stochastic gradient descent"
    )
    momentum: float = Field(0.9, strict=True, ge=0, lt=1, description="Nesterov's is not used")
    weight_decay: float = Field(0.0, strict=True, ge=0, le=1e30, description="L2 penalty")
    schedule: Annotated[
        Schedule,
        BeforeValidator(Schedule.parse),
        PlainSerializer(Schedule.table),
        WithJsonSchema(SCHEDULE_SCHEMA),
    ] = Field(
        Schedule("constant"),
        description='of the learning rate: "constant", "cosine" (0 after the last epoch), or '
        "{ milestones = [60, 120], factor = 0.2 } (in epochs)",
    )
    max_rounds: int | None = Field(None, strict=True, ge=1, le=MOST, description="end after so many rounds")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of the arithmetic inside the model; what crosses the cut is float32"
    )
    channels_last: bool = Field(
        True, strict=True, description="lay images out with their channels last, for convolutions"
    )
    evaluate_every: int | None = Field(
        None,
        strict=True,
        ge=1,
        le=MOST,
        description="rounds between two test evaluations; left out: once an epoch",
    )
    weighting: Literal["samples", "clients"] = Field(
        "samples", description="how much a client counts in averages: by its samples, or all alike"
    )
    probes: ProbesTable | None = Field(
        None, description="measure gradient errors, their bounds and biases; none if left out"
    )
    target_accuracy: float | str = Field(
        "baseline",
        description='test accuracy aimed at: a number up to 1, "baseline" (what the uncompressed run held), '
        'or "baseline - 1%" (a percentage point below that)',
    )
    target_window: int = Field(
        3,
        strict=True,
        ge=1,
        description="evaluations in a row; the first and more than half must be at or above the target",
    )

    @field_validator("probes")
    @classmethod
    def _probes_a_step(cls, probes: ProbesTable | None, info: ValidationInfo) -> ProbesTable | None:
        protocol = info.data.get("protocol")
        if probes is None or protocol is None or kept_as_text(protocol.name):
            return probes
        if not protocol.create().one_step_a_round:
            raise ValueError(
                f"probes look at rounds of one step from weights that all share, which {protocol.label} has "
                'not; leave probes out, or let protocol be "splitfed" without local_epochs'
            )
        return probes

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


class Scenario(Table):
    """One setting, whole: everything that a run depends on."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=200, description="also the results folder's name"
    )
    seed: int = Field(0, strict=True, ge=0, lt=2**63, description="every random draw derives from it")
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
        if kept_as_text(self.training.protocol.name):
            return self
        model = self.model.model_dump(mode="json", exclude_none=True)
        up, down = self.codec.uplink.table(), self.codec.downlink.table()
        halves = dict.fromkeys(
            ("client forward", "client backward", "server forward", "server backward"), model
        )
        on_client, on_server = self.training.protocol.create().computing
        coding = {"encode": up, "decode": down}, {"encode": down, "decode": up}
        client = {part: halves[part] for part in on_client} | (coding[0] if on_server else {})
        server = {part: halves[part] for part in on_server} | (coding[1] if on_client else {})
        places = [(f"clients.device[{i}]", one.device, client) for i, one in enumerate(self.clients.device)]
        if len(places) == 1:
            places = [("clients.device", self.clients.device[0].device, client)]
        places.append(("server.device", self.server.device, server))
        faults = [
            fault.under(path)
            for path, device, duties in places
            if not kept_as_text(device.name)
            for fault in device.create().all_faults(duties)
        ]
        if faults:
            raise FaultsError(faults)
        return self

    def table(self) -> dict[str, Any]:
        """As a scenario file would say it, every default written out."""
        return self.model_dump(mode="json", exclude_none=True)

    def learning_table(self) -> dict[str, Any]:
        """The part that what is learned depends on; links, devices, the name and the target are not."""
        table = self.table()
        training = {key: value for key, value in table["training"].items() if not key.startswith("target_")}
        clients = {key: table["clients"].get(key) for key in ("count", "batch_size", "per_round")}
        clients = {key: value for key, value in clients.items() if value is not None}
        kept = {key: table[key] for key in ("seed", "data", "model", "codec")}
        return {**kept, "clients": clients, "training": training}

    def baseline(self) -> Scenario:
        """The same setting with nothing compressed: what targets, multipliers and speed-ups are over."""
        return self.model_copy(update={"codec": CodecTable()})
