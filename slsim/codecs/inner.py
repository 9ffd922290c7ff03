"""A codec as a parameter of another: by name, or as a table with its name and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from slsim.codecs.base import Codec, registry
from slsim.codecs.payload import Payload, header
from slsim.codecs.sizes import Shape
from slsim.scenario.choice import COMPONENT_MARK

if TYPE_CHECKING:
    import torch


def decoded(codec: Codec, content: memoryview, shape: Shape) -> torch.Tensor:
    """The tensor of a content of `codec`, without its header, that another codec's payload held. Raises
    `CodecError`."""
    nominal = codec.num_bytes(shape) - len(header(shape, 0))
    payload = Payload.build(shape, codec.fingerprint, bytes(content), len(content) > nominal)
    return codec.decode(payload, shape)


def _chosen(value: object) -> object:
    if isinstance(value, str):
        return registry.create(value)
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        return registry.create(**value)
    return value


def _fitting(codec: Codec) -> Codec:
    """Raises `ValueError` for a codec that does more than to code a tensor."""
    if not codec.is_stateless or codec.correction is not None:
        raise ValueError(
            f"{type(codec).__name__} keeps a state or a correction; give a codec that does not, such as qu"
        )
    if codec.lossless is not None:
        raise ValueError("has a lossless stage; write lossless beside codec, not into it")
    return codec


def _table(codec: Codec) -> dict[str, Any]:
    names = {registry.entry(name).cls: name for name in registry.names()}
    return {"name": names[type(codec)], **codec.model_dump(mode="json", exclude_none=True)}


InnerCodec: TypeAlias = Annotated[
    Codec,
    BeforeValidator(_chosen),
    AfterValidator(_fitting),
    PlainSerializer(_table),
    WithJsonSchema({COMPONENT_MARK: "codec"}),
]
