"""Models of strangers: each is trained, or refused in one line that names the layer and the reason."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trainings import evaluated, scenario_of, trained

from slsim.errors import DataError
from slsim.learning.exchange import Exchange
from slsim.learning.memory import lacks_memory
from slsim.learning.split import split
from slsim.study.preparing import prepare

FILE = '''
"""Layers as strangers write them; images are 1×8×8, classes 4, and `c`, `s` stand for the halves."""

import random

import torch
from torch import nn


class Do(nn.Module):
    """Anything, in place of a layer: `how(module, x)`."""

    def __init__(self, how, **buffers):
        super().__init__()
        self.how = how
        for name, value in buffers.items():
            self.register_buffer(name, value)

    def forward(self, x):
        return self.how(self, x)


def head(*more):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), *more)


def halves(client, server):
    return lambda image_shape, num_classes: nn.Sequential(client(), server())


def tail():
    return nn.Linear(16, 4)


def after(how, **buffers):
    """A client that ends in it."""
    return halves(lambda: head(Do(how, **buffers)), tail)


def fail(text):
    raise ValueError(text)


def in_place(m, x):
    x.mul_(2)
    return x


def count(m, x):
    if m.training:
        m.seen = m.seen + 1  # another tensor in the buffer's place
    return x


class Cropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient[:1]


a_tuple = after(lambda m, x: (x, x))
a_tuple_in_training = halves(
    head,
    lambda: nn.Sequential(tail(), Do(lambda m, x: (x, x) if m.training else x)),
)
a_tuple_in_evaluation = halves(
    head,
    lambda: nn.Sequential(tail(), Do(lambda m, x: x if m.training else (x, x))),
)
a_dict = after(lambda m, x: {"x": x})
integers = after(lambda m, x: x.long())
complex_numbers = after(lambda m, x: torch.fft.rfft(x))
doubles = after(lambda m, x: x.double())
halved_precision = halves(lambda: head().half(), tail)
a_row_less = after(lambda m, x: x[1:])
a_row_less_earlier = halves(lambda: head(Do(lambda m, x: x[1:]), nn.ReLU()), tail)
no_batch = halves(head, lambda: nn.Sequential(tail(), Do(lambda m, x: x.flatten())))
nothing = after(lambda m, x: x[:, :0])
not_a_number = after(lambda m, x: x * float("nan"))
other_classes = halves(head, lambda: nn.Linear(16, 5))
fails_in_training = after(lambda m, x: fail("only in training") if m.training else x)
fails_in_evaluation = after(lambda m, x: x if m.training else fail("only in evaluation"))
fails_backward = after(lambda m, x: Cropped.apply(x))
fails_the_second_time = after(lambda m, x: vars(m).setdefault("kept", x.mean()) * 0 + x)
fails_quietly = after(lambda m, x: fail(""))
exits = after(lambda m, x: exit(3))
detached = after(lambda m, x: x.detach())
detached_server = halves(head, lambda: nn.Sequential(Do(lambda m, x: x.detach()), tail()))
detached_in_a_layer = halves(
    head,
    lambda: nn.Sequential(nn.ReLU(), Do(lambda m, x: x.detach() * m.w, w=torch.ones(16)), tail()),
)
writes_into_expanded = after(lambda m, x: in_place(m, x[:, :1].expand(-1, 16)))
writes_into_received = halves(head, lambda: nn.Sequential(Do(in_place), tail()))
squeezed = halves(lambda: nn.Sequential(nn.Conv2d(1, 16, 8), Do(lambda m, x: x.squeeze())), tail)
a_list_between = halves(lambda: head(Do(lambda m, x: [x]), Do(lambda m, x: x[0])), tail)
a_list_that_is_not_taken = halves(lambda: head(Do(lambda m, x: [x]), nn.ReLU()), tail)
frozen = halves(lambda: head().requires_grad_(False), tail)
no_weights = halves(nn.Flatten, lambda: nn.Linear(64, 4))
draws = after(lambda m, x: nn.functional.dropout(x, 0.5, m.training) + torch.randn_like(x))
counts = after(count, seen=torch.zeros(1))
writes_at_the_end = after(in_place)
writes_into_images = halves(lambda: nn.Sequential(Do(in_place), head()), tail)
one_value = halves(
    lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 1), nn.Flatten(0)),
    lambda: nn.Sequential(nn.Unflatten(0, (-1, 1)), nn.Linear(1, 4)),
)
masked = after(lambda m, x: torch.where(m.mask < 0, 0, x), mask=torch.full((16,), float("-inf")))
viewed = halves(
    lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), Do(lambda m, x: x.view(len(x), -1))),
    lambda: nn.Linear(36, 4),
)
viewed_wrongly = halves(
    lambda: nn.Sequential(nn.Conv2d(1, 4, 3), Do(lambda m, x: x.transpose(1, 3).view(len(x), -1))),
    lambda: nn.Linear(144, 4),
)
solid = halves(
    lambda: nn.Sequential(nn.Unflatten(1, (1, 1)), nn.Conv3d(1, 4, (1, 3, 3))),
    lambda: nn.Sequential(nn.Flatten(), nn.Linear(144, 4)),
)
line = halves(
    lambda: nn.Sequential(nn.Flatten(2), nn.Conv1d(1, 4, 3)),
    lambda: nn.Sequential(nn.Flatten(), nn.Linear(248, 4)),
)
lazy = halves(
    lambda: nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d()),
    lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(4)),
)
recurrent = halves(
    lambda: nn.Sequential(nn.Flatten(1, 2), nn.LSTM(8, 16, batch_first=True), Do(lambda m, x: x[0][:, -1])),
    tail,
)
parametrized = halves(
    lambda: head(nn.utils.parametrizations.weight_norm(nn.Linear(16, 16))),
    lambda: nn.utils.parametrizations.spectral_norm(tail()),
)
no_statistics = halves(lambda: head(nn.BatchNorm1d(16, track_running_stats=False)), tail)
cumulative = halves(lambda: head(nn.BatchNorm1d(16, momentum=None)), tail)


def old_weight_norm(image_shape, num_classes):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.Sequential(head(nn.utils.weight_norm(nn.Linear(16, 16))), tail())


def tied(image_shape, num_classes):
    shared = nn.Linear(16, 16)
    return nn.Sequential(head(shared), nn.Sequential(nn.ReLU(), shared), tail())


def tied_in_memory(image_shape, num_classes):
    first, second = nn.Linear(16, 16), nn.Linear(16, 16)
    second.weight.data = first.weight.data
    return nn.Sequential(head(first), nn.Sequential(second), tail())


def shared_statistics(image_shape, num_classes):
    shared = nn.BatchNorm1d(16, affine=False)
    return nn.Sequential(head(shared), nn.Sequential(nn.ReLU(), shared, tail()))


def shared_without_weights(image_shape, num_classes):
    shared = nn.Dropout(0.1)
    table = Do(lambda m, x: x + m.table, table=torch.ones(16))
    return nn.Sequential(head(shared, table), nn.Sequential(shared, table, tail()))


def too_large(image_shape, num_classes):
    raise MemoryError


def about_memory(image_shape, num_classes):
    raise RuntimeError("the memory of elephants")
'''


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "strangers.py"
    path.write_text(FILE, encoding="utf-8")
    return path


Train = Callable[..., Exchange]


@pytest.fixture
def train(tiny: dict[str, Any], file: Path) -> Train:
    """Trains a model of the file for two rounds, and evaluates it."""

    def rounds(name: str, cut: int = 1, **tables: Any) -> Exchange:
        training = {"max_rounds": 2, **tables.pop("training", {})}
        model = {"name": f"{file}:{name}", "cut": cut}
        exchange, steps = trained(scenario_of(tiny, model=model, training=training, **tables))
        assert len(steps) == 2
        evaluated(exchange)
        return exchange

    return rounds


MUST = "out of the client's half must come one tensor of floating-point numbers with a row a sample"


REFUSED = (
    ("a_tuple", rf'^layer 1 \("0\.2", Do\) gives a tuple; {MUST}$'),
    ("a_tuple_in_training", r'^layer 2 \("1\.1", Do\) gives a tuple; out of the server'),
    ("a_tuple_in_evaluation", r'^layer 2 \("1\.1", Do\) gives a tuple; out of the server'),
    ("a_dict", "gives a dict"),
    ("integers", r"^layer 1 .* gives int64; .* \(sent as float32\)$"),
    ("complex_numbers", "gives complex64"),
    ("halved_precision",
     r'^layer 1 \("0\.1", Linear\) fails in training.*: mat1 and mat2 must have the '
     r'same'),
    ("a_row_less", r'^layer 1 \("0\.2", Do\) gives a tensor of shape \(1, 16\) for 2 samples; '),
    ("a_row_less_earlier", r'^layer 1 \("0\.2", Do\) gives'),
    ("no_batch", r'^layer 2 \("1\.1", Do\) gives a tensor of shape \(8,\) for 2 samples'),
    ("nothing", r"gives a tensor of shape \(2, 0\), which is empty"),
    ("not_a_number",
     r'^layer 1 \("0\.2", Do\) gives NaN or infinity for the first 3 training images, '
     r'before'),
    ("other_classes", r"^the model gives \(5,\) values a sample, there are 4 classes$"),
    ("fails_in_training", r'^layer 1 \("0\.2", Do\) fails in training, .*: ValueError: only in training$'),
    ("fails_in_evaluation",
     r"fails in evaluation, with 3 samples of shape .*: ValueError: only in "
     r"evaluation$"),
    ("fails_backward", r'^layer 1 \("0\.2", Do\) fails in its backward in training.*: Function Cropped'),
    ("fails_the_second_time",
     r"fails in its backward .*: Trying to backward through the graph a second "
     r"time"),
    ("fails_quietly", r": ValueError$"),
    ("exits", r'^layer 1 \("0\.2", Do\) fails .*: SystemExit: 3$'),
    ("detached",
     r'^layer 1 \("0\.2", Do\) lets no gradient through, so nothing on the client can learn; '
     r'if'),
    ("detached_server", r'^layer 2 \("1\.0", Do\) lets no gradient through to the client\'s half$'),
    ("detached_in_a_layer", r'^layer 2 \("1\.1", Do\) lets no gradient through'),
    ("writes_into_expanded",
     r'^layer 1 \("0\.2", Do\) fails .*more than one element of the written-to '
     r'tensor'),
    ("writes_into_received", r'^layer 2 \("1\.0", Do\) fails .*a leaf Variable that requires grad'),
    ("viewed_wrongly", r'^layer 1 \("0\.1", Do\) fails .*view size is not compatible'),
    ("a_list_that_is_not_taken",
     r'^layer 1 \("0\.3", ReLU\) fails .*, where layer 1 \("0\.2", Do\) gives it a '
     r'list'),
    ("tied",
     r'^layer 1 \("0\.2", Linear\) and layer 2 \("1\.1", Linear\) share a weight, .* \(at 2 or '
     r'more\)$'),
    ("tied_in_memory", "share a weight"),
    ("shared_statistics",
     r'^"0\.2\.running_mean" and "1\.1\.running_mean" are one buffer that training '
     r'changes'),
    ("about_memory", "failed: the memory of elephants$"),
)  # fmt: skip


@pytest.mark.parametrize(("name", "words"), REFUSED, ids=[name for name, _ in REFUSED])
def test_what_cannot_be_trained_is_one_line_that_names_the_layer(train: Train, name: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as found:
        train(name)
    assert "\n" not in str(found.value)


TRAINED = (
    "doubles a_list_between frozen no_weights draws counts writes_at_the_end writes_into_images one_value "
    "masked solid line lazy recurrent parametrized old_weight_norm no_statistics cumulative squeezed "
    "shared_without_weights"
)


@pytest.mark.parametrize("name", TRAINED.split())
def test_what_can_be_trained_is(train: Train, name: str) -> None:
    assert train(name).parts.manner.notices == ()


def test_a_weight_used_twice_on_one_side_is_trained(train: Train) -> None:
    train("tied", cut=2)


def test_a_layer_that_cannot_take_channels_last_gets_the_usual_layout(train: Train) -> None:
    manner = train("viewed").parts.manner
    assert not manner.channels_last
    (notice,) = manner.notices
    assert notice.startswith('layer 1 ("0.2", Do) fails in training')
    assert notice.endswith("so images are laid out as usual (channels_last = false)")
    assert train("viewed", training={"channels_last": False}).parts.manner.notices == ()


def test_a_lone_sample_is_tried_where_there_is_one(train: Train) -> None:
    """240 samples of 4 clients: 60 each, in mini-batches of 59 and 1. All four go through as one."""
    lone = {"count": 4, "batch_size": 59}
    train("squeezed", clients=lone)
    local = {"training": {"protocol": {"name": "splitfed", "local_epochs": 1}}, "clients": lone}
    reason = (
        r'^layer 1 \("0\.1", Do\) gives a tensor of shape \(16,\) for one sample; .* With several samples '
        r"the model works, but some mini-batches here have one: .*torch\.flatten"
    )
    with pytest.raises(DataError, match=reason):
        train("squeezed", **local)
    train("a_list_between", **local)


def test_a_lone_test_image_is_tried_too(train: Train, tiny: dict[str, Any], tmp_path: Path) -> None:
    with np.load(tiny["data"]["path"]) as arrays:
        few = {name: array[:1] if name.endswith("test") else array for name, array in arrays.items()}
    np.savez(tmp_path / "few.npz", **few)
    with pytest.raises(DataError, match="fails|some batches of test images here have one"):
        train("squeezed", data={"name": "npz", "path": str(tmp_path / "few.npz")})


def test_a_trial_changes_nothing(tiny: dict[str, Any], file: Path) -> None:
    """Neither weights, nor what layers count, nor gradients, nor a random stream."""
    scenario = scenario_of(tiny, model={"name": f"{file}:lazy", "cut": 1})
    streams = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    model = prepare(scenario).parts.model
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    assert torch.equal(streams[0], after[0])
    assert streams[1:] == after[1:]
    fresh = split(scenario.model.component.create(), 1, (1, 8, 8), 4, scenario.seed)
    for half, other in ((model.client, fresh.client), (model.server, fresh.server)):
        pairs = zip(half.state_dict().values(), other.state_dict().values(), strict=True)
        assert all(torch.equal(one, same) for one, same in pairs)
        assert all(one.grad is None for one in half.parameters())
        assert all(module.training for module in half.modules())


def test_lack_of_memory_is_told_by_its_type(train: Train) -> None:
    with pytest.raises(MemoryError):
        train("too_large")
    with pytest.raises(RuntimeError) as found:
        torch.empty(2**60)
    assert lacks_memory(found.value)
    assert lacks_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert not lacks_memory(RuntimeError("the memory of elephants"))
    assert not lacks_memory(ValueError("out of memory"))
