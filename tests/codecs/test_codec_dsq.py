"""`dsq` does what its paper says, worked out by hand."""

import math

import numpy as np
import pytest
import torch

from slsim.codecs import Crossing, Payload, create
from slsim.codecs.dsq import DSQ
from slsim.errors import CodecError, TrainingDiverged
from slsim.testing import check_coder, same_bits

# From -1 to 2 in three stretches of 1: levels -1, 0, 1, 2.
VALUES = torch.tensor([[-3.0, -1.0, -0.75], [0.5, 1.75, 5.0]])
ARRIVED = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 2.0, 2.0]])  # half way is up


def coder_at(low, high, alpha=0.2, **params):
    coder = create("dsq", **params).coder()
    coder.restore({"range and softness": torch.tensor([low, high, alpha])})
    return coder


def crossed(coder, values=VALUES):
    payload = coder.encode(values)
    return Crossing(payload, coder.arrival(payload, tuple(values.shape)), values)


def learned(coder):
    return coder.state()["range and softness"].tolist()


def staircase(values, low, high, alpha, bits):
    """The paper's Q_S: the value between two levels is a tanh, and the bound outside of them (Eq. 3 to 6)."""
    width = (high - low) / (2**bits - 1)
    clipped = values.clamp(low, high)
    stretch = ((clipped - low) / width).detach().floor().clamp(max=2**bits - 2)
    middle = low + (stretch + 0.5) * width
    phi = 1 / (1 - alpha) * (torch.log(2 / alpha - 1) / width * (clipped - middle)).tanh()
    return low + width * (stretch + (phi + 1) / 2)


def test_forward_is_uniform_quantization_over_the_range():
    sent = crossed(coder_at(-1.0, 2.0, bits=2))
    assert torch.equal(sent.arrived, ARRIVED)
    assert bytes(sent.payload.content).hex() == "000080bf" + "00000040" + "02f0"  # 00 00 00 10 11 11


def test_a_payload_decodes_alone():
    payload = Payload.from_bytes(coder_at(-1.0, 2.0, bits=2).encode(VALUES).to_bytes())
    codec = create("dsq", bits=2)
    assert same_bits(codec.decode(payload, (2, 3)), ARRIVED)
    assert payload.num_bytes == codec.num_bytes((2, 3)) == 8 + 2 + 8 + 2


def test_the_first_mini_batch_gives_the_first_range_and_later_ones_keep_it():
    coder = create("dsq").coder()
    coder.encode(VALUES)
    coder.encode(100 * VALUES)
    assert learned(coder) == pytest.approx([-3, 5, 0.2])


def test_the_gradient_is_that_of_the_tanh_between_levels_and_stops_outside():
    """With α = 0.2: s = 1.25, k = ln 9, so that tanh(k / 2) = 0.8 = 1 - α; half way the slope is s k / 2."""
    gradient = torch.full((2, 3), 2.0)
    pulled = coder_at(-1.0, 2.0, bits=2).pull_back(gradient, crossed(coder_at(-1.0, 2.0, bits=2)))
    sharpest = 1.25 * math.log(9) / 2
    at_level, quarter = sharpest * (1 - 0.8**2), sharpest * (1 - math.tanh(math.log(9) / 4) ** 2)
    assert pulled.numpy() == pytest.approx(
        2 * np.array([[0, at_level, quarter], [sharpest, quarter, 0]]), rel=1e-6
    )


@pytest.mark.parametrize(("bits", "alpha"), [(1, 0.2), (3, 0.05), (4, 0.5)])
def test_values_range_and_softness_have_the_gradients_of_the_staircase(bits, alpha):
    rng = np.random.default_rng(0)
    values, gradient = (torch.from_numpy(rng.standard_normal((6, 7), dtype=np.float32)) for _ in range(2))
    leaves = [torch.tensor(one, dtype=torch.float64, requires_grad=True) for one in (-0.9, 1.3, alpha)]
    leaf = values.double().requires_grad_()
    staircase(leaf, *leaves, bits).backward(gradient.double())
    coder = coder_at(-0.9, 1.3, alpha, bits=bits, learning_rate=0.001)
    sent = crossed(coder, values)
    torch.testing.assert_close(coder.pull_back(gradient, sent), leaf.grad.float(), rtol=1e-4, atol=1e-5)
    assert coder.learn(gradient, sent) is None
    expected = [float(one.detach() - 0.001 * one.grad) for one in leaves]
    assert learned(coder) == pytest.approx(
        [*expected[:2], min(max(expected[2], 1e-4), 0.5)], rel=1e-5, abs=1e-6
    )


def test_the_softer_the_staircase_the_closer_it_is_to_its_steps():
    """The distance between soft and hard values goes with α."""
    values, bounds = torch.linspace(0, 1, 101), (torch.tensor(0.0), torch.tensor(1.0))
    hard = DSQ(bits=2).decode(DSQ(bits=2).encode(values))
    far = [
        (staircase(values, *bounds, torch.tensor(alpha), 2) - hard).abs().mean() for alpha in (0.5, 0.2, 1e-4)
    ]
    assert far[0] > far[1] > far[2]


def test_one_update_leaves_at_least_half_of_the_range_and_the_softness_within_its_bounds():
    coder = coder_at(-1.0, 2.0, bits=2, learning_rate=1.0)
    coder.learn(torch.full((2, 3), 50.0) * torch.tensor([[-1.0, 0, 0], [0, 0, 1]]), crossed(coder))
    low, high, alpha = learned(coder)  # they would pass each other: both by 50, towards the other
    assert (low, high) == (0.5 - 0.75, 0.5 + 0.75)
    assert alpha == pytest.approx(0.2)
    for sign in (1, -1):
        coder = coder_at(-1.0, 2.0, bits=2, learning_rate=1e5)
        coder.learn(sign * torch.ones(2, 3), crossed(coder))
        assert 1e-4 <= learned(coder)[2] * (1 + 1e-6) <= 0.5 + 1e-6


def test_a_mini_batch_of_one_value_gives_a_range_that_opens():
    coder = create("dsq", learning_rate=0.1).coder()
    assert torch.equal(crossed(coder, torch.zeros(2, 3)).arrived, torch.zeros(2, 3))
    sent = crossed(coder)
    assert torch.equal(sent.arrived, torch.zeros(2, 3))
    coder.learn(torch.where(VALUES > 0, -1.0, 1.0), sent)
    assert learned(coder)[:2] == pytest.approx([-0.3, 0.3])  # by three values on either side


def test_a_range_that_is_no_number_ends_the_training():
    coder = coder_at(-1.0, 2.0)
    with pytest.raises(TrainingDiverged, match="the learned lower bound became nan"):
        coder.learn(torch.full((2, 3), float("nan")), crossed(coder))


def test_a_range_that_is_none_is_refused():
    codec = create("dsq", bits=2)
    for bounds in ((1, 0), (np.nan, 1), (0, np.inf)):
        content = np.array(bounds, "<f4").tobytes() + bytes(2)
        with pytest.raises(CodecError, match="a range is not finite, or ends before it begins"):
            codec.decode(Payload.build((2, 3), codec.fingerprint, content, side_bytes=8))


def test_both_ends_agree_and_resume():
    check_coder(create("dsq", bits=2, learning_rate=0.001))
    check_coder(create("dsq", alpha=0.4, lossless="zstd"))


def test_it_is_not_for_the_way_back():
    with pytest.raises(ValueError, match="DSQ learns from the gradient .* give the way back another codec"):
        create("dsq").paired(create("identity"))
