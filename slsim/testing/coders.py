"""What the contract of coders promises: both ends of a link over many mini-batches, restored between."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import torch

from slsim.codecs import Codec, Crossing, Payload
from slsim.codecs.coder import Mask
from slsim.testing.codecs import same_bits

STEPS = 100
SAMPLES, ROWS = 40, 8  # of a client's, and of a mini-batch


def check_coder(codec: Codec, sample: tuple[int, ...] = (4, 3, 5), steps: int = STEPS) -> None:
    """Raises AssertionError unless the coders of `codec` keep the contract of `Coder`: for so many
    mini-batches of samples of that shape the receiver decodes what the sender says that it does, bit by bit;
    after half of them both ends are put back from their states, and go on as those that were not; and
    evaluations between them change nothing.

    Example:
        >>> from slsim.codecs import create
        >>> check_coder(create("sp", sparsity=0.9, correction=0.001))
    """
    kept, restored = _Link(codec, sample), _Link(codec, sample)
    for step in range(steps):
        if step == steps // 2:
            restored = restored.again()
        found = [link.step(step) for link in (kept, restored)]
        assert found[0].payload == found[1].payload, f"step {step}: after a restore, another payload is sent"
        assert same_bits(found[0].pulled, found[1].pulled), f"step {step}: after a restore, other gradients"
    assert all(map(_are_same_states, kept.states(), restored.states())), "after a restore, other states"


@dataclass(frozen=True)
class _Step:
    payload: Payload
    pulled: torch.Tensor


class _Link:
    """Both ends of a client's link: activations one way, and their gradients back."""

    def __init__(self, codec: Codec, sample: tuple[int, ...]) -> None:
        self.codec, self._sample = codec, sample
        self.sender, self.receiver = codec.coder(), codec.coder()

    def states(self) -> tuple[dict[str, torch.Tensor], ...]:
        return self.sender.state(), self.receiver.state()

    def again(self) -> _Link:
        """A link that was just made, with this one's states, as a checkpoint keeps them."""
        other = _Link(self.codec, self._sample)
        for coder, state in zip((other.sender, other.receiver), self.states(), strict=True):
            buffer = io.BytesIO()
            torch.save(state, buffer)
            buffer.seek(0)
            coder.restore(torch.load(buffer, weights_only=True))
        return other

    def step(self, step: int) -> _Step:
        rng = np.random.default_rng(step)
        samples = rng.choice(SAMPLES, ROWS, replace=False)
        shape = (ROWS, *self._sample)
        drift = np.float32(0.1 * step) + samples.astype(np.float32).reshape(-1, *[1] * len(self._sample))
        values = torch.from_numpy(np.maximum(rng.standard_normal(shape, dtype=np.float32) + np.sin(drift), 0))
        before = values.clone()
        payload = self.sender.encode(values, np.random.default_rng(step), samples=samples)
        assert same_bits(values, before), "encoding changed its input"
        assert payload.num_bytes == len(payload.to_bytes()), "num_bytes is not the length of the buffer"
        low, high = self.codec.size_bounds(shape)
        assert low <= payload.num_bytes <= high, f"{payload.num_bytes} bytes; the format says {low} to {high}"
        sent = Payload.from_bytes(payload.to_bytes())
        arrived = self.receiver.decode(sent, shape, samples=samples)
        assert tuple(arrived.shape) == shape, f"decoded to shape {tuple(arrived.shape)}"
        expected = self.sender.arrival(payload, shape, samples=samples)
        assert same_bits(arrived, expected), f"step {step}: the ends differ in what arrived"
        kept = self.sender.kept(payload), self.receiver.kept(sent)
        _check_kept(self.codec, shape, *kept)
        gradient = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
        labels = torch.from_numpy(samples % 3)
        here = Crossing(payload, expected, values, samples, None, kept[0])
        there = Crossing(sent, arrived, None, samples, labels, kept[1])
        to_sender = self.receiver.learn(gradient, there)
        pulled = self.sender.pull_back(gradient, here)
        assert pulled.shape == gradient.shape, f"the gradient pulled back has shape {tuple(pulled.shape)}"
        to_receiver = self.sender.learn(gradient, here)
        for update, coder, due in zip(
            (to_sender, to_receiver),
            (self.sender, self.receiver),
            self.codec.update_bytes(shape),
            strict=True,
        ):
            assert (update.num_bytes if update else 0) == due, "an update is not as long as update_bytes says"
            if update:
                coder.told(Payload.from_bytes(update.to_bytes()))
        self._evaluate(values)
        return _Step(payload, pulled)

    def _evaluate(self, values: torch.Tensor) -> None:
        """An evaluation changes nothing."""
        states = [{name: tensor.clone() for name, tensor in state.items()} for state in self.states()]
        payload = self.sender.frozen().encode(values)
        self.receiver.frozen().decode(Payload.from_bytes(payload.to_bytes()), tuple(values.shape))
        assert all(map(_are_same_states, states, self.states())), "an evaluation changed a state"


def _check_kept(codec: Codec, shape: tuple[int, ...], here: Mask | None, there: Mask | None) -> None:
    """What the two ends say of which elements were sent."""
    assert codec.keeps_part == (here is not None), "keeps_part is not what kept says"
    assert (here is None) == (there is None), "one end alone says what was kept"
    if here is not None and there is not None:
        assert here.shape == shape, f"kept has shape {here.shape}"
        assert np.array_equal(here, there), "the ends differ in what was kept"
        least, _, most = codec.num_kept(shape)
        assert least <= here.sum() <= most, f"{here.sum()} elements are kept, not {least} to {most}"


def _are_same_states(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(same_bits(one[name], other[name]) for name in one)
