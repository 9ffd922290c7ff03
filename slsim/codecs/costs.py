"""What codecs cost: memory traffic for accelerators, seconds of a core of reference for processors.

The seconds of the codecs that ship are a table, `costs.toml`, that `scripts/measure_codec_costs.py` made on
one core; a device says how fast its own core is beside that one. A codec of one's own is asked, and measured
on this machine where it says nothing.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slsim.codecs import timing
from slsim.codecs.base import Codec, registry
from slsim.codecs.lossless import FLOAT_WIDTHS, ZSTD_LEVEL, Segment
from slsim.codecs.sizes import Shape
from slsim.codecs.timing import CPU_TIME, Clock
from slsim.errors import CodecError, SlsimError
from slsim.recording import ACTIVATIONS, CODEC_OF, Recording, parse_shape

FILE = Path(__file__).with_name("costs.toml")
OURS = "slsim.codecs."
SHIPPED = frozenset(
    {
        *("cast", "dsq", "fedlite", "ics", "identity", "kmeans", "lsq", "ms", "qsgd", "qu", "randk"),
        *("randtopk", "rt", "sl-acc", "sl-fac", "sp", "splitfc", "splitfc-drop", "tah"),
    }
)
CORRECTION_BYTES = 16.0  # an element: the gradient, what was sent and what arrived are read, one written
SOME_WEIGHTS = 1 << 16  # elements of a state: how many there are makes nearly no difference
Pair = tuple[float, float]  # encoding, decoding
Lines = NDArray[np.float64]  # [2, 2]: of encoding and of decoding, seconds a part and an element


@dataclass(frozen=True, slots=True)
class CodecCost:
    """What an element costs to encode and to decode: bytes of memory traffic (0: none, or not known),
    seconds of a core of reference (None: not known) and of the lossless stage there. `measured_core` is how
    fast this machine's core is beside that one, where the codec was measured here."""

    memory_bytes: Pair
    core_s: Pair | None
    lossless_s: Pair = (0.0, 0.0)
    measured_core: float | None = None


def with_core_seconds(recording: Recording) -> Recording:
    """The recording, whose codecs that ship have the seconds that the table says today where it has none:
    formats 1 and 2 know of codecs only the memory that they touch."""
    steps, samples = recording.steps, recording.learning.get("clients", {}).get("batch_size", 1)
    rows = steps.rows
    unknown = np.isnan(rows["core_s"]) & (rows["codec"] != 0) & ~steps.are_messages
    for kind, which in CODEC_OF.items() if unknown.any() else ():
        table = recording.learning.get("codec", {}).get(which, {"name": ""})
        chosen = np.flatnonzero(unknown & (rows["kind"] == steps.words.find("kind", kind)))
        if table["name"] not in SHIPPED or not chosen.size:
            continue
        sample = parse_shape(steps.words.texts["shape"][int(rows["shape"][chosen[0]])])[1:]
        shape = (samples, *sample) if sample else (SOME_WEIGHTS,)
        cost = cost_of(registry.create(**table), shape, sparse=kind == ACTIVATIONS)
        assert cost.core_s is not None
        for way, name in enumerate(("encode", "decode")):
            done = chosen[rows["work"][chosen] == steps.words.find("work", name)]
            for column, each in zip(
                ("memory_bytes", "core_s", "lossless_s"),
                (cost.memory_bytes[way], cost.core_s[way], cost.lossless_s[way]),
                strict=True,
            ):
                rows[column][done] = each * rows["elements"][done]
    return recording


def ships(codec: Codec) -> bool:
    """Whether `codec` is one of those that ship, and no codec of one's own."""
    return type(codec).__module__.startswith(OURS) and _name(codec) in SHIPPED


def cost_of(codec: Codec, shape: Shape, sparse: bool, clock: Clock = CPU_TIME) -> CodecCost:
    """What `codec` costs for an element of a tensor of `shape`; `sparse`: after a ReLU, half of it zeros.
    Raises `CodecError` where the codec's own account of it makes no sense."""
    elements = max(1, math.prod(shape))
    lossless = _each(_lossless(codec, shape, sparse), elements)
    memory, core_s = declared(codec, shape)
    if ships(codec):
        core_s = _from_table(codec, shape, sparse)
    if memory is None and core_s is None:
        if found := timing.on_this_core(codec, shape, sparse, loop_s(), clock):
            return CodecCost((0.0, 0.0), found.core_s, measured_core=found.speed)
        memory = codec.bytes_touched()
    return CodecCost(memory or (0.0, 0.0), core_s and _each(core_s, elements), lossless)


def gradient_cost_of(codec: Codec, shape: Shape, sparse: bool) -> CodecCost:
    """What an element of the gradient that returned costs beside decoding it: first the end that sent what it
    is the gradient of, which pulls it back, learns and corrects; then the end that received that, which
    learns. Raises `CodecError` where the codec's own account of it makes no sense."""
    sender, receiver = _asked(codec, "gradient_bytes_touched", codec.gradient_bytes_touched)
    known = [f"{_name(codec)} gradients"] if sender or receiver else []
    if codec.correction is not None:
        sender += CORRECTION_BYTES
        known.append("correction")
    if not ships(codec):
        return CodecCost((sender, receiver), None)
    elements = max(1, math.prod(shape))
    lines = np.sum([_lines(name, {}, sparse) for name in known], axis=0) if known else np.zeros((2, 2))
    at_sender, at_receiver = (lines @ (1, elements)).tolist()
    return CodecCost((sender, receiver), _each((at_sender, at_receiver if receiver else 0.0), elements))


def declared(codec: Codec, shape: Shape) -> tuple[Pair | None, Pair | None]:
    """What `codec` itself says: memory traffic of an element, and seconds of the core of reference for a
    tensor of `shape`; None where it says nothing. Raises `CodecError` where that makes no sense."""
    memory = core_s = None
    if type(codec).bytes_touched is not Codec.bytes_touched:
        memory = _asked(codec, "bytes_touched", codec.bytes_touched)
    if type(codec).core_seconds is not Codec.core_seconds:
        core_s = _asked(codec, "core_seconds", lambda: codec.core_seconds(shape))
    return memory, core_s


def _asked(codec: Codec, method: str, call: Callable[[], object]) -> Pair:
    """Two numbers that a codec gives. Raises `CodecError` unless they are finite and 0 or more."""
    try:
        found = call()
    except SlsimError as error:  # it names the codec already
        raise CodecError(str(error)) from error
    except Exception as error:
        raise CodecError(
            f"the codec {type(codec).__name__}, in {method}: {type(error).__name__}: {error}"
        ) from error
    if isinstance(found, (tuple, list)) and len(found) == 2 and all(map(_is_cost, found)):
        return float(found[0]), float(found[1])
    raise CodecError(
        f"the codec {type(codec).__name__}, in {method}: gives {found!r}; it must be two finite numbers, "
        "0 or more: of encoding and of decoding"
    )


def _is_cost(number: object) -> bool:
    return isinstance(number, (int, float, np.number)) and 0 <= float(number) < math.inf


def _each(seconds: Pair, elements: int) -> Pair:
    return seconds[0] / elements, seconds[1] / elements


def _name(codec: Codec) -> str:
    return type(codec).__module__.removeprefix(OURS).replace("_", "-")


# The table.


@cache
def _content() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def loop_s() -> float:
    """Seconds that the core of reference took for the loop of reference (see `timing`)."""
    return float(_content()["measured"]["loop_s"])


@cache
def _table() -> dict[str, list[tuple[dict[str, Any], dict[bool, Lines]]]]:
    """By codec, its measured settings: the parameters that differ from the defaults, and the lines of
    tensors after a ReLU (True) and of dense ones."""
    table: dict[str, list[tuple[dict[str, Any], dict[bool, Lines]]]] = {}
    for row in _content()["settings"]:
        lines = {
            kind == "sparse": np.array([row[kind]["encode"], row[kind]["decode"]]) * (1e-6, 1e-9)
            for kind in ("sparse", "dense")
        }
        table.setdefault(row["codec"], []).append((row["parameters"], lines))
    return table


def _from_table(codec: Codec, shape: Shape, sparse: bool) -> Pair:
    """Seconds of the core of reference for a tensor."""
    name = _name(codec)
    if name == "identity" or not math.prod(shape):
        return 0.0, 0.0
    defaults = {key: info.default for key, info in type(codec).model_fields.items()}
    lines = _lines(name, {key: (default, getattr(codec, key)) for key, default in defaults.items()}, sparse)
    encode, decode = (lines @ (parts_of(codec, shape), math.prod(shape))).tolist()
    return encode, decode


def around(name: str, shape: Shape, inner: Codec, inner_shape: Shape) -> Pair:
    """Seconds of the core of reference for a tensor of `shape` of which a codec hands `inner_shape` on to
    another, `inner`: those of what it does itself, called `name` in the table, and those of `inner`."""
    own = (_lines(name, {}, sparse=False) @ (1, math.prod(shape))).tolist()
    cost, elements = cost_of(inner, inner_shape, sparse=False), math.prod(inner_shape)
    others = cost.core_s or (0.0, 0.0)
    encode, decode = (
        mine + elements * (each + stage)
        for mine, each, stage in zip(own, others, cost.lossless_s, strict=True)
    )
    return encode, decode


def parts_of(codec: Codec, shape: Shape) -> int:
    """How many loops over a part of the tensor a codec runs: one, or with a scope one a sample."""
    return shape[0] if getattr(codec, "scope", "tensor") != "tensor" and shape else 1


def _lines(name: str, parameters: Mapping[str, tuple[Any, Any]], sparse: bool) -> Lines:
    """The lines of a codec's setting, of its parameters' defaults and values: those of the default setting,
    with what each parameter changes alone. What a name chooses (a rounding, a scope) is another loop and adds
    its time, numbers (bits, iterations) lengthen a loop by a factor; to a part both add."""
    settings = _table()[name]
    base = next(lines[sparse] for differing, lines in settings if not differing)
    part, element, factor = base[:, 0].copy(), base[:, 1].copy(), np.ones(2)
    for key, (default, value) in parameters.items():
        measured = [(own[key], lines[sparse]) for own, lines in settings if set(own) == {key}]
        if not measured or value == default:
            continue
        at = _at([(default, base), *measured], value)
        part += at[:, 0] - base[:, 0]
        if isinstance(value, str):
            element += at[:, 1] - base[:, 1]
        else:
            factor *= at[:, 1] / base[:, 1]
    element += base[:, 1] * (factor - 1)
    found: Lines = np.maximum(np.stack([part, element], axis=1), 0.0)
    return found


def _at(points: list[tuple[Any, Lines]], value: Any) -> Lines:
    """The lines at a parameter's value: between those of its neighbours where it is a number, and beyond the
    last in the direction of the last two."""
    if isinstance(value, (str, bool)) or value is None:
        return next((lines for key, lines in points if key == value), points[0][1])
    ordered = sorted((point for point in points if point[0] is not None), key=lambda point: float(point[0]))
    if len(ordered) == 1:
        return ordered[0][1]
    above = next((place for place, (key, _) in enumerate(ordered) if key >= value), len(ordered) - 1)
    (low, before), (high, after) = ordered[max(above - 1, 0)], ordered[max(above, 1)]
    found: Lines = np.maximum(before + (after - before) * (value - low) / (high - low), 0.0)
    return found


def _lossless(codec: Codec, shape: Shape, sparse: bool) -> Pair:
    """Seconds of the core of reference for the lossless stage of a tensor, at its nominal size."""
    if codec.lossless is None or not math.prod(shape):
        return 0.0, 0.0
    segments: list[Segment] = codec.segments(shape, codec.side_bytes + codec.body_bytes(shape))
    seconds = [_of_segment(codec, segment, sparse) for segment in segments if segment.num_bytes]
    encode, decode = np.sum(seconds, axis=0).tolist()
    return encode, decode


def _of_segment(codec: Codec, segment: Segment, sparse: bool) -> NDArray[np.float64]:
    """Seconds of the core of reference that a codec's lossless stage takes for a segment, both ways: for zstd
    by its bytes, for "context" by its items. Kept values have no zeros, whatever the tensor has."""
    if codec.lossless == "zstd":
        kind = "zstd codes" if segment.width == 1 else "zstd floats"
        level = {"level": (ZSTD_LEVEL, codec.zstd_level or ZSTD_LEVEL)}
        return _lines(kind, level, sparse) @ (1, segment.num_bytes)
    if segment.width in FLOAT_WIDTHS:
        lines = _lines("context floats", {}, sparse and segment.shape is not None)
        return lines @ (1, segment.num_items)
    codes = segment.width * segment.num_items
    return _lines("context codes", {"bits": (1, segment.bits or 8)}, sparse) @ (1, codes)
