"""FLOPs against counts of the tests' own: with ones for all inputs and weights, a product layer's outputs add
up to the number of its multiply-adds, and so do its gradients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from slsim.learning.flops import counted
from slsim.learning.models import registry
from slsim.learning.split import halve

PRODUCTS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "plain": (lambda: nn.Conv2d(4, 6, 3), (4, 9, 8)),
    "pointwise": (lambda: nn.Conv2d(4, 6, 1), (4, 5, 5)),
    "stride": (lambda: nn.Conv2d(4, 6, 3, stride=2), (4, 9, 8)),
    "dilation": (lambda: nn.Conv2d(4, 6, 3, dilation=2), (4, 9, 8)),
    "groups": (lambda: nn.Conv2d(4, 6, 3, groups=2), (4, 9, 8)),
    "depthwise": (lambda: nn.Conv2d(4, 8, (3, 1), groups=4, stride=(1, 2)), (4, 9, 8)),
    "transposed": (lambda: nn.ConvTranspose2d(4, 6, 3, stride=2), (4, 5, 4)),
    "transposed groups": (lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, dilation=2), (4, 5, 4)),
    "1-d": (lambda: nn.Conv1d(4, 6, 5, groups=2), (4, 17)),
    "1-d transposed": (lambda: nn.ConvTranspose1d(4, 6, 5), (4, 7)),
    "3-d": (lambda: nn.Conv3d(4, 6, (1, 3, 2), groups=2), (4, 3, 5, 6)),
    "3-d transposed": (lambda: nn.ConvTranspose3d(4, 6, 2, groups=2), (4, 2, 3, 3)),
    "linear": (lambda: nn.Linear(7, 5), (7,)),
    "linear over a sequence": (lambda: nn.Linear(7, 5), (3, 7)),
}


def flops(layer: nn.Module, *inputs: torch.Tensor) -> tuple[int, int]:
    """Forward, and backward to weights and inputs."""
    own = [one.detach().requires_grad_() for one in inputs]
    with counted() as forward:
        outputs = layer(*own)
    outputs = outputs[0] if isinstance(outputs, tuple) else outputs
    with counted() as backward:
        outputs.sum().backward()
    return forward.get_total_flops(), backward.get_total_flops()


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("name", PRODUCTS)
def test_products_cost_two_for_each_pair_that_they_multiply(name: str, device: str) -> None:
    make, shape = PRODUCTS[name]
    layer = make()
    with torch.no_grad():
        layer.weight.fill_(1)  # type: ignore[operator, union-attr]
        layer.bias.zero_()  # type: ignore[operator, union-attr]
    inputs = torch.ones(2, *shape, requires_grad=True)
    outputs = layer(inputs)
    outputs.sum().backward()
    pairs = [int(one.sum()) for one in (outputs, layer.weight.grad, inputs.grad)]  # type: ignore[union-attr, arg-type]
    assert pairs[0] == pairs[1] == pairs[2]
    assert flops(layer.to(device), inputs.detach().to(device)) == (2 * pairs[0], 4 * pairs[0])


def test_a_bilinear_layer_costs_three_for_each_term() -> None:
    terms = 2 * 5 * 3 * 4  # samples, outputs, first and second inputs
    assert flops(nn.Bilinear(3, 4, 5), torch.ones(2, 3), torch.ones(2, 4)) == (3 * terms, 9 * terms)


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(("kind", "gates"), [(nn.RNN, 1), (nn.GRU, 3), (nn.LSTM, 4)])
def test_recurrent_layers_cost_their_matrices_at_every_step(
    kind: Callable[..., nn.Module], gates: int, device: str
) -> None:
    """The state that the first step begins with is given, and needs no gradient."""
    layer = kind(8, 6, batch_first=True).to(device)
    samples, steps = 2, 5
    step = 2 * samples * gates * 6 * (8 + 6)
    first_state = 2 * samples * gates * 6 * 6
    expected = steps * step, 2 * steps * step - first_state
    assert flops(layer, torch.ones(samples, steps, 8, device=device)) == expected


class Attention(nn.Module):
    """Scaled dot products, two heads."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = x.unflatten(-1, (2, 4)).transpose(1, 2)
        return nn.functional.scaled_dot_product_attention(heads, heads, heads)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_attention_costs_its_two_products(device: str) -> None:
    products = 2 * (2 * 2 * 2 * 5 * 5 * 4)  # queries by keys, and weights by values; samples, heads, 5 × 5, 4
    assert flops(Attention(), torch.ones(2, 5, 8, device=device)) == (products, 2 * products)


@pytest.mark.parametrize("mode", [True, False])
def test_a_transformer_costs_the_same_trained_and_evaluated(mode: bool) -> None:
    """torch has a fused path for the latter."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).train(mode).requires_grad_(False)
    tokens = 2 * 5
    linear = 2 * tokens * (8 * 24 + 8 * 8 + 8 * 16 + 16 * 8)
    with torch.no_grad(), counted() as counter:
        layer(torch.ones(2, 5, 8))
    assert counter.get_total_flops() == linear + 2 * (2 * 2 * 2 * 5 * 5 * 4)


@pytest.mark.parametrize(
    "layer",
    [nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.Dropout(0.5), nn.Softmax(1)],
)
def test_what_multiplies_no_matrices_counts_nothing(layer: nn.Module) -> None:
    assert flops(layer, torch.ones(2, 4, 6, 6)) == (0, 0)


def test_matrices_by_vectors() -> None:
    class Product(nn.Module):
        def forward(self, matrix: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
            return torch.dot(matrix @ vector, torch.ones(5)) + torch.addmv(torch.ones(5), matrix, vector)

    with counted() as counter:
        Product()(torch.ones(5, 3), torch.ones(3))
    assert counter.get_total_flops() == 30 + 10 + 30


def test_counting_leaves_torchs_switches_as_they_were() -> None:
    before = torch.backends.mkldnn.enabled, torch.backends.mha.get_fastpath_enabled()
    with pytest.raises(ValueError, match="inside"), counted():
        raise ValueError("inside")
    assert (torch.backends.mkldnn.enabled, torch.backends.mha.get_fastpath_enabled()) == before


def test_a_depthwise_network_costs_about_twice_as_much_backward(tmp_path: Path) -> None:
    """It was 21 times."""
    path = tmp_path / "net.py"
    path.write_text(
        "from torch import nn\n"
        "def net(image_shape, num_classes):\n"
        "    deep = [nn.Conv2d(32, 32, 3, padding=1, groups=32) for _ in range(3)]\n"
        "    last = nn.Linear(32 * 64, num_classes)\n"
        "    return nn.Sequential(nn.Conv2d(3, 32, 1), *deep, nn.Flatten(), last)\n"
    )
    halves = halve(registry.create(f"{path}:net"), 2, (3, 8, 8), 10, seed=0)
    server = 2 * (2 * 32 * 9 * 64 + 32 * 64 * 10)
    assert (halves.server_flops.forward, halves.server_flops.backward) == (server, 2 * server)
    first, second = 2 * 3 * 32 * 64, 2 * 32 * 9 * 64
    assert halves.client_flops.forward == first + second
    assert halves.client_flops.backward == first + 2 * second  # images need no gradient
