"""Coders: what every codec's hold to, and what those of the schemes do on examples worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from codec_cases import DEFAULTS

from slsim.codecs import QU, Codec, Coder, Crossing, Payload, create
from slsim.codecs.coder import Stateless
from slsim.errors import CodecError, FaultsError
from slsim.testing import check_coder, same_bits


def crossed(codec: Codec, values: torch.Tensor, **more: Any) -> Crossing:
    """`values` as they crossed."""
    payload = codec.encode(values)
    return Crossing(payload, codec.decode(payload), values, kept=codec.kept(payload), **more)


def grid(*shape: int) -> torch.Tensor:
    """Different numbers, some of them negative."""
    return torch.from_numpy(np.random.default_rng(7).standard_normal(shape, dtype=np.float32))


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("sample", [(4, 3, 5), (7,)])
def test_both_ends_stay_equal_and_resume(name: str, sample: tuple[int, ...]) -> None:
    check_coder(DEFAULTS[name], sample, steps=100 if len(sample) > 1 else 20)


@pytest.mark.parametrize("more", [{"lossless": "zstd"}, {"correction": 0.01}])
@pytest.mark.parametrize("name", ["delta", "ics", "randtopk"])
def test_schemes_with_a_stage_or_a_correction_too(name: str, more: dict[str, Any]) -> None:
    check_coder(create(name, **more), steps=20)


def test_a_coder_that_forgets_what_it_was_told_is_found_out() -> None:
    class Forgetful(QU):
        """Sends more bits from its third tensor on, which its state does not say."""

        def coder(self, beside: Coder | None = None) -> Coder:
            class Counting(Stateless):
                calls = 0

                def encode(self, x: torch.Tensor, *rest: Any, **others: Any) -> Payload:
                    self.calls += 1
                    return super().encode(x * min(self.calls, 3), *rest, **others)

            return Counting(self)

    with pytest.raises(AssertionError, match="after a restore, another payload is sent"):
        check_coder(Forgetful(bits=2))


# What returns where something was sent.


def test_masked_sends_the_values_where_the_uplink_did_and_no_positions() -> None:
    up, gradient = create("sp", sparsity=0.75), grid(2, 8)
    given = crossed(up, grid(2, 8))
    assert given.kept is not None
    back = create("masked").paired(up)
    payload = back.coder().encode(gradient, given=given)
    assert payload.num_bytes == 10 + 4 * 4  # a header of 8 bytes and two dimensions; k = 4
    assert np.frombuffer(payload.content, "<f4").tolist() == gradient[torch.from_numpy(given.kept)].tolist()
    arrived = back.coder().decode(Payload.from_bytes(payload.to_bytes()), (2, 8), given=given)
    assert torch.equal(arrived, gradient.where(torch.from_numpy(given.kept), torch.tensor(0.0)))


def test_masked_values_go_through_any_codec() -> None:
    up, gradient = create("sp", sparsity=0.5), grid(4, 16)
    back = create("masked", codec={"name": "qu", "bits": 8}).paired(up)
    payload = back.coder().encode(gradient, given=(given := crossed(up, grid(4, 16))))
    assert payload.num_bytes == back.num_bytes((4, 16)) == 10 + 8 + 32
    arrived = back.coder().decode(payload, (4, 16), given=given)
    assert given.kept is not None
    assert (arrived - gradient)[torch.from_numpy(given.kept)].abs().max() < 0.02


def test_masked_takes_of_ms_what_is_not_sent_as_nothing() -> None:
    up = create("ms", sparsity=0.9, bits=2)
    values = grid(3, 100).relu()
    given, back = crossed(up, values), create("masked").paired(up)
    assert given.kept is not None
    assert np.array_equal(given.kept, (given.arrived != 0).numpy())
    payload = back.coder().encode(grid(3, 100), given=given)
    assert payload.num_bytes == 10 + 4 * given.kept.sum()
    least, most = back.size_bounds((3, 100))
    assert (least, most) == (10 + 4 * 30, 10 + 4 * 300)


def test_masked_needs_an_uplink_that_leaves_something_out() -> None:
    with pytest.raises(ValueError, match="QU sends something of every element"):
        create("masked").paired(create("qu"))
    with pytest.raises(FaultsError, match="keeps a state or a correction"):
        create("masked", codec="delta")
    with pytest.raises(FaultsError, match="write lossless beside codec"):
        create("masked", codec={"name": "qu", "lossless": "zstd"})


@pytest.mark.parametrize("damage", [b"", b"\0" * 4, b"\0" * 40])
def test_masked_refuses_what_is_not_as_long_as_what_was_kept(damage: bytes) -> None:
    up = create("sp", sparsity=0.75)
    given, back = crossed(up, grid(2, 8)), create("masked").paired(up)
    payload = Payload.build((2, 8), back.fingerprint, damage)
    with pytest.raises(CodecError):
        back.coder().decode(payload, (2, 8), given=given)


# RandTopk.


def test_randtopk_by_hand() -> None:
    """Of 128 elements 5 % are 6: positions of 7 bits are shorter than the mask; of 4 elements a mask is."""
    codec = create("randtopk", rate=0.05)
    values = torch.zeros(2, 128)
    values[0, [3, 9, 64, 100, 126, 127]] = torch.tensor([1.0, -2, 3, -4, 5, 6])
    values[1, :6] = torch.arange(1.0, 7)
    payload = codec.encode(values)
    assert payload.num_bytes == 11 + 1 + (2 * 6 * 7 + 7) // 8 + 4 * 12
    content = bytes(payload.content)
    assert content[0] == 0
    bits = np.unpackbits(np.frombuffer(content[1:12], np.uint8))[:84].reshape(12, 7)
    positions = bits @ (1 << np.arange(6, -1, -1))
    assert positions.tolist() == [3, 9, 64, 100, 126, 127, 0, 1, 2, 3, 4, 5]
    assert torch.equal(codec.decode(payload), values)
    short = create("randtopk", rate=0.5).encode(torch.tensor([[1.0, -5, 2, 3], [0, 0, 4, 1]]))
    assert short.content.tolist()[:2] == [1, 0b01010011]


def test_randtopk_draws_the_top_and_now_and_then_another() -> None:
    """k = 2 of 10, alpha 0.3: the first draw takes one of the top two with probability 0.7."""
    codec, row = create("randtopk", rate=0.2, alpha=0.3), torch.arange(10.0, 0, -1)[None]
    rng, drawn = np.random.default_rng(0), np.zeros(10)
    for _ in range(4000):
        kept = codec.kept(codec.encode(row, rng))
        assert kept is not None
        assert kept.sum() == 2
        drawn += kept[0]
    first, other = 0.35, 0.3 / 8  # of the first draw: either of the top, each of the others
    expected = first + first * first / (1 - first) + 8 * other * first / (1 - other)
    assert drawn[:2] / 4000 == pytest.approx(expected, abs=0.02)
    assert drawn[2:] / 4000 == pytest.approx((2 - 2 * expected) / 8, abs=0.02)


def test_gradients_of_what_randtopk_did_not_send_are_zero() -> None:
    codec, gradient = create("randtopk", rate=0.25), grid(2, 8)
    sent = crossed(codec, grid(2, 8))
    assert sent.kept is not None
    pulled = codec.coder().pull_back(gradient, sent)
    assert torch.equal(pulled, gradient * torch.from_numpy(sent.kept))
    assert create("masked").paired(codec).num_bytes((2, 8)) == 10 + 4 * 2 * 2


def test_randtopk_refuses_positions_that_make_no_sense() -> None:
    codec, values = create("randtopk", rate=0.05), grid(1, 128)
    content = bytearray(codec.encode(values).content)
    for place, value in ((0, 1), (1, 255), (0, 7)):
        damaged = bytearray(content)
        damaged[place] = value
        with pytest.raises(CodecError, match="damaged"):
            codec.decode(Payload.build((1, 128), codec.fingerprint, bytes(damaged)))


# AQ-SGD.


def test_a_sample_is_sent_in_full_once_and_then_as_its_change() -> None:
    codec = create("delta", codec={"name": "qu", "bits": 8})
    sender, receiver = codec.coder(), codec.coder()
    first, ids = grid(2, 16), np.array([5, 9])

    def send(values: torch.Tensor, samples: Any) -> tuple[Payload, torch.Tensor]:
        payload = sender.encode(values, samples=samples)
        return payload, receiver.decode(payload, tuple(values.shape), samples=samples)

    payload, arrived = send(first, ids)
    assert payload.num_bytes == 10 + 4 * 32
    assert same_bits(arrived, first)
    later = first + torch.linspace(-1, 1, 32).reshape(2, 16)
    payload, arrived = send(later, ids)
    assert payload.num_bytes == 10 + 8 + 32
    change = QU(bits=8).decode(QU(bits=8).encode(later - first))
    assert same_bits(arrived, first + change)
    payload, third = send(
        later[:1].repeat(2, 1), np.array([9, 7])
    )  # one is known, in its second row; one new
    assert payload.num_bytes == 10 + 4 * 16 + 8 + 16
    assert same_bits(third[1], later[0])
    assert sender.state()["memory"].nbytes == 3 * 16 * 4
    assert sender.state()["samples"].tolist() == receiver.state()["samples"].tolist() == [5, 9, 7]


def test_test_samples_are_not_remembered() -> None:
    codec, values = create("delta"), grid(2, 16)
    coder = codec.coder()
    coder.encode(values, samples=np.array([0, 1]))
    assert coder.frozen().encode(values).num_bytes == 10 + 4 * 32
    with pytest.raises(CodecError, match="not remembered"):
        codec.decode(coder.encode(values, samples=np.array([0, 1])))


# ICS.


def test_ics_keeps_the_channels_that_the_server_finds_important() -> None:
    """Two classes, four channels, one of them kept: by hand, with a decay of one half."""
    codec = create("ics", rate=0.25, decay=0.5)
    client, first, other = codec.coder(), codec.coder(), None
    other = codec.coder(first)
    values = grid(2, 4, 1, 2)

    def round_of(saliency: list[list[float]], at_server: Coder = first) -> Payload:
        payload = client.encode(values)
        arrived = at_server.decode(payload, (2, 4, 1, 2))
        gradient = torch.tensor(saliency, dtype=torch.float32)[:, :, None, None].expand(2, 4, 1, 2)
        crossing = Crossing(payload, arrived, labels=torch.tensor([0, 1]), kept=at_server.kept(payload))
        update = at_server.learn(gradient, crossing)
        assert update is not None
        client.told(update)
        return payload

    payload = round_of([[0, 1, 0, 4], [0, 3, 0, -2]])
    assert payload.num_bytes == 12 + 4 * 2 * 1 * 2  # B · N · H · W floats, no index
    assert client.kept(payload)[0, :, 0, 0].tolist() == [True, False, False, False]  # told of nothing yet
    assert client.state()["importance"].tolist() == [0, 0, 0, 0]
    round_of([[0, 0, 9, 0], [0, 0, 9, 0]])  # the first round is over: class means (1, 4) and (3, -2)
    assert client.state()["importance"].tolist() == [0, 2, 0, 3]
    assert client.kept(payload)[0, :, 0, 0].tolist() == [False, False, False, True]
    round_of([[0, 0, 0, 0], [0, 0, 0, 0]])
    assert client.state()["importance"].tolist() == [0, 1, 4.5, 1.5]
    assert codec.update_bytes((2, 4, 1, 2)) == (9 + 4 * 4, 0)
    assert other is not None
    assert other.state() == {}  # what all clients share is told once
    gradient = grid(2, 4, 1, 2)
    sent = Crossing(payload, values, values, kept=client.kept(payload))
    assert torch.equal(client.pull_back(gradient, sent)[:, 2], gradient[:, 2])
    assert not client.pull_back(gradient, sent)[:, :2].any()
