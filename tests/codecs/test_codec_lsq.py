"""`lsq` does what its paper says, worked out by hand."""

import numpy as np
import pytest
import torch

from slsim.codecs import Crossing, Payload, create
from slsim.errors import CodecError, FaultsError, TrainingDiverged
from slsim.testing import check_coder, same_bits

# With a step of 1/2 and levels 0 … 3, z / s is -2, .4, .6, 1.8, 3.4, 0.
VALUES = torch.tensor([[-1.0, 0.2, 0.3], [0.9, 1.7, 0.0]])
ARRIVED = torch.tensor([[0.0, 0.0, 0.5], [1.0, 1.5, 0.0]])
BETWEEN = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
SLOPES = np.array([0, -0.4, 0.4, 0.2, 3, 0])  # of the step, Eq. 3


def coder_at(step, **params):
    coder = create("lsq", **params).coder()
    coder.restore({"step": torch.tensor(step)})
    return coder


def crossed(coder, values=VALUES):
    payload = coder.encode(values)
    return Crossing(payload, coder.arrival(payload, tuple(values.shape)), values)


def test_values_become_multiples_of_the_step_within_bounds():
    sent = crossed(coder_at(0.5, bits=2))
    assert torch.equal(sent.arrived, ARRIVED)
    assert bytes(sent.payload.content).hex() == "0000003f" + "06c0"  # .5; codes 00 00 01 10 11 00
    signed = crossed(coder_at(0.5, bits=2, signed=True))
    assert signed.arrived.ravel().tolist() == [-1, 0, 0.5, 0.5, 0.5, 0]  # levels -2 … 1


def test_a_payload_decodes_alone():
    codec, coder = create("lsq", bits=2), coder_at(0.5, bits=2)
    payload = Payload.from_bytes(coder.encode(VALUES).to_bytes())
    assert same_bits(codec.decode(payload, (2, 3)), ARRIVED)
    assert payload.num_bytes == codec.num_bytes((2, 3)) == 8 + 2 + 4 + 2


def test_the_first_mini_batch_gives_the_first_step_and_later_ones_keep_it():
    coder = create("lsq", bits=2).coder()
    values = torch.tensor([0.0, 0.5, 1.0, 2.5])  # of mean magnitude 1
    coder.encode(values)
    assert coder.state()["step"].item() == pytest.approx(2 / np.sqrt(3))
    coder.encode(100 * values)
    assert coder.state()["step"].item() == pytest.approx(2 / np.sqrt(3))
    zeros = create("lsq").coder()
    zeros.encode(torch.zeros(4))
    assert zeros.state()["step"].item() == 1


def test_the_gradient_goes_straight_through_between_the_bounds_and_stops_outside():
    coder = coder_at(0.5, bits=2)
    gradient = torch.arange(1.0, 7.0).reshape(2, 3)
    assert torch.equal(coder.pull_back(gradient, crossed(coder)), gradient * BETWEEN)


def test_the_step_descends_its_scaled_gradient():
    coder = coder_at(0.5, bits=2, learning_rate=0.1)
    gradient = torch.tensor([[5.0, 1.0, -2.0], [3.0, 0.5, 7.0]])
    assert coder.learn(gradient, crossed(coder)) is None
    slope = (SLOPES * gradient.numpy().ravel()).sum() / np.sqrt(3 * 3)  # three features, Q_P = 3
    assert coder.state()["step"].item() == pytest.approx(0.5 - 0.1 * slope)


def test_the_slope_of_the_step_is_that_of_autograd():
    """The paper's program: round and clamp with the gradients of identity."""
    rng = np.random.default_rng(0)
    values, gradient = (torch.from_numpy(rng.standard_normal((4, 5), dtype=np.float32)) for _ in range(2))
    coder = coder_at(0.3, bits=3, signed=True, learning_rate=0.01)
    step, leaf = torch.tensor(0.3, requires_grad=True), values.clone().requires_grad_()
    clamped = (leaf / step).clamp(-4, 3)
    (((clamped.round() - clamped).detach() + clamped) * step).backward(gradient)
    sent = crossed(coder, values)
    torch.testing.assert_close(coder.pull_back(gradient, sent), leaf.grad)
    coder.learn(gradient, sent)
    assert coder.state()["step"].item() == pytest.approx(0.3 - 0.01 * step.grad.item() / np.sqrt(5 * 3))


def test_one_update_leaves_at_least_half_of_the_step():
    coder = coder_at(0.5, bits=2, learning_rate=1000.0)
    coder.learn(torch.ones(2, 3), crossed(coder))
    assert coder.state()["step"].item() == 0.25


def test_a_step_that_is_no_number_ends_the_training():
    coder = coder_at(0.5, bits=2)
    with pytest.raises(TrainingDiverged, match="the learned step became nan"):
        coder.learn(torch.full((2, 3), float("nan")), crossed(coder))


def test_a_step_that_is_none_is_refused():
    codec = create("lsq", bits=2)
    for step in (0.0, -1.0, np.nan, np.inf):
        content = np.array(step, "<f4").tobytes() + bytes(2)
        with pytest.raises(CodecError, match="a step of .* is none: the payload is damaged"):
            codec.decode(Payload.build((2, 3), codec.fingerprint, content, side_bytes=4))


def test_both_ends_agree_and_resume():
    check_coder(create("lsq", bits=2, learning_rate=0.1))
    check_coder(create("lsq", signed=True, lossless="zstd"))


def test_what_it_is_not_for_is_refused_in_a_line():
    with pytest.raises(FaultsError, match="with signed, 1 bit has no level above 0; give 2 bits or more"):
        create("lsq", bits=1, signed=True)
    with pytest.raises(ValueError, match="give the way back another codec, such as qu"):
        create("lsq").paired(create("identity"))
