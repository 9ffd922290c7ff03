"""Weights from torchvision's files: those files are made here from torchvision's models, at random."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from slsim.errors import DataError, FaultsError
from slsim.learning.models import Resnet18, Resnet34, Vgg19, registry
from slsim.learning.models.weights import load

IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
SHAPE = (3, 64, 64)


def shaken(network: nn.Module) -> nn.Module:
    """With normalizations as after training: a fresh one's would hide a mistake."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
    return network.eval()


def saved(network: nn.Module, path: Path, prefix: str = "") -> Path:
    torch.save({prefix + name: tensor for name, tensor in network.state_dict().items()}, path)
    return path


@pytest.fixture(scope="module")
def resnet34() -> nn.Module:
    return shaken(torchvision.models.resnet34())


@pytest.fixture(scope="module")
def resnet18() -> nn.Module:
    return shaken(torchvision.models.resnet18())


@torch.no_grad()
def test_resnet34_gives_torchvisions_logits(resnet34: nn.Module, tmp_path: Path) -> None:
    path = saved(resnet34, tmp_path / "resnet34.pth")
    ours = Resnet34(weights=path).build(SHAPE, 1000).eval()
    assert torch.equal(ours(IMAGES), resnet34(IMAGES))


@torch.no_grad()
def test_a_classifier_of_other_classes_keeps_its_drawn_weights(resnet34: nn.Module, tmp_path: Path) -> None:
    path = saved(resnet34, tmp_path / "resnet34.pth")
    torch.manual_seed(1)
    ours = Resnet34(weights=path).build(SHAPE, 10).eval()
    torch.manual_seed(1)
    drawn = Resnet34().build(SHAPE, 10)
    features = nn.Sequential(*list(resnet34.children())[:-2])
    assert torch.equal(ours[:17](IMAGES), features(IMAGES))
    assert torch.equal(ours[17][2].weight, drawn[17][2].weight)


@torch.no_grad()
def test_vgg19_gives_torchvisions_features(tmp_path: Path) -> None:
    features = shaken(torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["E"], batch_norm=True))
    content = {f"features.{name}": tensor for name, tensor in features.state_dict().items()}
    torch.save({**content, "classifier.0.weight": torch.ones(1)}, tmp_path / "vgg19_bn.pth")
    ours = Vgg19(weights=tmp_path / "vgg19_bn.pth").build(SHAPE, 10).eval()
    assert torch.equal(ours[:16](IMAGES), features(IMAGES))


def test_the_stem_for_cifar_is_not_torchvisions_and_keeps_its_drawn_weights(
    resnet18: nn.Module, tmp_path: Path
) -> None:
    path = saved(resnet18, tmp_path / "resnet18.pth")
    torch.manual_seed(1)
    ours = Resnet18(weights=path).build(SHAPE, 1000).eval()
    torch.manual_seed(1)
    drawn = Resnet18().build(SHAPE, 1000)
    for name, tensor in ours[0].state_dict().items():
        assert torch.equal(tensor, drawn[0].state_dict()[name])
    behind = nn.Sequential(*list(resnet18.children())[4:-1], nn.Flatten(), resnet18.fc)
    with torch.no_grad():
        activations = ours[0](IMAGES)
        assert torch.equal(ours[1:](activations), behind(activations))


def test_a_stem_for_cifar_in_the_file_is_loaded(tmp_path: Path) -> None:
    network = torchvision.models.resnet18(num_classes=10)
    network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    path = saved(shaken(network), tmp_path / "cifar.pth")
    ours = Resnet18(weights=path).build(SHAPE, 10)
    assert torch.equal(ours[0][0].weight, network.conv1.weight)
    assert torch.equal(ours[0][1].running_var, network.bn1.running_var)


def test_older_files_lack_counts_of_batches(resnet18: nn.Module, tmp_path: Path) -> None:
    tensors = resnet18.state_dict()
    torch.save({k: v for k, v in tensors.items() if "num_batches" not in k}, tmp_path / "old.pth")
    model = Resnet18()
    layers = model.build(SHAPE, 1000)
    copied = load(layers, tmp_path / "old.pth", model._torchvision_names(), model.optional)
    assert copied == sum("num_batches" not in name for name in tensors) - 5  # the stem's
    assert torch.equal(layers[1].bn1.running_mean, resnet18.layer1[0].bn1.running_mean)


def test_a_file_that_does_not_fit_names_itself_and_the_first_mismatch(
    resnet18: nn.Module, resnet34: nn.Module, tmp_path: Path
) -> None:
    small, large = saved(resnet18, tmp_path / "r18.pth"), saved(resnet34, tmp_path / "r34.pth")
    cases = [
        (Resnet34(weights=small), SHAPE, rf"{small} does not fit: it lacks layer1\.2\.conv1\.weight"),
        (
            Resnet18(weights=large),
            SHAPE,
            rf"{large} does not fit: the model has no place for layer1\.2\.conv1",
        ),
        (Vgg19(weights=small), SHAPE, "no place for conv1.weight"),
        (
            Resnet34(weights=large),
            (1, 64, 64),
            r"its conv1\.weight is \[64, 3, 7, 7\], the model's is \[64, 1, 7, 7\]",
        ),
    ]
    for model, shape, words in cases:
        with pytest.raises(DataError, match=words):
            model.build(shape, 10)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no weights", "is not a file of weights that torch can read"),
        (b"hi", "is not a file of weights that torch can read"),  # an opcode of pickle's, and then a KeyError
        (b"", "is not a file of weights"),
    ],
)
def test_a_file_that_is_none_of_torchs(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "bad.pth").write_bytes(content)
    with pytest.raises(DataError, match=words):
        Resnet34(weights=tmp_path / "bad.pth").build(SHAPE, 10)


@pytest.mark.parametrize("content", [[1, 2], {"conv1.weight": 3}, {}])
def test_a_file_without_tensors_by_name(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "list.pth")
    with pytest.raises(DataError, match="holds no weights by name"):
        Resnet34(weights=tmp_path / "list.pth").build(SHAPE, 10)


def test_a_file_of_code_is_not_run(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(DataError, match="is not a file of weights that torch can read"):
        Resnet34(weights=tmp_path / "module.pth").build(SHAPE, 10)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(DataError, match=r"there is no file of weights nowhere\.pth"):
        Resnet34(weights="nowhere.pth").build(SHAPE, 10)


def test_weights_are_for_width_1() -> None:
    with pytest.raises(FaultsError, match="weights: torchvision's weights are for width = 1, not 0.5"):
        registry.create("resnet34", width=0.5, weights="resnet34.pth")
