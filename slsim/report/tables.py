"""Tables on the terminal: components, models, leftovers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

from slsim.errors import SlsimError
from slsim.registry import Registry
from slsim.report.terminal import add_row, say, table, three_figures
from slsim.units import SIZE


class Leftover(Protocol):
    """A file or folder that may be removed."""

    @property
    def path(self) -> Path: ...
    @property
    def num_bytes(self) -> int: ...
    @property
    def why(self) -> str: ...


def print_leftovers(console: Console, leftovers: Sequence[Leftover]) -> None:
    """What may be removed from studies: where, how large, and why; and how much that is."""
    if not leftovers:
        say(console, "There is nothing to remove")
        return
    sizes = [SIZE.pretty(one.num_bytes) for one in leftovers]
    width = max(map(len, sizes))
    for one, size in zip(leftovers, sizes, strict=True):
        console.print(f"{size:>{width}}  {one.path}: {one.why}", soft_wrap=True, highlight=False)
    say(console, f"{len(leftovers)} in all, {SIZE.pretty(sum(one.num_bytes for one in leftovers))}")


def print_components(console: Console, kind: str, registry: Registry[Any]) -> None:
    """Every component of a kind: its name, its parameters with their defaults, one line about it. Those that
    all of the kind have stand below, once, unless a component has other defaults."""
    usual: dict[str, str] = {}
    shown = table(f"{kind}s" if kind != "data" else "data sets")
    for heading in ("name", "parameters", "what it is"):
        shown.add_column(heading, overflow="fold")
    for name in registry.names():
        entry = registry.entry(name)
        own = entry.parameters()
        usual |= {key: own[key] for key in entry.common() if key not in usual}
        parameters = [f"{key} = {value}" for key, value in own.items() if usual.get(key) != value]
        cuts = getattr(entry.cls, "cuts", {})
        parameters += [f"cut: {', '.join(f'{cut} ({layer})' for cut, layer in cuts.items())}"] if cuts else []
        add_row(shown, name, "\n".join(parameters) or "none", entry.summary)
    console.print(shown)
    if usual:
        say(console, f"Each has, too: {'; '.join(f'{key} = {value}' for key, value in usual.items())}")


def print_models(console: Console, registry: Registry[Any]) -> None:
    """Every model, as any component; and what each of its cuts sends and leaves on either side."""
    from slsim.learning.models.sizes import cut_sizes

    print_components(console, "model", registry)
    for name in registry.names():
        try:
            model = registry.create(name)
            sizes = cut_sizes(model)
        except SlsimError as error:  # of a third party's
            say(console, f"{name}: {error}")
            continue
        images = f"{shape_text(model.image_shape)}, {model.classes:,} classes"
        shown = table(f"{name} for {images}")
        shown.add_column("cut", no_wrap=True)
        for heading in ("activations\nof a sample", "their\nbytes"):
            shown.add_column(heading, justify="right", no_wrap=True)
        for heading in ("parameters", "MFLOPs forward"):
            shown.add_column(f"{heading}\nclient + server", justify="right")
        for size in sizes:
            add_row(
                shown,
                f"{size.cut} ({size.layers})",
                shape_text(size.activation_shape),
                f"{size.activation_bytes:,}",
                " + ".join(f"{number:,}" for number in size.parameters),
                " + ".join(three_figures(flops / 1e6) for flops in size.flops),
            )
        console.print(shown)
    console.print(
        "A cut's number is that of its layers on the client; any other such number is a cut too. "
        "A multiply-add is two FLOPs.",
        highlight=False,
    )


def shape_text(shape: Sequence[int]) -> str:
    """`(64, 16, 16)` as "64×16×16"."""
    return "×".join(map(str, shape))
