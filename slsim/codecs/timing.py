"""Measures what encoding and decoding take of a core of this machine, beside a loop that tells how fast that
core is: so times of one machine can be told in seconds of another."""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from slsim.codecs.sizes import Shape

if TYPE_CHECKING:
    import torch

    from slsim.codecs.base import Codec
    from slsim.codecs.coder import Crossing
    from slsim.codecs.format import Rng
    from slsim.codecs.payload import Payload

Clock = Callable[[], float]  # seconds
CPU_TIME: Clock = time.process_time  # what this process used of a core; others' work does not count

LOOP_ELEMENTS = 1 << 16
LOOP_REPEATS = 25
OWN_ELEMENTS = 1 << 16  # of the tensor that a codec of one's own is measured with, or of one sample
OWN_REPEATS = 9
OWN_SECONDS = 0.1  # after so long, each way, no further repeat begins


def activations(shape: Shape, sparse: bool) -> NDArray[np.float32]:
    """Normal numbers, float32; `sparse`: after a ReLU, half of them 0."""
    values = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    return np.maximum(values, 0) if sparse else values


def reference_loop(clock: Clock = CPU_TIME) -> float:
    """Seconds that a core of this machine takes for the loop of reference: to find 65,536 numbers among
    eight edges and to add up what was found, element by element. It is bound by branches and latencies, as
    codecs are, and has no vector instructions, whose width differs from processor to processor."""
    values, edges = activations((LOOP_ELEMENTS,), sparse=False), np.linspace(-1.5, 1.5, 8, dtype=np.float32)
    return median_of(lambda: np.cumsum(np.searchsorted(edges, values)), LOOP_REPEATS, clock)


def median_of(
    call: Callable[[], object],
    repeats: int,
    clock: Clock = CPU_TIME,
    seconds: float = math.inf,
) -> float:
    """The median of `repeats` calls in seconds, after one that is not counted. No call begins when those
    that are counted took `seconds` already."""
    call()
    took: list[float] = []
    while len(took) < repeats and sum(took) < seconds:
        start = clock()
        call()
        took.append(clock() - start)
    return statistics.median(took)


def encode_and_decode(
    codec: Codec,
    values: NDArray[np.float32],
    repeats: int,
    clock: Clock = CPU_TIME,
    seconds: float = math.inf,
    beside: Codec | None = None,
) -> tuple[float, float]:
    """Median seconds of one message each way, on one thread. Random codecs draw as in training; coders that
    remember samples have seen these before, and `beside` is the codec of the other direction."""
    import torch

    tensor = torch.from_numpy(values)
    rng = np.random.default_rng(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        if codec.is_stateless:
            payload = codec.encode(tensor, rng)
            encode_s = median_of(lambda: codec.encode(tensor, rng), repeats, clock, seconds)
            return encode_s, median_of(lambda: codec.decode(payload, values.shape), repeats, clock, seconds)
        given = _crossed(beside, tensor) if beside is not None else None
        return _by_coders(codec, tensor, rng, given, lambda call: median_of(call, repeats, clock, seconds))
    finally:
        torch.set_num_threads(threads)


def _by_coders(
    codec: Codec,
    tensor: torch.Tensor,
    rng: Rng,
    given: Crossing | None,
    timed: Callable[[Callable[[], object]], float],
) -> tuple[float, float]:
    """`encode_and_decode` by the two ends of a link."""
    sender, receiver, shape = codec.coder(), codec.coder(), tuple(tensor.shape)
    samples = np.arange(shape[0] if shape else 1)

    def encode() -> Payload:
        return sender.encode(tensor, rng, samples=samples, given=given)

    receiver.decode(encode(), shape, samples=samples, given=given)
    payload = encode()
    return timed(encode), timed(lambda: receiver.decode(payload, shape, samples=samples, given=given))


def gradients(codec: Codec, values: NDArray[np.float32], repeats: int) -> tuple[float, float]:
    """Median seconds that the two ends of a link take for the gradient of a tensor that returned, beside
    decoding it: the sender to pull it back and to learn, or to add the codec's correction; and the receiver
    to learn."""
    import torch

    from slsim.codecs.coder import Crossing

    x, gradient = torch.from_numpy(values), torch.from_numpy(activations(values.shape, sparse=False))
    sender, receiver, shape = codec.coder(), codec.coder(), tuple(values.shape)
    payload = sender.encode(x, np.random.default_rng(0))
    arrived, kept = receiver.decode(payload, shape), sender.kept(payload)
    sent = Crossing(payload, arrived, values=x, kept=kept)
    received = Crossing(payload, arrived, labels=torch.arange(shape[0]), kept=kept)

    def at_sender() -> None:
        sender.learn(gradient, sent)
        pulled = sender.pull_back(gradient, sent)
        if codec.correction is not None:
            pulled + codec.correction * (x - arrived)

    return median_of(at_sender, repeats), median_of(lambda: receiver.learn(gradient, received), repeats)


def _crossed(codec: Codec, tensor: torch.Tensor) -> Crossing:
    from slsim.codecs.coder import Crossing

    payload = codec.encode(tensor)
    return Crossing(payload, codec.decode(payload), tensor, kept=codec.kept(payload))


@dataclass(frozen=True, slots=True)
class OnThisCore:
    """A codec's time an element, encoding and decoding, in seconds of the core of reference, and how fast
    this core is beside that one."""

    core_s: tuple[float, float]
    speed: float


def on_this_core(
    codec: Codec, shape: Shape, sparse: bool, reference_s: float, clock: Clock = CPU_TIME
) -> OnThisCore | None:
    """Measures `codec` on a made-up tensor like one of `shape`, with fewer samples where there are many
    elements. `reference_s` is what the core of reference took for the loop of reference. None where the
    codec fails: that is for the training to tell, where its reason can be seen."""
    samples, rest = (shape[0], shape[1:]) if len(shape) > 1 else (1, shape)
    if len(shape) == 1:
        rest = (min(shape[0], OWN_ELEMENTS),)
    fewer = max(1, min(samples, OWN_ELEMENTS // max(1, math.prod(rest))))
    values = activations((fewer, *rest), sparse)
    if not values.size:
        return None
    with contextlib.suppress(Exception):
        encode_s, decode_s = encode_and_decode(codec, values, OWN_REPEATS, clock, OWN_SECONDS)
        speed = reference_s / reference_loop(clock)
        return OnThisCore((encode_s * speed / values.size, decode_s * speed / values.size), speed)
    return None
