"""What `slsim validate-clock` says where it cannot run, and that it then leaves nothing behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from lab_cases import command, stand_ins

from slsim.validation.lab import Lab
from slsim.validation.namespaces import ValidationError, require


@pytest.fixture
def root_on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def test_another_system_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ValidationError, match="^validate-clock needs Linux, found darwin$"):
        require()


def test_a_user_is_told_to_be_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(stand_ins(tmp_path / "bin")))
    with pytest.raises(
        ValidationError, match="^validate-clock needs root, found user 1000: run it with sudo"
    ):
        require()


@pytest.mark.usefixtures("root_on_linux")
def test_missing_programs_are_named_with_their_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValidationError, match="^validate-clock needs ip and tc: Debian's package iproute2"):
        require()
    (stand_ins(tmp_path / "bin") / "tc").unlink()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(ValidationError, match="^validate-clock needs tc: Debian's package iproute2"):
        require()


def test_everything_that_is_missing_is_told_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValidationError, match="needs root, .*; and it needs ip and tc: "):
        require()


def test_the_command_answers_in_one_line_with_exit_status_2(tmp_path: Path) -> None:
    done = command("--quick", PATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("validate-clock needs ")
    assert "Debian's package iproute2" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.usefixtures("root_on_linux")
@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("Error: Specified qdisc kind is unknown.", "this kernel has no token bucket filter"),
        ("RTNETLINK answers: Operation not permitted", "a container needs CAP_NET_ADMIN"),
        ("Cannot find device", "said: Cannot find device"),
    ],
)
def test_what_the_kernel_refuses_is_explained_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, meaning: str
) -> None:
    folder = stand_ins(tmp_path / "bin", tc=f"#!/bin/sh\necho '{said}' >&2\nexit 2\n")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(ValidationError, match=meaning), Lab(50e6):
        pytest.fail("such a network cannot be made")
    assert (folder / "state").read_text() == ""
