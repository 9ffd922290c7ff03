"""The real thing, in namespaces of this machine: the clock is near real TCP, with bounds that a busy machine
can keep; and whatever ends a validation, its namespaces and programs are gone.

One file, so that no two tests make namespaces at a time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from lab_cases import assert_says_what_it_lacks, lacking
from rich.console import Console

from slsim.validation.lab import Lab
from slsim.validation.namespaces import began, existing, leftovers, run, stem
from slsim.validation.predict import own_rounds
from slsim.validation.signals import Signals
from slsim.validation.tables import print_validation, save
from slsim.validation.validate import Plan, validate

LACKING = lacking()
SHORT = Plan(
    (100e6,),
    (1_000_000,),
    flows=(1,),
    repeats=3,
    default_congestion_too=False,
    delays_s=(0.005,),
    delayed_rates_bps=(20e6,),
    delayed_sizes=(400_000,),
)
BOUND = 0.25
HOLDING = """
import time
from slsim.validation.lab import Lab
with Lab(50e6) as lab:
    lab.peer("server").call("listen", address="198.18.0.2")
    lab.peer("clients").call("listen", address="198.18.0.1")
    print("ready", flush=True)
    time.sleep(60)
"""


def until(condition: Callable[[], object]) -> None:
    """Waits until `condition` holds; fails after half a minute."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def namespaces_of(pid: int) -> list[str]:
    return [name for name in existing() if name.startswith(f"slsim-{pid}-")]


def programs_in(names: list[str]) -> list[int]:
    return [int(pid) for name in names for pid in run("ip", "netns", "pids", name).split()]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_middle_leaves_nothing(number: signal.Signals, status: int) -> None:
    if LACKING:
        assert_says_what_it_lacks()
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "slsim", "validate-clock"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: len(programs_in(namespaces_of(process.pid))) >= 2)
    programs = programs_in(namespaces_of(process.pid))
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert "Traceback" not in errors
    assert namespaces_of(process.pid) == []
    until(lambda: not any(began(pid) for pid in programs))


def test_an_exception_leaves_nothing() -> None:
    if LACKING:
        assert_says_what_it_lacks()
        return
    lab = Lab(50e6)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def fail() -> None:
        lab.peer("server")
        assert len(namespaces_of(os.getpid())) == 2
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), lab:
        fail()
    assert namespaces_of(os.getpid()) == []
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_what_a_killed_run_left_is_removed_by_the_next() -> None:
    if LACKING:
        assert_says_what_it_lacks()
        return
    process = subprocess.Popen([sys.executable, "-c", HOLDING], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    left = namespaces_of(process.pid)
    programs = programs_in(left)
    assert len(left) == 2
    assert len(programs) == 2
    assert not set(left) & set(leftovers())
    process.kill()
    process.communicate()
    until(lambda: not any(began(pid) for pid in programs))  # with their parent
    assert set(left) <= set(leftovers())
    with Lab(50e6):
        assert namespaces_of(process.pid) == []


def test_a_name_tells_a_process_from_another_of_its_number() -> None:
    own = stem(os.getpid())
    assert own == stem(os.getpid()) == f"slsim-{os.getpid()}-{began(os.getpid())}"
    assert began(2**22 + 1) is None  # beyond the largest process number


def test_a_signal_waits_for_what_is_half_done() -> None:
    signals, done = Signals(), []

    def interrupted() -> None:
        with signals.held():
            with signals.held():
                signal.raise_signal(signal.SIGINT)
                done.append("inner")
            done.append("outer")

    signals.install()
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        with pytest.raises(SystemExit, match="143"):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signals.restore()
    assert done == ["inner", "outer"]


def test_the_clock_is_near_real_tcp(tmp_path: Path) -> None:
    if lacking():
        assert_says_what_it_lacks()
        return
    heard: list[str] = []
    found = validate(SHORT, own_rounds()[:1], tell=heard.append)
    kinds = [one.experiment.kind for one in found.comparisons]
    assert kinds == ["transfers", "round", "round", "round", "delayed", "delayed"]
    for one in found.comparisons:
        assert len(one.measured_s) == 3
        assert abs(one.error) < BOUND or (one.experiment.kind, one.transport) == ("delayed", "fluid"), one
    assert heard[0] == "100 Mbps, cubic: 1 × 1 MB"
    console = Console(record=True, width=120)
    print_validation(console, found)
    assert "1 × 1 MB" in console.export_text()
    save(found, tmp_path)
    clock = pd.read_csv(tmp_path / "clock.csv")
    assert list(clock["kind"]) == kinds
    assert len(pd.read_csv(tmp_path / "measurements.csv")) == 18
    assert "round of ten clients" in (tmp_path / "tables.md").read_text(encoding="utf-8")
