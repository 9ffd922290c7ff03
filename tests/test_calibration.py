"""Calibration: what is measured becomes a file, the file a device, and the device's seconds add up."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from typer.testing import CliRunner

from slsim import calibration, cli, codecs
from slsim.calibration import Request, calibrate, codec_choices, model_table
from slsim.circumstances import processor_name
from slsim.devices import Measured, Work, measured
from slsim.errors import DataError, FaultsError, ScenarioError, SlsimError
from slsim.learning import models
from slsim.scenario import Scenario, plan, run_labels

TINY = {"image_shape": (1, 8, 8), "classes": 4, "batch_size": 5, "repeats": 3}


def ticking(*steps_s: float) -> Callable[[], float]:
    """A clock whose successive readings lie `steps_s` apart, over and over."""
    readings = itertools.accumulate(itertools.cycle(steps_s), initial=0.0)
    return lambda: next(readings)


@pytest.fixture(scope="module")
def device() -> Measured:
    """A tiny network on a clock that ticks a millisecond at each reading: every span takes that long."""
    asked = Request(model_table("mlp", "shallow", {"hidden": 8}), codec_choices(["ms", "identity"]), **TINY)
    return calibrate(asked, ticking(1e-3))


@pytest.fixture
def file(device: Measured, tmp_path: Path) -> Path:
    measured.save(device, tmp_path / "laptop.toml")
    return tmp_path / "laptop.toml"


def test_a_sample_costs_its_share_of_the_batch_and_an_element_its_share_of_the_message(
    device: Measured,
) -> None:
    halves = (device.client_forward, device.client_backward, device.server_forward, device.server_backward)
    assert [half.seconds for half in halves] == pytest.approx([1e-3 / 5] * 4)  # a batch of 5
    assert [half.spread for half in halves] == pytest.approx([0] * 4, abs=1e-12)
    assert device.client_forward.flops == 2 * 64 * 8
    for took in device.codecs.values():
        assert (took.encode, took.decode) == pytest.approx((1e-3 / (5 * 8),) * 2)  # 5 samples of 8 elements


def test_each_part_is_timed_by_its_own_span() -> None:
    """Four spans and a pause between two repeats, all unlike."""
    asked = Request(model_table("mlp", "shallow", {"hidden": 8}), (), **TINY)
    device = calibrate(asked, ticking(1e-3, 2e-3, 3e-3, 4e-3, 50e-3))
    halves = (device.client_forward, device.server_forward, device.server_backward, device.client_backward)
    assert [half.seconds * 5 for half in halves] == pytest.approx([1e-3, 2e-3, 3e-3, 4e-3])


def test_unsteady_times_are_named(device: Measured) -> None:
    assert calibration.unsteady(device) == []
    shaky = device.client_forward.model_copy(update={"spread": 0.3 * device.client_forward.seconds})
    slow = device.codecs["ms"].model_copy(update={"decode_spread": 1.0})
    changed = {"client_forward": shaky, "codecs": {"ms": slow}}
    assert calibration.unsteady(device.model_copy(update=changed)) == ["client forward", "ms decode"]


def test_the_median_is_told_and_the_quartiles_distance() -> None:
    assert calibration._median_and_spread(np.array([5e-3, 1e-3, 2e-3, 3e-3, 90e-3])) == ("3 ms", "3 ms")


@pytest.mark.parametrize("name", models.registry.names())
def test_every_registered_model_can_be_measured(name: str) -> None:
    entry = models.registry.entry(name)
    cut = next(iter(entry.cls.cuts))
    device = calibrate(Request(model_table(name, cut, {}), (), batch_size=2, repeats=1))
    work = Work.of("server backward", flops=3 * device.server_backward.flops, samples=3)
    assert device.seconds(work) == pytest.approx([3 * device.server_backward.seconds])


def test_every_registered_codec_is_measured_unless_some_are_named() -> None:
    assert [choice.name for choice in codec_choices([])] == codecs.registry.names()
    assert [choice.name for choice in codec_choices([{"name": "qu", "bits": 5}])] == ["qu"]


def test_the_file_gives_the_device_back_and_its_seconds_add_up(device: Measured, file: Path) -> None:
    again = Measured.model_validate(measured.read(file))
    assert again == device
    samples, elements = 10, 10 * 8
    works = (
        Work.of("client forward", flops=samples * 2 * 64 * 8, samples=samples),
        Work.of("encode", elements=elements, codec="ms"),
        Work.of("decode", elements=elements, codec="identity"),
        Work.of("client backward", flops=samples * device.client_backward.flops, samples=samples),
    )
    seconds = [again.seconds(work).item() for work in works]
    assert seconds == pytest.approx([2e-3] * 4)  # twice the batch that took 1 ms each


def test_the_file_says_what_was_measured_in_text_that_a_reader_understands(file: Path) -> None:
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    assert content["format"] == 1
    assert content["model"] == {"name": "mlp", "hidden": 8, "cut": "shallow"}
    assert content["client_forward"]["seconds"] == "200 us"
    assert content["codecs"]["ms"]["encode"] == "25 us"
    assert content["codecs"]["ms"]["parameters"]["sparsity"] == 0.99
    about = content["measured"]
    assert (about["batch_size"], about["image_shape"], about["classes"]) == (5, [1, 8, 8], 4)
    assert about.keys() >= {"date", "processor", "threads", "torch", "slsim", "repeats"}


@pytest.mark.parametrize("seconds", [0.0, 9.651e-11, 2.083e-10, 1e-9, 1.234e-6, 0.05247, 1.5])
def test_a_time_is_read_as_it_was_written(seconds: float) -> None:
    text = measured._written(seconds)
    assert measured.DURATION.parse(text) == seconds
    assert seconds == 0 or seconds >= 1 or text.endswith(("ns", "us", "ms"))


def test_many_turns_at_once(device: Measured) -> None:
    samples = np.array([5.0, 10.0])
    seconds = device.seconds(Work.of("client forward", flops=samples * 1024, samples=samples))
    assert seconds == pytest.approx([1e-3, 2e-3])


def test_other_images_than_the_measured_ones_are_an_error(device: Measured) -> None:
    with pytest.raises(FaultsError, match="measured on images of 1×8×8 with 4 classes, 1,024 FLOPs a sample"):
        device.seconds(Work.of("client forward", flops=10 * 2048, samples=10))


def test_an_unmeasured_codec_is_an_error(device: Measured) -> None:
    with pytest.raises(FaultsError, match='no times for the codec "qu", only for: identity, ms'):
        device.seconds(Work.of("encode", elements=10, codec="qu"))


def test_a_head_on_the_client_was_not_measured(device: Measured) -> None:
    message = "was not measured for head forward; use a rated device, or one that is timed"
    head = {"head forward": MODEL, "client forward": MODEL}
    assert [fault.message for fault in device.faults(head)] == [message]
    with pytest.raises(FaultsError, match=message):
        device.seconds(Work.of("head forward", flops=10, samples=10))


def test_a_server_half_without_its_head_was_not_measured(device: Measured) -> None:
    """What a client computes below the first cut is the same with a head and without."""
    cut_twice = {"name": "mlp", "hidden": 8, "cut": 1, "head_cut": 2}
    assert device.faults({"client forward": cut_twice, "client backward": cut_twice}) == []
    (fault,) = device.faults({"server forward": cut_twice, "server backward": cut_twice})
    assert "with a head on the server" in fault.message


MODEL = {"name": "mlp", "hidden": 8, "cut": "shallow"}
MS, IDENTITY = codec_choices(["ms", "identity"])


@pytest.mark.parametrize(
    ("model", "encode", "message"),
    [
        (MODEL, MS.table(), None),
        (MODEL | {"cut": 1}, MS.table(), None),  # the same cut by its number
        (MODEL, MS.table() | {"bits": 3}, None),
        (
            MODEL | {"cut": "deep"},
            MS.table(),
            "measured with mlp (hidden = 8) cut at shallow, the scenario has",
        ),
        (MODEL | {"hidden": 9}, MS.table(), "calibrate --model mlp --cut shallow --set hidden=9` measures"),
        (
            {"name": "cnn", "channels": 16, "cut": "medium"},
            MS.table(),
            "has cnn (channels = 16) cut at medium",
        ),
        (MODEL, {"name": "qu", "bits": 3}, 'no times for the codec "qu", only for: identity, ms'),
        (
            MODEL,
            MS.table() | {"lossless": "zstd"},
            "with no lossless stage behind it, the scenario has zstd 1",
        ),
        (MODEL, MS.table() | {"lossless": "context"}, "the scenario has context"),
    ],
)
def test_another_model_cut_or_codec_is_a_fault(
    device: Measured, model: dict[str, Any], encode: dict[str, Any], message: str | None
) -> None:
    duties = {
        "client forward": model,
        "client backward": model,
        "encode": encode,
        "decode": {"name": "identity"},
    }
    faults = device.faults(duties)
    assert len(faults) == (message is not None)
    assert message is None or message in faults[0].message


def scenario(folder: Path, server: Any) -> Scenario:
    document = {
        "name": "calibrated",
        "data": {"name": "fashion-mini"},
        "model": {"name": "mlp", "cut": "shallow", "hidden": 8},
        "server": {"device": server},
    }
    return plan(document, "test.toml", folder).cases[0].scenario


@pytest.mark.parametrize("server", ["laptop.toml", {"name": "laptop.toml", "overhead": "1 ms"}])
def test_a_scenario_names_the_file_beside_it(device: Measured, file: Path, server: Any) -> None:
    chosen = scenario(file.parent, server).server.device
    assert chosen.name == "laptop.toml"
    assert chosen.create() == device.model_copy(
        update={"overhead": 0.0 if isinstance(server, str) else 0.001}
    )


def test_a_file_is_sought_in_the_working_directory_too(
    device: Measured, file: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    assert scenario(tmp_path_factory.mktemp("elsewhere"), "laptop.toml").server.device.create() == device


def test_a_resolved_scenario_needs_the_file_no_longer(device: Measured, file: Path) -> None:
    first = scenario(file.parent, "laptop.toml")
    file.unlink()
    resolved = tomllib.loads(tomli_w.dumps(first.table()))
    again = plan(resolved, "resolved.toml", file.parent).cases[0].scenario
    assert again == first
    assert again.server.device.create() == device


def test_a_swept_file_is_called_by_its_name(file: Path) -> None:
    document = scenario(file.parent, "laptop.toml").table()
    document["sweep"] = {"server.device": ["laptop.toml", "a100"]}
    assert run_labels(plan(document, "test.toml", file.parent).cases) == [
        "identity, device laptop.toml",
        "identity, device a100",
    ]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda c: c.pop("client_backward"), "client_backward: missing; this key is required"),
        (lambda c: c["client_forward"].update(seconds=0.2), "client_forward.seconds: 0.2 has no unit"),
        (
            lambda c: c["client_forward"].update(seconds="-1 s"),
            "client_forward.seconds: '-1 s': a duration must",
        ),
        (lambda c: c["codecs"]["ms"].pop("decode"), "codecs.ms.decode: missing"),
        (
            lambda c: c["codecs"]["ms"].update(encod="1 s"),
            'codecs.ms.encod: unknown key; did you mean "encode"',
        ),
        (lambda c: c["model"].pop("cut"), "model: must have the model's name and its cut"),
        (lambda c: c.update(format=2), "is no device file of format 1, it says format 2"),
        (lambda c: c.pop("format"), "is no device file of format 1, it says no format"),
        (lambda c: c.update(codecs=3), "codecs: input should be a valid dictionary, found 3"),
        (lambda c: c["measured"].update(image_shape=[1]), "measured.image_shape"),
    ],
)
def test_a_wrong_file_is_told_by_file_and_key(
    file: Path, change: Callable[[dict[str, Any]], Any], fault: str
) -> None:
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(tomli_w.dumps(content), encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        scenario(file.parent, "laptop.toml")
    assert {found.path for found in caught.value.faults} == {"server.device"}
    assert str(file) in str(caught.value)
    assert fault in str(caught.value)


def test_every_fault_of_a_file_is_told(file: Path) -> None:
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    content["client_forward"] = {"seconds": "3", "spread": "1 ms", "flops": -1}
    content["extra"] = 1
    file.write_text(tomli_w.dumps(content), encoding="utf-8")
    with pytest.raises(FaultsError) as caught:
        measured.read(file)
    assert len(caught.value.faults) == 3


@pytest.mark.parametrize("text", [b"format = ", b"\xff\xfe", b""])
def test_a_damaged_file_is_an_error(file: Path, text: bytes) -> None:
    file.write_bytes(text)
    with pytest.raises(FaultsError, match="laptop.toml is no"):
        measured.read(file)


def test_a_missing_file_is_an_error_that_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="gone.toml: cannot be read .* `slsim calibrate --output` writes"):
        scenario(tmp_path, "gone.toml")


def test_an_interrupted_writing_leaves_the_old_file(
    device: Measured, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file.read_bytes()

    def interrupted(content: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(tomli_w, "dumps", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measured.save(device, file)
    assert [path.name for path in file.parent.iterdir()] == ["laptop.toml"]
    assert file.read_bytes() == before


def test_a_folder_that_is_not_there_is_an_error(device: Measured, tmp_path: Path) -> None:
    with pytest.raises(FaultsError, match="cannot be written: No such file"):
        measured.save(device, tmp_path / "none" / "laptop.toml")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("laptop.json", "must end in .toml"),
        ("none/laptop.toml", "there is no folder"),
        ("scenario.toml", "is there already and no device file"),
    ],
)
def test_no_other_file_is_overwritten(file: Path, name: str, message: str) -> None:
    (file.parent / "scenario.toml").write_text('name = "mine"\n', encoding="utf-8")
    with pytest.raises(FaultsError, match=message):
        calibration.writable(file.parent / name)
    assert calibration.writable(file) == file


@pytest.mark.parametrize("text", ["3x32", "3x32x32x1", "3x32xa", "0x32x32", "3 32 32", "x3x32x32", ""])
def test_an_image_shape_has_three_sides(text: str) -> None:
    assert calibration.image_shape("3x32x64") == (3, 32, 64)
    with pytest.raises(DataError, match="is not channels x height x width"):
        calibration.image_shape(text)


def test_wrong_requests_are_told() -> None:
    with pytest.raises(SlsimError, match='--model: .*there is no model "cn"; did you mean "cnn"'):
        model_table("cn", "medium", {})
    with pytest.raises(SlsimError, match="no such cut: 'middle'; there are: shallow"):
        model_table("cnn", "middle", {})
    with pytest.raises(SlsimError, match='--codec: there is no codec "mss"; did you mean "ms"'):
        codec_choices(["mss"])
    with pytest.raises(SlsimError, match='"ms" is given twice'):
        codec_choices(["ms", {"name": "ms", "bits": 3}])


def test_a_processor_has_a_name(tmp_path: Path) -> None:
    (tmp_path / "pc").write_text("processor\t: 0\nmodel\t\t: 33\nmodel name\t: Ryzen 7\n", encoding="utf-8")
    (tmp_path / "pi").write_text("processor : 0\n\nModel : Raspberry Pi 5\n", encoding="utf-8")
    assert processor_name(tmp_path / "pc") == "Ryzen 7"
    assert processor_name(tmp_path / "pi") == "Raspberry Pi 5"
    assert processor_name(tmp_path / "none")


def test_the_command_writes_the_file_and_prints_what_is_in_it(tmp_path: Path) -> None:
    options = (
        "--model mlp --cut deep --set hidden=8 --image-shape 1x8x8 --classes 4 --batch-size 2 --repeats 1"
    )
    chosen = ["--codec", "ms", "--codec", '{ name = "qu", bits = 5 }', "--output", str(tmp_path / "it.toml")]
    done = CliRunner().invoke(cli.app, ["calibrate", *options.split(), *chosen])
    assert done.exit_code == 0, done.output
    for text in (
        "mlp cut at deep",
        "client forward",
        "server backward",
        "MS (99 %, 2 bits)",
        "QU (5 bits)",
        "it.toml",
    ):
        assert text in done.output
    content = measured.read(tmp_path / "it.toml")
    assert content["model"] == {"name": "mlp", "hidden": 8, "cut": "deep"}
    assert content["codecs"].keys() == {"ms", "qu"}
