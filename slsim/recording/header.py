"""The header of a recording, `recording.json`: what its fields may hold.

Every function raises `ValueError` that names the file and the field.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import astuple
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slsim.recording.columns import MOST
from slsim.recording.cut_shape import CutShape
from slsim.recording.records import Format, Kept, MeasuredCodec, Status, TestSet
from slsim.registry import faults_of

FORMAT_VERSION = 4
READABLE_VERSIONS = (1, 2, 3, 4)  # up to 3 with messages instead of steps; from 3 on with hashes
HEADER_FILE = "recording.json"

Count = Annotated[int, Field(ge=0, lt=MOST)]


class _Provenance(BaseModel):
    """What is read of a recording's provenance; the rest is for the reader."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)

    versions: dict[str, str] = {}
    files: dict[str, str] = {}
    wall_s: float = Field(0.0, ge=0)


class AnyHeader(BaseModel):
    """The fields of `recording.json` that every format has."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)

    format: int
    key: str = Field(min_length=1, max_length=64)
    status: Status
    rounds: Count
    learning: dict[str, Any]
    test_set: TestSet | None = None
    formats: tuple[Format, ...] = ()
    provenance: _Provenance
    files: dict[str, str] = {}

    @property
    def clients(self) -> int:
        """How many clients the training had; as many as can be where it does not say."""
        clients = self.learning.get("clients")
        count = clients.get("count") if isinstance(clients, dict) else None
        return count if isinstance(count, int) and count > 0 else 2**31


class Header(AnyHeader):
    """The fields of today's format."""

    steps: Count
    stopped_by: str = Field("", max_length=64)
    measurements: Count = 0
    phases: dict[str, str]
    measured_codecs: tuple[MeasuredCodec, ...] = ()
    cut_shape: CutShape | None = None
    kept: Kept = Kept()


class OldCosts(BaseModel):
    """What up to format 3 a sample and an element cost: FLOPs of both halves; of codecs, by message kind,
    bytes of memory traffic and seconds of the core of reference."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    client_forward_flops: float
    client_backward_flops: float
    server_forward_flops: float
    server_backward_flops: float
    encode_bytes: dict[str, float]
    decode_bytes: dict[str, float]
    encode_s: dict[str, float] = {}
    decode_s: dict[str, float] = {}
    lossless_encode_s: dict[str, float] = {}
    lossless_decode_s: dict[str, float] = {}
    measured_core: dict[str, float] = {}


class OldHeader(AnyHeader):
    """The fields up to format 3."""

    messages: Count
    probes: Count = 0
    activation_shape: tuple[Annotated[int, Field(ge=1)], ...]
    costs: OldCosts


def sha256(content: bytes) -> str:
    """The SHA-256 of `content`, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def header_hash(header: Mapping[str, Any]) -> str:
    """The SHA-256 of a header's canonical JSON, its own "hash" left out."""
    fields = {key: value for key, value in header.items() if key != "hash"}
    return sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode())


def write_header(header: Mapping[str, Any]) -> bytes:
    """The content of `recording.json`, with its own hash."""
    read_back = json.loads(json.dumps(header))  # a hash over what will be read
    text = json.dumps({**read_back, "hash": header_hash(read_back)}, indent=2) + "\n"
    return text.encode()


def parse_header(content: bytes) -> Header | OldHeader:
    """The header in `content`, checked."""
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{HEADER_FILE}: is not JSON: {error}") from None
    version = fields.get("format") if isinstance(fields, dict) else None
    if version not in READABLE_VERSIONS:
        found = "no format" if version is None else f"format {version!r}"
        raise ValueError(f"{HEADER_FILE}: it has {found}, this slsim reads {FORMAT_VERSION}")
    if (version >= 3 or "hash" in fields) and fields.get("hash") != header_hash(fields):
        raise ValueError(f"{HEADER_FILE}: hash: the header is not what was saved")
    kind: type[Header] | type[OldHeader] = Header if version == FORMAT_VERSION else OldHeader
    try:
        header = kind.model_validate_json(content)
    except ValidationError as error:
        faults = "; ".join(map(str, faults_of(error, kind)))
        raise ValueError(f"{HEADER_FILE}: {faults}") from None
    if isinstance(header, OldHeader):
        for path, number in _numbers(header.costs.model_dump(), "costs"):
            if not 0 <= number < math.inf:
                raise ValueError(f"{HEADER_FILE}: {path}: {number} is out of range; at least 0 and finite")
    if header.test_set and not (
        header.test_set.samples > 0 < header.test_set.classes and 0 < header.test_set.chance <= 1
    ):
        raise ValueError(f"{HEADER_FILE}: test_set: {header.test_set} is out of range")
    if isinstance(header, Header) and header.cut_shape and not _makes_sense(header.cut_shape):
        raise ValueError(f"{HEADER_FILE}: cut_shape: {header.cut_shape} is out of range")
    if isinstance(header, Header) and not all(0 <= size < MOST for size in astuple(header.kept)):
        raise ValueError(f"{HEADER_FILE}: kept: {header.kept} is out of range")
    for place, one in enumerate(header.formats):
        if not 0 <= one.header <= one.nominal <= one.most or not 0 <= one.least <= one.most < MOST:
            raise ValueError(f"{HEADER_FILE}: formats[{place}]: sizes contradict one another")
    return header


def _makes_sense(one: CutShape) -> bool:
    sizes = (*one.shape, *one.bare_shape, one.samples_a_row)
    return all(0 < size < MOST for size in sizes)


def _numbers(value: Any, path: str) -> Iterator[tuple[str, float]]:
    """Every number below `value`, with its dotted path."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _numbers(item, f"{path}.{key}")
    elif isinstance(value, (int, float)):
        yield path, value
