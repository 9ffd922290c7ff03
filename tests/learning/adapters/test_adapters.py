"""Every adapter that ships keeps its contract, and one of somebody's own that does not is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from slsim.errors import DataError
from slsim.learning import ghost
from slsim.learning.adapters import Adapter, create, registry
from slsim.learning.adapters.bottleneck import Bottleneck
from slsim.learning.halves import Half
from slsim.learning.models import Cnn
from slsim.learning.split import halve, split
from slsim.scenario.training_table import TrainingTable
from slsim.testing import check_adapter

IMAGES = (1, 8, 8)


@pytest.mark.parametrize("shape", [(6, 3, 4), (3, 1, 1), (10,)], ids=str)
@pytest.mark.parametrize("name", registry.names())
def test_every_adapter_that_ships_keeps_the_contract(name: str, shape: tuple[int, ...]) -> None:
    check_adapter(create(name), shape)


class Own(Adapter):
    """Builds what it is told to."""

    ends: ClassVar[Callable[[], Any]]
    binds: int = 1

    @property
    def samples_a_row(self) -> int:
        return self.binds

    def build(self, shape: tuple[int, ...]) -> Any:
        return type(self).ends()


class Centred(nn.Module):
    """Looks across samples, whoever's they are."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(0)


class CentredByClient(ghost.Grouped):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([one - one.mean(0) for one in x.split(self.counts or (len(x),))])


class Severed(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.detach()


def tied() -> tuple[nn.Module, nn.Module]:
    layer = nn.Linear(10, 10)
    return layer, nn.Sequential(layer)


def drawn() -> tuple[nn.Module, nn.Module]:
    return nn.Dropout(0.5), nn.Identity()


@pytest.mark.parametrize(
    ("ends", "binds", "told"),
    [
        (lambda: nn.Identity(), 1, "must build two modules"),
        (tied, 1, "share a weight"),
        (
            lambda: (nn.Linear(10, 4), nn.Identity()),
            1,
            "gives (4,) a sample, the model's activations are (10,)",
        ),
        (lambda: (nn.Identity(), nn.Identity()), 2, "floating-point numbers with 2 rows is due"),
        (lambda: (nn.Linear(7, 4), nn.Identity()), 1, "the encoder of the adapter"),
        (lambda: (Centred(), nn.Identity()), 1, "beside another client's"),
        (lambda: (nn.Identity(), Severed()), 1, "gradient"),
        (drawn, 1, "built twice from one seed"),
        (lambda: (nn.Identity(), nn.Identity()), 0, "stands for 0 samples"),
    ],
)
def test_an_adapter_that_breaks_the_contract_is_told(
    ends: Callable[[], Any], binds: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Own, "ends", staticmethod(ends), raising=False)
    with pytest.raises(AssertionError) as caught:
        check_adapter(Own(binds=binds), (10,))
    assert told in str(caught.value)


def test_a_module_that_is_told_the_clients_may_look_across_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Own, "ends", staticmethod(lambda: (CentredByClient(), nn.Identity())), raising=False)
    check_adapter(Own(), (10,))


@pytest.mark.parametrize(
    ("channels", "stride", "shape", "code"),
    [
        (4, 2, (64, 8, 8), (4, 4, 4)),
        (4, 2, (8, 7, 4), (4, 4, 2)),
        (2, 1, (8, 7, 5), (2, 7, 5)),
        (3, 2, (5, 1, 1), (3, 1, 1)),
        (6, 2, (20,), (6,)),
    ],
)
def test_a_bottleneck_halves_maps_and_narrows_them(
    channels: int, stride: Any, shape: tuple[int, ...], code: tuple[int, ...]
) -> None:
    encoder, decoder = Bottleneck(channels=channels, stride=stride).build(shape)
    found = encoder(torch.rand(3, *shape)).detach()
    assert found.shape == (3, *code)
    assert 0 <= float(found.min()) <= float(found.max()) <= 1, "a sigmoid ends it"
    assert decoder(found).shape == (3, *shape)


def test_every_place_of_an_odd_map_reaches_the_code_and_is_decoded() -> None:
    encoder, decoder = Bottleneck(channels=2, activation="none").build((1, 5, 7))
    convolution, transposed = encoder[0], decoder[0]
    nn.init.ones_(convolution.weight)
    nn.init.ones_(transposed.weight)
    x = torch.rand(1, 1, 5, 7, requires_grad=True)
    convolution(x).sum().backward()
    assert x.grad is not None
    assert bool((x.grad == 2).all()), "each place is in one window of both channels"
    spread = transposed(torch.ones(1, 2, 3, 4)) - transposed.bias
    torch.testing.assert_close(spread, torch.full_like(spread, 2.0))


def test_a_bottleneck_takes_maps_and_flat_activations_only() -> None:
    with pytest.raises(DataError, match=r"the cut has \[3, 4\] a sample; cut the model elsewhere"):
        Bottleneck().build((3, 4))


@pytest.mark.parametrize("name", registry.names())
def test_a_models_own_weights_do_not_depend_on_the_adapter(name: str) -> None:
    bare, adapted = (halve(Cnn(channels=4), 1, IMAGES, 4, 3, adapter=one) for one in (None, create(name)))
    assert adapted.cut_shape.bare_shape == bare.cut_shape.shape == (4, 4, 4)
    for half, other in ((bare.client, adapted.client), (bare.server, adapted.server)):
        named = dict(other.named_parameters())
        for key, weight in half.named_parameters():
            assert torch.equal(weight, named[key])


@pytest.mark.parametrize("name", ["projection", "c3"])
def test_what_is_drawn_and_does_not_learn_is_no_state(name: str) -> None:
    bare, adapted = (split(Cnn(channels=4), 1, IMAGES, 4, 3, adapter=one) for one in (None, create(name)))
    for half, other in ((bare.client, adapted.client), (bare.server, adapted.server)):
        sizes = [
            (one.size, len(one.counts()))
            for one in (Half(half, TrainingTable()), Half(other, TrainingTable()))
        ]
        assert sizes[0] == sizes[1]
        assert list(half.state_dict()) == list(other.state_dict())


def test_what_is_drawn_follows_the_seed() -> None:
    same, again, other = (
        halve(Cnn(channels=4), 1, IMAGES, 4, seed, adapter=create("c3")).client[1] for seed in (3, 3, 4)
    )
    x = torch.rand(4, 4, 4, 4)
    assert torch.equal(same(x), again(x))
    assert not torch.allclose(same(x), other(x))
