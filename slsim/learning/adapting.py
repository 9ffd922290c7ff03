"""An adapter in a model that is cut: its encoder ends the client's half, its decoder begins the server's."""

from __future__ import annotations

import torch
from torch import nn

from slsim import seeds
from slsim.errors import DataError
from slsim.learning.adapters import Adapter
from slsim.learning.layers import End, layers_of, naming, output_of, walk
from slsim.recording import CutShape
from slsim.registry import full_name

ENCODER, DECODER = "adapter encoder", "adapter decoder"  # the names of the two ends among a half's layers


def append(
    adapter: Adapter, client: nn.Sequential, server: nn.Sequential, shape: tuple[int, ...], seed: int
) -> CutShape:
    """Put the ends of an adapter, drawn from `seed`, on both sides of a cut at which activations have this
    `shape` a sample, and give what crosses then. Raises `DataError` where the ends do not fit."""
    encoder, decoder = _built(adapter, shape, seed)
    cut_shape = _measured(adapter, encoder, decoder, shape)
    client._modules[ENCODER] = encoder
    own = dict(server._modules)
    server._modules.clear()
    server._modules.update({DECODER: decoder, **own})
    return cut_shape


def _built(adapter: Adapter, shape: tuple[int, ...], seed: int) -> tuple[End, End]:
    """Encoder and decoder, which are trained apart. Raises `DataError` for anything else."""
    name = full_name(type(adapter))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.integer(seed, "adapter"))
        with naming(lambda: f"the {name} cannot be built for activations of shape {shape}"):
            built: object = adapter.build(shape)
    match built:
        case (nn.Module() as one, nn.Module() as other):
            encoder = End(f"the encoder of the {name}", one)
            decoder = End(f"the decoder of the {name}", other)
        case _:
            raise DataError(f"the {name} must build two modules of torch's, an encoder and a decoder")
    if {id(weight) for weight in encoder.parameters()} & {id(weight) for weight in decoder.parameters()}:
        raise DataError(f"encoder and decoder of the {name} share a weight; they are trained apart")
    for module in decoder.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False  # type: ignore[assignment]  # what the server receives is a leaf
    return encoder, decoder


def _measured(adapter: Adapter, encoder: End, decoder: End, shape: tuple[int, ...]) -> CutShape:
    """Run two rows' samples through both ends, and give what crosses between. Raises `DataError`."""
    binds = adapter.samples_a_row
    if not isinstance(binds, int) or binds < 1:
        raise DataError(f"the {full_name(type(adapter))} says that a row stands for {binds!r} samples")
    samples, how = 2 * binds, f"for activations of shape {shape}"
    half = nn.Sequential()
    half._modules |= {"bare": nn.Identity(), ENCODER: encoder}
    modes = {module: module.training for end in (encoder, decoder) for module in end.modules()}
    with torch.no_grad():
        encoder.eval()
        decoder.eval()
        code = output_of(walk(layers_of(half), torch.zeros(samples, *shape), how), "client", samples, rows=2)
        steps = walk(layers_of(nn.Sequential(decoder)), code.float(), how)
    for module, mode in modes.items():
        module.training = mode
    output = output_of(steps, "server", samples)
    if tuple(output.shape[1:]) != shape:
        given = tuple(output.shape[1:])
        raise DataError(f"{decoder.called} gives {given} a sample, the model's activations are {shape}")
    return CutShape(tuple(code.shape[1:]), shape, binds)
