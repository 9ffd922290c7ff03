"""The command line as its user meets it: output, exit statuses, and no torch where none is needed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

import slsim
from slsim.cli import app
from slsim.report.figures import draw_runs
from slsim.results import StudyFolder

Write = Callable[[dict[str, Any]], Path]
Command = Callable[..., Any]


def process(*arguments: str | Path) -> subprocess.Popen[str]:
    """The command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "slsim", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
        env={**os.environ, "COLUMNS": "100"},
        # Whoever runs the tests may ignore it, as shells do for what they start in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_a_run_prints_progress_in_plain_lines_and_the_table(
    tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    running = process("run", write(tiny), "--results", tmp_path / "results", "--workers", "1")
    stdout, stderr = running.communicate(timeout=120)
    assert running.returncode == 0
    assert stderr == ""
    lines = stdout.splitlines()
    assert lines[0] == "3 trainings: identity, QU (3 bits) and MS (90 %, 2 bits)"
    begun = {line.partition(": ")[2] for line in lines if line.startswith("training ")}
    assert begun == {"identity, 36 rounds", "QU (3 bits), 36 rounds", "MS (90 %, 2 bits), 36 rounds"}
    assert any(line.startswith("MS (90 %, 2 bits): 36 of 36 rounds, accuracy ") for line in lines)
    assert any(line.startswith("MS (90 %, 2 bits): finished after ") for line in lines)
    table = stdout[stdout.index("Target: test accuracy of 80.0 %") :]
    for heading in ("codec", "last, %", "time to", "bytes to", "multipl.", "both ways"):
        assert heading in table
    summary, _, breakdown = table.partition("An average round, in ms")
    rows = {line.split("│")[1].strip(): line for line in summary.splitlines() if line.startswith("│")}
    assert {"identity", "QU (3 bits)", "MS (90 %, 2 bits)"} <= set(rows)
    assert "5.16×" in rows["MS (90 %, 2 bits)"]
    assert "bottleneck" in breakdown
    assert str(tmp_path / "results" / "tiny") in stdout
    pictures = list((tmp_path / "results" / "tiny" / "figures").glob("*.png"))
    assert len(pictures) == 6
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)


def test_a_target_never_reached_says_so_and_a_path_with_brackets_is_printed_as_it_is(
    tiny: dict[str, Any], write: Write, tmp_path: Path, command: Command
) -> None:
    tiny["sweep"] = {"codec.uplink": ["identity", {"name": "sp", "sparsity": 1.0}]}
    done = command("run", write(tiny), "--results", tmp_path / "r[/b]:x:")
    (row,) = (line for line in done.stdout.splitlines() if line.startswith("│ SP "))
    assert row.count(" not ") == 4
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"{tmp_path / 'r[/b]:x:' / 'tiny'}\n")


def test_four_faults_print_four_lines_exit_2_and_write_nothing(
    tiny: dict[str, Any], write: Write, tmp_path: Path, command: Command
) -> None:
    tiny["model"]["cut"] = "middle"
    tiny["network"] = {"uplnk": "10 Mbps", "downlink": "100"}
    tiny["sweep"] = {}
    tiny["codec"] = {"uplink": {"name": "mss"}}
    path = write(tiny)
    done = command("run", path)
    assert done.returncode == 2
    assert done.stdout == ""
    paths = [line.removeprefix(f"{path}: ").split(": ")[0] for line in done.stderr.splitlines()]
    assert sorted(paths) == ["codec.uplink", "model.cut", "network.downlink", "network.uplnk"]
    assert not (tmp_path / "results").exists()


def test_ctrl_c_exits_130_keeps_what_is_finished_and_running_again_does_the_rest(
    tiny: dict[str, Any], write: Write, tmp_path: Path, command: Command
) -> None:
    tiny["training"].update(epochs=9, evaluate_every=108)
    run = ("run", write(tiny), "--results", tmp_path / "results", "--workers", "1")
    running = process(*run)
    assert running.stdout is not None
    for line in running.stdout:
        if line == "training 2 of 3: QU (3 bits), 108 rounds\n":  # its training has begun
            running.send_signal(signal.SIGINT)
            break
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert errors.startswith("Interrupted: 1 of 3 trainings are finished and kept in ")
    assert "run the same command again" in errors
    checked = command("check", tmp_path / "results" / "tiny")
    assert checked.returncode == 0
    again = command(*run)
    assert again.returncode == 0
    assert "identity: finished earlier, reused" in again.stdout
    assert "QU (3 bits): finished after" in again.stdout


@pytest.mark.parametrize("moment", ["import typer", "import torch", "rounds"])
def test_a_second_ctrl_c_is_one_word(moment: str, tiny: dict[str, Any], write: Write, tmp_path: Path) -> None:
    """Both at once, while something is imported or a training runs."""
    tiny["training"].update(epochs=1000)
    script = SECOND_CTRL_C.format(moment=moment, arguments=["run", str(write(tiny)), "--workers", "1"])
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
    )
    assert done.returncode == 130
    assert done.stderr.strip() == "Interrupted"


SECOND_CTRL_C = """
import builtins, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from slsim.__main__ import main
real = builtins.__import__

def twice():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    finally:
        os.kill(os.getpid(), signal.SIGINT)

def importing(name, *rest, **more):
    if "import " + name == {moment!r}:
        builtins.__import__ = real
        twice()
    if {moment!r} == "rounds" and name == "slsim.learning.exchange":
        module = real(name, *rest, **more)
        sys.modules[name].Exchange.forward = lambda *_: twice()
        return module
    return real(name, *rest, **more)

builtins.__import__ = importing
sys.argv = ["slsim", *{arguments!r}]
main()
"""


def test_replay_over_link_rates_shows_times_and_where_a_codec_stops_paying(
    tiny_study: Path, command: Command
) -> None:
    done = command("replay", tiny_study, "--set", 'network.uplink=["100 kbps", "1 Mbps", "1 Gbps"]')
    assert done.returncode == 0
    assert "Time to target, in milliseconds, by uplink" in done.stdout
    assert " pays " in done.stdout
    for codec in ("identity", "QU (3 bits)", "MS (90 %, 2 bits)"):
        assert any(line.startswith(f"│ {codec} ") for line in done.stdout.splitlines())
    one_rate = command("replay", tiny_study, "--set", "network.uplink=20 Mbps")
    assert "Target: test accuracy" in one_rate.stdout


def test_check_passes_and_exits_1_when_a_number_was_changed(tiny_study: Path, command: Command) -> None:
    done = command("check", tiny_study)
    assert done.returncode == 0
    assert "39 checks, 0 failed" in done.stdout
    runs = tiny_study / "runs.csv"
    runs.write_text(runs.read_text().replace("finished,,1.0", "finished,,0.5", 1))
    failing = command("check", tiny_study)
    assert failing.returncode == 1
    assert "FAIL runs.csv" in failing.stdout


def test_plot_draws_the_figures_again_from_the_tables_alone(tiny_study: Path, command: Command) -> None:
    draw_runs(StudyFolder.open(tiny_study))
    before = {path.name: path.read_bytes() for path in (tiny_study / "figures").iterdir()}
    for path in (tiny_study / "figures").iterdir():
        path.unlink()
    for path in (tiny_study / "trainings").rglob("*.parquet"):
        path.unlink()
    names = [name for name in before if name.endswith(".svg")]
    done = command("plot", tiny_study, "--format", "svg", *(f"--only={name[:-4]}" for name in names))
    assert done.returncode == 0
    drawn = {path.name: path.read_bytes() for path in (tiny_study / "figures").iterdir()}
    assert drawn == {name: before[name] for name in names}
    assert "accuracy_over_time.svg" in done.stdout


def test_plot_for_print(tiny_study: Path, tmp_path: Path, command: Command) -> None:
    there = tmp_path / "for print"
    done = command(
        *("plot", tiny_study, "--format=pdf", "--width=3.3in", "--only=frontier", "--output", there)
    )
    assert done.returncode == 0
    assert done.stdout.strip() == str(there / "frontier.pdf")
    assert (there / "frontier.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--format=svgz", 'no format "svgz"; did you mean "svg"? allowed: pdf, png, svg'),
        ("--width=3.3", "'3.3' has no unit; write for example '3.3 in'"),
        ("--only=gant", 'there is no figure "gant"; did you mean "gantt"? there are: '),
    ],
)
def test_plot_says_what_is_allowed(option: str, told: str, tiny_study: Path, command: Command) -> None:
    done = command("plot", tiny_study, option)
    assert done.returncode == 2
    assert told in done.stderr


def test_list_names_everything_with_its_parameters(command: Command) -> None:
    done = command("list")
    for name in ("identity", "ms", "sparsity = 0.99", "cnn", "medium (2)", "fashion-mini", "npz", "splitfed"):
        assert name in done.stdout
    for name in ("atlas-200-dk", "rtx-3090", "raspberry-pi-4"):
        assert name in done.stdout
    devices = command("list", "devices").stdout
    assert "rtx-3090" in devices
    assert "splitfed" not in devices


def test_schema_prints_a_json_schema(command: Command) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(command("schema").stdout))


@pytest.mark.parametrize("name", ["run", "replay"])
def test_help_says_how_a_sweep_is_set(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"}).output
    words = " ".join(shown.replace("│", " ").split())
    assert "Several values are a sweep over them: KEY=A,B,C, the key again, or a range" in words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "none.toml"), "none.toml: cannot be read: No such file"),
        (("check", "none"), "none is no study"),
        (("plot", "none"), "none is no study"),
        (("replay", "none", "--set", "network.uplink=1 Mbps"), "none is no study"),
        (("replay", "none", "--set", "network.uplink"), "is not KEY=VALUE"),
        (("list", "codecz"), "Invalid value"),
        (("run", "none.toml", "--fresh", "--only", "1"), "for --only: does not go with --fresh"),
        (("run", "none.toml", "--fresh", "--any-version"), "for --any-version: does not go with --fresh"),
        (("rum",), "No such command 'rum'"),
    ],
)
def test_bad_input_is_one_clear_error(
    arguments: tuple[str, ...], words: str, tmp_path: Path, command: Command
) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


IMPORTS = """
import sys
from slsim import cli
for arguments in {commands!r}:
    sys.argv = ["slsim", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        print("EXIT", end.code)
    heavy = {{"torch", "pandas", "matplotlib", "pyarrow"}} & set(sys.modules)
    print("IMPORTED", *arguments, *sorted(heavy))
"""


def imported(*commands: list[str], cwd: Path) -> list[str]:
    """What `commands` had imported when they were through, one after another in a process: a line each, which
    begins with the command."""
    script = IMPORTS.format(commands=commands)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=cwd, check=True, timeout=120
    )
    lines = done.stdout.splitlines()
    assert sum(line.startswith("EXIT") for line in lines) == len(commands)
    return [line.removeprefix("IMPORTED ") for line in lines if line.startswith("IMPORTED ")]


def test_quick_answers_import_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text('name = "bad"\n[network]\nuplink = "100"\n')
    commands = [["--help"], ["list", "codecs"], ["list"], ["schema"], ["run", "bad.toml"]]
    assert imported(*commands, cwd=tmp_path) == [" ".join(command) for command in commands]


def test_a_replay_imports_no_torch(tiny_study: Path) -> None:
    (line,) = imported(["replay", "tiny", "--set", "network.uplink=1 Mbps"], cwd=tiny_study.parent)
    assert "pandas" in line
    assert "torch" not in line


def test_the_version_says_which_code(command: Command) -> None:
    done = command("--version")
    assert done.returncode == 0
    assert re.fullmatch(rf"slsim {re.escape(slsim.__version__)} \(code [0-9a-f]{{8}}\)\n", done.stdout)
