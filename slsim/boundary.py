"""The boundary around components from outside slsim: whatever they do, there is one reason that names them.

Every method of a component that slsim calls and a third party has written is guarded from the moment that
its class is defined. What it raises, `SystemExit` included, becomes a `ComponentError` such as "codec
own.py:Mine, in encode_values: RuntimeError: boom"; arrays that it is given are copies that cannot be
written to; and the working directory, torch's grad mode, number of threads and default type, and torch's
random state, if it was seeded anew, are as before. Nothing in slsim draws from the global generators of
numpy or `random`.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from slsim.errors import ComponentError, SlsimError

PASSES = (SlsimError, KeyboardInterrupt, GeneratorExit)  # what a component may raise as it is
MOST_SHOWN = 300  # characters of what a stranger raised, and of a value that it gave:
MOST_OF_A_VALUE = 80


def is_outside(cls: type) -> bool:
    """Whether a class is a third party's."""
    return cls.__module__.partition(".")[0] != "slsim"


def name_of(cls: type, kind: str) -> str:
    """What a component is called in errors: "codec own.py:Mine"."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return f"{kind} {os.path.basename(file)}:{cls.__name__}" if file else f"{kind} {cls.__name__}"  # noqa: PTH119


def told(error: BaseException) -> str:
    """An exception in one line."""
    text = ""
    with suppress(Exception):  # a stranger's exception may not even have a text
        text = shown_text(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def shown(value: object) -> str:
    """What a component gave, and its type, in one short line: "'1' (str)"."""
    text = "…"
    with suppress(Exception):
        text = shown_text(repr(value), MOST_OF_A_VALUE)
    return f"{text} ({type(value).__name__})"


def shown_text(text: str, most: int = MOST_SHOWN) -> str:
    """Text from outside as one short line."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]} …"


@contextmanager
def around(who: str | Callable[[], str], what: str = "") -> Iterator[None]:
    """Turns whatever is raised inside into a `ComponentError` that names the component, and what it did; and
    puts back what is around it."""
    before = _Surroundings.now()
    try:
        yield
    except PASSES:
        raise
    except BaseException as error:
        name = who if isinstance(who, str) else who()
        raise ComponentError(f"{name}{f', in {what}' if what else ''}: {told(error)}") from error
    finally:
        before.restore()


def guard(cls: type, kind: str) -> None:
    """Guards the methods and properties of `cls` that override slsim's, or fill in what slsim leaves open."""
    ours = {name for base in cls.__mro__ if base.__module__.startswith("slsim.") for name in vars(base)}
    for name in ours:
        if name.startswith("_"):
            continue
        found = next((vars(one)[name] for one in cls.__mro__ if name in vars(one)), None)
        place = next(one for one in cls.__mro__ if name in vars(one))
        if not is_outside(place):
            continue
        if inspect.isfunction(found) and not hasattr(found, "__guarded__"):
            setattr(cls, name, _guarded(found, kind))
        elif type(found) is property and found.fget and not hasattr(found.fget, "__guarded__"):
            setattr(cls, name, property(_guarded(found.fget, kind), doc=found.__doc__))


def _guarded(method: Callable[..., Any], kind: str) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: object, *args: Any, **kwargs: Any) -> Any:
        guarding = functools.partial(around, lambda: name_of(type(self), kind), method.__name__)
        with guarding():
            given = method(self, *map(_locked, args), **kwargs)
        return _steps(guarding, given) if isinstance(given, Generator) else given

    call.__guarded__ = True  # type: ignore[attr-defined]
    return call


def _steps(
    guarding: Callable[[], AbstractContextManager[None]], generator: Generator[Any, Any, Any]
) -> Generator[Any, Any, Any]:
    """A component's generator, guarded from each item to the next."""
    advance: Callable[[], Any] = functools.partial(next, generator)
    while True:
        with guarding():
            try:
                item = advance()
            except StopIteration as end:
                return end.value
        try:
            answer = yield item
        except GeneratorExit:
            generator.close()
            raise
        except BaseException as error:  # noqa: BLE001  # is raised where the generator stands
            advance = functools.partial(generator.throw, error)
        else:
            advance = functools.partial(generator.send, answer)


def _locked(argument: Any) -> Any:
    """An array as a copy that cannot be written to (a view would not do: torch writes through the lock);
    anything else as it is."""
    if isinstance(argument, np.ndarray):
        argument = argument.copy()
        argument.flags.writeable = False
    return argument


@dataclass(slots=True)
class _Surroundings:
    """What a component must leave as it was. torch is asked only where it has been imported."""

    folder: str
    torch: Any
    modes: tuple[bool, int, Any]
    seed: int
    random_state: Any

    @classmethod
    def now(cls) -> _Surroundings:
        try:
            folder = os.getcwd()  # noqa: PTH109  # half the time of Path's
        except OSError:
            folder = ""  # it was deleted
        torch = sys.modules.get("torch")
        if torch is None or not hasattr(torch, "get_rng_state"):  # or it is being imported
            return cls(folder, None, (True, 0, None), 0, None)
        modes = torch.is_grad_enabled(), torch.get_num_threads(), torch.get_default_dtype()
        return cls(folder, torch, modes, torch.initial_seed(), torch.get_rng_state())

    def restore(self) -> None:
        with suppress(OSError):
            if self.folder and os.getcwd() != self.folder:  # noqa: PTH109
                os.chdir(self.folder)
        torch = self.torch
        if torch is None:
            return
        grad, threads, dtype = self.modes
        if torch.is_grad_enabled() != grad:
            torch.set_grad_enabled(grad)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        if torch.get_default_dtype() != dtype:
            torch.set_default_dtype(dtype)
        if torch.initial_seed() != self.seed:
            torch.set_rng_state(self.random_state)
