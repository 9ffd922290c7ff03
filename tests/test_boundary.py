"""Components of one's own: whatever they do, one reason names them, and nothing around them is changed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from slsim.boundary import around
from slsim.codecs import Identity
from slsim.devices import Device, Work
from slsim.errors import ComponentError, DataError, FaultsError
from slsim.protocols import SplitFed
from slsim.scenario import plan


class Odd(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Own(Device):
    """Does what it is told to."""

    does: ClassVar[Any] = None

    def piece_seconds(self, work: Work) -> Any:
        return type(self).does(work)


def raising(error: BaseException) -> Any:
    def does(_: Work) -> float:
        raise error

    return does


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("boom\n  twice"), "RuntimeError: boom twice"),
        (SystemExit(0), "SystemExit: 0"),
        (MemoryError(), "MemoryError"),
        (RecursionError("deep"), "RecursionError: deep"),
        (AssertionError(), "AssertionError"),
        (StopIteration(), "StopIteration"),
        (Odd(), "Odd"),
        (ValueError("x" * 1000), "ValueError: " + "x" * 300 + " …"),
    ],
)
def test_whatever_a_method_raises_is_one_line_that_names_it(
    error: BaseException, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Own, "does", raising(error))
    with pytest.raises(ComponentError) as caught:
        Own().seconds(Work.of("encode"))
    assert str(caught.value) == f"device test_boundary.py:Own, in piece_seconds: {words}"
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [DataError("said"), KeyboardInterrupt()])
def test_an_error_of_slsims_and_ctrl_c_pass(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Own, "does", raising(error))
    with pytest.raises(type(error)):
        Own().seconds(Work.of("encode"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (-0.1, "gave -0.1 (float)"),
        (float("nan"), "gave nan (float)"),
        (float("inf"), "gave inf (float)"),
        ("1", "gave '1' (str)"),
        (None, "gave None (NoneType)"),
        (True, "gave True (bool)"),
        (np.array([1.0, -1e-12]), "gave array([ 1.e+00, -1.e-12]) (ndarray)"),
        (np.array(["a"]), "gave array(['a']"),
    ],
)
def test_a_device_that_gives_no_time_is_named(
    given: Any, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Own, "does", lambda _: given)
    with pytest.raises(ComponentError) as caught:
        Own().seconds(Work.of("client forward"))
    assert f"device test_boundary.py:Own, in piece_seconds: {words}" in str(caught.value)
    assert "for client forward; seconds must be at least 0 and finite" in str(caught.value)


def test_what_a_codec_is_given_is_a_copy_that_even_torch_cannot_write_through() -> None:
    class Careless(Identity):
        def encode_values(self, values: Any, shape: Any, rng: Any) -> Any:
            sent = values.tobytes()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # torch's, of an array that is not writable
                torch.from_numpy(values).zero_()
            return sent

    activations = torch.ones(2, 3)
    Careless().encode(activations)
    assert torch.equal(activations, torch.ones(2, 3))


def test_what_is_around_a_component_is_as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def meddles(_: Work) -> float:
        os.chdir(tmp_path)
        torch.manual_seed(0)
        torch.set_grad_enabled(False)
        torch.set_num_threads(torch.get_num_threads() + 1)
        torch.set_default_dtype(torch.float64)
        return 0.0

    monkeypatch.setattr(Own, "does", meddles)
    torch.manual_seed(1)  # another seed than the component's, whatever ran before
    before = Path.cwd(), torch.get_num_threads(), torch.get_rng_state().tolist()
    Own().seconds(Work.of("encode"))
    assert (Path.cwd(), torch.get_num_threads(), torch.get_rng_state().tolist()) == before
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32


def test_what_a_component_draws_from_torch_counts_as_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Own, "does", lambda _: float(torch.rand(())))
    assert Own().seconds(Work.of("encode")) != Own().seconds(Work.of("encode"))


class Stubborn(SplitFed):
    """A protocol whose generator fails at its second item, and answers what it is sent."""

    def learn(self, exchange: Any, resumed: Any = None) -> Iterator[Any]:
        yield (yield 1)
        raise KeyError("second")


def test_a_generator_is_guarded_from_item_to_item() -> None:
    rounds = Stubborn().learn(None)
    assert (next(rounds), rounds.send(5)) == (1, 5)
    with pytest.raises(ComponentError, match=r"protocol test_boundary.py:Stubborn, in learn: KeyError"):
        next(rounds)


def test_a_method_that_is_inherited_from_slsim_is_left_alone() -> None:
    assert Stubborn.rounds_per_epoch is SplitFed.rounds_per_epoch


def test_around_names_who_and_what() -> None:
    reason = "^model net, in build: ZeroDivisionError: division by zero$"
    with pytest.raises(ComponentError, match=reason), around("model net", "build"):
        1 / 0  # noqa: B018


OWN_CODECS = """
from slsim.codecs import Identity

class Ctor(Identity):
    def __init__(self, **params):
        raise RuntimeError("ctor")

class After(Identity):
    def model_post_init(self, context):
        raise SystemExit(3)

class Reads(Identity):
    def reads(self):
        raise RuntimeError("reads")

class ReadsText(Identity):
    def reads(self):
        return ["/etc/hostname"]

class Dump(Identity):
    odd: object = object()

class NoDoc(Identity): pass
"""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Ctor", "codec own.py:Ctor, in its constructor: RuntimeError: ctor"),
        ("After", "codec own.py:After, in its constructor: SystemExit: 3"),
        ("Reads", "codec own.py:Reads, in reads: RuntimeError: reads"),
        (
            "ReadsText",
            "codec own.py:ReadsText, in reads: gave ['/etc/hostname'] (list); paths (Path) are due",
        ),
        ("Dump", "codec own.py:Dump, in its parameters: PydanticSerializationError"),
    ],
)
def test_a_component_that_cannot_be_made_is_a_fault_of_the_scenario(
    name: str, words: str, tiny: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(OWN_CODECS)
    tiny["sweep"] = {}
    tiny["codec"] = {"uplink": f"own.py:{name}"}
    with pytest.raises(FaultsError) as caught:
        plan(tiny, "test", tmp_path)
    (fault,) = caught.value.faults
    assert fault.path == "codec.uplink"
    assert fault.message.startswith(words)
    tiny["codec"] = {"uplink": "own.py:NoDoc"}
    assert plan(tiny, "test", tmp_path).cases[0].scenario.codec.uplink.label == "NoDoc"
