"""Scenario files: what they default to, what they refuse and how they say it, and how sweeps unfold."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tomli_w

from slsim import codecs
from slsim.errors import ScenarioError
from slsim.scenario import Augmentation, Partition, Plan, Scenario, load, override, plan
from slsim.scenario.schema import json_schema

MINIMAL: dict[str, Any] = {
    "name": "minimal",
    "data": {"name": "fashion-mini"},
    "model": {"name": "cnn", "cut": "medium"},
}
U_SHAPED: dict[str, Any] = {
    "model": {"name": "cnn", "cut": "shallow", "head_cut": 4},
    "training": {"protocol": "u-shaped"},
}
HALVES = [{"rate": "5 Mbps", "share": 0.5}, {"rate": "100 Mbps", "share": 0.5}]
SCENARIOS = Path(__file__).parents[2] / "scenarios"


def planned(document: dict[str, Any]) -> Plan:
    return plan(document, "test.toml", Path())


def faults(document: dict[str, Any]) -> dict[str, str]:
    """Path → message of every fault of `document`."""
    with pytest.raises(ScenarioError) as error:
        planned(document)
    return {fault.path: fault.message for fault in error.value.faults}


def with_table(**tables: dict[str, Any]) -> dict[str, Any]:
    return {**MINIMAL, **tables}


def test_defaults_are_the_papers_setting() -> None:
    (case,) = planned(MINIMAL).cases
    scenario = case.scenario
    assert (scenario.clients.count, scenario.network.uplink, scenario.network.downlink) == (10, 100e6, 100e6)
    assert scenario.clients.device[0].device.name == "atlas-200-dk"
    assert scenario.server.device.name == "rtx-3090"
    assert scenario.codec.uplink.table() == {"name": "identity"}
    assert scenario.training.protocol.name == "splitfed"
    assert scenario.training.target_margin == 0.0


def test_a_resolved_scenario_is_the_same_scenario_again() -> None:
    for case in load(SCENARIOS / "quickstart.toml").cases:
        text = tomli_w.dumps(case.scenario.table())
        assert Scenario.model_validate(tomllib.loads(text)) == case.scenario


def test_a_resolved_document_has_the_same_cases_again() -> None:
    first = load(SCENARIOS / "quickstart.toml")
    again = planned(tomllib.loads(tomli_w.dumps(first.document())))
    assert again == first


def test_scenarios_are_frozen() -> None:
    scenario = planned(MINIMAL).cases[0].scenario
    with pytest.raises(ValueError, match="frozen"):
        scenario.seed = 3  # type: ignore[misc]


def test_a_partition_by_power_law_and_an_augmentation_are_kept_as_written() -> None:
    data = {**MINIMAL["data"], "partition": {"power_law": 1.2}, "augment": {"crop": 4}}
    (case,) = planned(with_table(data=data)).cases
    assert case.scenario.data.partition == Partition("power_law", 1.2)
    assert case.scenario.data.augment == Augmentation(crop=4, flip=False)
    assert case.scenario.table()["data"] == {**data, "augment": {"crop": 4, "flip": False}}
    assert "augment" in case.scenario.learning_table()["data"]


def test_a_partition_by_groups_is_kept_as_written() -> None:
    (case,) = planned(with_table(data={**MINIMAL["data"], "partition": {"by": "writer"}})).cases
    assert case.scenario.data.partition == Partition("by", "writer")
    assert case.scenario.table()["data"]["partition"] == {"by": "writer"}


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"data": {"name": "npz", "path": "mine"}}, "path"),
        ({"data": {"name": "folder", "root": "mine"}}, "root"),
        ({"model": {"name": "resnet18", "cut": 2, "weights": "mine"}}, "weights"),
    ],
)
def test_files_are_sought_beside_the_scenario_and_then_in_the_working_directory(
    table: dict[str, Any], key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, scenarios = tmp_path / "work", tmp_path / "scenarios"
    work.mkdir()
    scenarios.mkdir()
    monkeypatch.chdir(work)

    def found(folder: Path) -> object:
        scenario = plan(with_table(**table), "test.toml", folder).cases[0].scenario
        return scenario.table()[next(iter(table))][key]

    assert found(scenarios) == "mine"  # nowhere: what it says is missing is told when it is read
    (work / "mine").touch()
    assert found(scenarios) == "mine"  # as it is named, so that the training is the same as before
    (scenarios / "mine").touch()
    assert found(scenarios) == str(scenarios / "mine")
    assert found(Path("../scenarios")) == str(scenarios / "mine")
    assert found(work) == found(Path()) == "mine"


@pytest.mark.parametrize(("path", "reason"), [("a\0b", "holds a NUL character"), ("a" * 5000, "too long")])
def test_what_can_be_no_path_is_one_fault(path: str, reason: str) -> None:
    with pytest.raises(ScenarioError, match=rf"(?s)data\.path: .*{reason}"):
        planned(with_table(data={"name": "npz", "path": path}))
    with pytest.raises(ScenarioError, match=rf"(?s)data.*: .*{reason}"):
        planned(with_table(data={"name": f"{path}.py:Own"}))


LEAKAGE, THEORY = {"name": "leakage", "samples": 256, "every": 1}, {"name": "theory", "draws": 64, "every": 1}


@pytest.mark.parametrize(
    ("written", "hooks"),
    [
        ("leakage", [LEAKAGE]),
        ({"name": "theory", "every": 10}, [THEORY | {"every": 10}]),
        (["leakage", {"name": "theory", "draws": 8}], [LEAKAGE, THEORY | {"draws": 8}]),
        ([], []),
    ],
    ids=["a name", "a table", "a list", "none"],
)
def test_hooks_are_a_list_without_which_one_may_stand(written: object, hooks: list[dict[str, Any]]) -> None:
    document = with_table(training={"hooks": written})
    (case,) = planned(document).cases
    assert case.scenario.table()["training"]["hooks"] == hooks
    assert planned(case.scenario.table()).cases[0].scenario == case.scenario
    assert case.scenario.learning_table()["training"]["hooks"] == hooks
    jsonschema.Draft202012Validator(json_schema()).validate(document)


def test_probes_as_up_to_version_0_1_are_the_hook_theory() -> None:
    probes, theory = {"every": 30, "draws": 8}, {"name": "theory", "every": 30, "draws": 8}
    alone, beside = {"probes": probes}, {"probes": probes, "hooks": "leakage"}
    assert planned(with_table(training=alone)) == planned(with_table(training={"hooks": theory}))
    both = with_table(training={"hooks": ["leakage", theory]})
    assert planned(with_table(training=beside)) == planned(both)
    swept = planned(with_table(training=alone) | {"sweep": {"training.probes.draws": [16, 32]}})
    assert [case.scenario.training.hooks[0].params["draws"] for case in swept.cases] == [16, 32]
    set_ = override(MINIMAL, {"training.probes": probes})
    assert planned(set_) == planned(with_table(training={"hooks": theory}))
    for table in (alone, beside):
        jsonschema.Draft202012Validator(json_schema()).validate(with_table(training=table))


OWN_HOOK = '''
from slsim.learning.hooks import Hook
class Own(Hook):
    """My own."""
    depth: int = 3
    def measure(self, look):
        yield "activations", "mean", float(look.activations.mean())
'''


def test_a_hook_of_ones_own_is_sought_beside_the_scenario(
    tmp_path: Path, write: Callable[[dict[str, Any]], Path]
) -> None:
    (tmp_path / "own.py").write_text(OWN_HOOK)
    for written in ("own.py:Own", ["leakage", {"name": "own.py:Own", "every": 5}]):
        document = with_table(training={"hooks": written, "protocol": "fedavg"})
        (case,) = load(write(document)).cases
        assert case.scenario.training.hooks[-1].name == f"{tmp_path / 'own.py'}:Own"
        assert case.scenario.training.hooks[-1].params["depth"] == 3
        jsonschema.Draft202012Validator(json_schema()).validate(document)


def test_gradients_are_averaged_free_of_charge_unless_asked_for() -> None:
    assert planned(MINIMAL).cases[0].scenario.training.aggregation == "free"
    free = planned(MINIMAL).cases[0].scenario.learning_table()
    for aggregation in ("server", "all-reduce"):
        (case,) = planned(with_table(training={"aggregation": aggregation})).cases
        assert case.scenario.table()["training"]["aggregation"] == aggregation
        assert case.scenario.learning_table() != free
    training = U_SHAPED["training"] | {"aggregation": "server"}
    assert planned(with_table(**U_SHAPED | {"training": training})).cases


def test_a_model_may_be_cut_twice_and_what_crosses_there_has_codecs_of_its_own() -> None:
    (plain,) = planned(with_table(**U_SHAPED)).cases
    assert "head_uplink" not in plain.scenario.table()["codec"]
    assert {codec.name for codec in plain.scenario.codec.choices().values()} == {"identity"}
    codec = {"uplink": "ms", "head_downlink": {"name": "qu", "bits": 4}, "head_uplink": "sp"}
    (case,) = planned(with_table(**U_SHAPED, codec=codec)).cases
    names = {key: choice.name for key, choice in case.scenario.codec.choices().items()}
    of_head = {"head_downlink": "qu", "head_uplink": "sp"}
    assert names == {"uplink": "ms", "downlink": "identity", "weights": "identity", **of_head}
    assert case.scenario.model.head_cut == 4
    assert planned(case.scenario.table()).cases[0].scenario == case.scenario
    assert case.scenario.baseline() == plain.scenario
    jsonschema.Draft202012Validator(json_schema()).validate(case.scenario.table())


def test_a_codec_of_a_head_that_is_identity_is_the_one_that_is_left_out() -> None:
    codec = {"head_downlink": "identity", "head_uplink": {"name": "identity"}}
    named = planned(with_table(**U_SHAPED, codec=codec)).cases[0].scenario
    assert named.learning_table() == named.baseline().learning_table()


def test_devices_must_know_the_times_of_a_head_and_of_its_codecs() -> None:
    times = dict.fromkeys(("client_forward", "client_backward", "encode", "decode"), "1 ms")
    clients = {"device": {"name": "timed", **times}}
    assert planned(with_table(clients=clients)).cases
    with pytest.raises(ScenarioError) as error:
        planned(with_table(**U_SHAPED, clients=clients))
    found = [(fault.path, fault.message.partition(";")[0]) for fault in error.value.faults]
    ways = ("forward", "backward")
    assert found == [("clients.device", f'the device "timed" has no time for head {way}') for way in ways]
    head = {f"head_{way}": "1 ms" for way in ways}
    assert planned(with_table(**U_SHAPED, clients={"device": {"name": "timed", **times, **head}})).cases


def test_nothing_is_augmented_unless_asked_for() -> None:
    scenario = planned(MINIMAL).cases[0].scenario
    assert scenario.data.augment is None
    assert "augment" not in scenario.learning_table()["data"]  # recordings from before stay valid


def test_an_augmentation_can_be_swept() -> None:
    document = with_table(data={**MINIMAL["data"], "augment": {"flip": True}})
    document["sweep"] = {"data.augment.crop": [2, 4]}
    assert [case.scenario.data.augment for case in planned(document).cases] == [
        Augmentation(crop=2, flip=True),
        Augmentation(crop=4, flip=True),
    ]


@pytest.mark.parametrize(
    ("data", "valid"),
    [
        ({"partition": {"power_law": 1.2}}, True),
        ({"partition": {"power_law": 0}}, False),
        ({"partition": {"shards": 2, "dirichlet": 1}}, False),
        ({"partition": {"by": "writer"}}, True),
        ({"partition": {"by": ""}}, False),
        ({"partition": {"by": 3}}, False),
        ({"partition": {}}, False),
        ({"augment": {"crop": 4, "flip": True}}, True),
        ({"augment": {"crop": 4, "flop": True}}, False),
        ({"name": "cifar10", "download": True}, True),
        ({"name": "imagenet"}, False),  # without root
        ({"name": "folder", "root": "images", "size": 32}, True),
    ],
)
def test_the_schema_knows_partitions_augmentations_and_data_sets(data: dict[str, Any], valid: bool) -> None:
    document = with_table(data={**MINIMAL["data"], **data})
    assert jsonschema.Draft202012Validator(json_schema()).is_valid(document) == valid


def test_four_faults_give_four_lines_with_paths() -> None:
    document = with_table(
        model={"name": "cnn", "cut": "middle"},
        network={"uplnk": "10 Mbps", "downlink": "100"},
        codec={"uplink": {"name": "mss"}},
    )
    with pytest.raises(ScenarioError) as error:
        planned(document)
    lines = str(error.value).splitlines()
    assert len(lines) == 4
    assert all(line.startswith("test.toml: ") for line in lines)
    found = {fault.path: fault.message for fault in error.value.faults}
    assert 'did you mean "uplink"? allowed: uplink, downlink, latency, sharing' in found["network.uplnk"]
    assert "'100' has no unit; write for example '100 Mbps'" in found["network.downlink"]
    names = ", ".join(codecs.registry.names())
    assert f'did you mean "ms"? there are: {names}' in found["codec.uplink"]
    cuts = "there are: shallow (1), medium (2), deep (3), conv 1 to 3, or a layer from 1 to 4"
    assert cuts in found["model.cut"]


@pytest.mark.parametrize(
    ("tables", "path", "words"),
    [
        ({"clints": {"count": 3}}, "clints", 'did you mean "clients"?'),
        ({"clients": {"count": 0}}, "clients.count", "greater than or equal to 1, found 0"),
        ({"clients": {"count": "ten"}}, "clients.count", "found 'ten'"),
        ({"clients": {"device": "atlas"}}, "clients.device", 'did you mean "atlas-200-dk"?'),
        ({"clients": {"device": [{"device": "rtx-3090", "share": 0.5}]}}, "clients.device", "add up to 0.5"),
        ({"server": {"device": {"name": "rtx-3090", "peak": 3}}}, "server.device.peak", "3 has no unit"),
        (
            {"server": {"device": {"name": "rtx-3090", "peek": 3}}},
            "server.device.peek",
            'did you mean "peak"?',
        ),
        ({"network": {"latency": "-1 ms"}}, "network.latency", "at least 0"),
        ({"network": {"uplink": "0 Mbps"}}, "network.uplink", "more than 0"),
        ({"network": {"uplink": "3 Mbsp"}}, "network.uplink", 'did you mean "Mbps"?'),
        ({"network": {"uplink": "3 mb/s"}}, "network.uplink", "write 'Mbit/s' or 'MB/s' (8 times as much)"),
        ({"network": {"uplink": "1e-308 bps"}}, "network.uplink", "from 1 bps to 1000 Tbps"),
        ({"network": {"uplink": "1e999999 Mbps"}}, "network.uplink", "from 1 bps to 1000 Tbps"),
        ({"network": {"latency": "2 h"}}, "network.latency", "must be at most 1 h, found 2 h"),
        ({"network": {"sharing": "half"}}, "network.sharing", "'dedicated', 'shared' or 'fifo'"),
        ({"network": {"uplink": 5e6}}, "network.uplink", "5000000.0 has no unit"),
        ({"network": {"uplink": []}}, "network.uplink", "[] is not a bandwidth"),
        ({"network": {"uplink": {"rate": "0 bps"}}}, "network.uplink.rate", "more than 0"),
        ({"network": {"uplink": {"rat": "1 bps"}}}, "network.uplink.rat", 'did you mean "rate"?'),
        ({"network": {"uplink": {"share": 1.0}}}, "network.uplink", "either a rate or a trace"),
        ({"network": {"uplink": {"trace": "no.csv"}}}, "network.uplink", "no.csv cannot be read: No such"),
        ({"network": {"uplink": {"rate": "1 bps", "period": "1 s"}}}, "network.uplink", "are of a trace"),
        ({"network": {"uplink": [{"rate": "1 bps", "share": 0.3}]}}, "network.uplink", "add up to 0.3"),
        (
            {"network": {"uplink": [{"rate": "1 bps", "share": 0.5}, {"rate": "1", "share": 0.5}]}},
            "network.uplink[1].rate",
            "'1' has no unit",
        ),
        (
            {"network": {"sharing": "shared", "uplink": HALVES}},
            "network",
            'classes of uplinks need sharing = "dedicated"',
        ),
        ({"network": {"medium": "0 Mbps"}}, "network.medium", "more than 0"),
        ({"network": {"access_points": {"rate": "1 bps"}}}, "network.access_points[0].count", "missing"),
        (
            {"network": {"access_points": [{"count": 0, "rate": "1 bps"}]}},
            "network.access_points[0].count",
            "greater than or equal to 1",
        ),
        ({"network": {"transport": "quic"}}, "network.transport", "there are: fluid, tcp"),
        ({"network": {"transport": {"name": "tcp", "window": 0}}}, "network.transport.window", "equal to 1"),
        ({"network": {"framing": {"segment": 0}}}, "network.framing.segment", "equal to 1"),
        ({"network": {"framing": "some"}}, "network.framing", "found 'some'"),
        ({"network": {"burst": "-1 kB"}}, "network.burst", "at least 0"),
        ({"network": {"framing": {"header": 10**30}}}, "network.framing.header", "too large a number"),
        ({"network": {"framing": {"segment": 65_536}}}, "network.framing.segment", "or equal to 65535"),
        (
            {"network": {"access_points": {"count": 10**6, "rate": "1 bps"}}},
            "network.access_points[0].count",
            "less than or equal to 100000",
        ),
        ({"network": {"loss": 0.999999999999}}, "network.loss", "must be at most 0.1"),
        (
            {"network": {"jitter": {"spread": 0.5, "every": "1 ns"}}},
            "network.jitter",
            "every 1 ns each access link would be drawn 1,000,000,000 times a simulated second",
        ),
        ({"network": {"ingress": {"trace": "no.csv"}}}, "network.ingress", "no.csv cannot be read: No such"),
        ({"network": {"egress": {"trac": "no.csv"}}}, "network.egress.trac", 'did you mean "trace"?'),
        ({"network": {"medium": {}}}, "network.medium", "either a rate or a trace"),
        (
            {"network": {"access_points": {"count": 1, "rate": {"trace": "no.csv"}}}},
            "network.access_points[0].rate",
            "no.csv cannot be read",
        ),
        ({"network": {"uplink": {"trace": "a\0b"}}}, "network.uplink.trace", "NUL character"),
        ({"network": {"uplink": {"trace": "x" * 300}}}, "network.uplink", "File name too long"),
        (
            {"network": {"uplink": [{"rate": "1 Mbps", "share": 0.5}, {"rate": "2 Mbps"}]}},
            "network.uplink",
            "give each a share, or none (then all are equal); [1] has none",
        ),
        (
            {"clients": {"device": [{"device": "rtx-3090", "share": 0.3}, {"device": "atlas-200-dk"}]}},
            "clients.device",
            "give each a share, or none",
        ),
        ({"network": {"loss": 0.01, "latency": "0 s"}}, "network", "loss needs a latency above 0 s"),
        ({"network": {"jitter": {"spread": 1.0, "every": "1 s"}}}, "network.jitter.spread", "less than 1"),
        ({"network": {"jitter": {"spread": 0.5, "every": "0 s"}}}, "network.jitter", "more than 0 s"),
        ({"codec": {"uplink": {"bits": 2}}}, "codec.uplink.name", "missing"),
        ({"codec": {"uplink": {"name": "qu", "bits": 9}}}, "codec.uplink.bits", "less than or equal to 8"),
        ({"codec": {"uplink": {"name": "ms", "bit": 2}}}, "codec.uplink.bit", 'did you mean "bits"?'),
        ({"codec": {"uplink": 3}}, "codec.uplink", "a name or a table"),
        ({"training": {"protocol": "splitfeed"}}, "training.protocol", 'did you mean "splitfed"?'),
        ({"training": {"hooks": "leek"}}, "training.hooks[0]", 'no hook "leek"; there are: leakage, theory'),
        ({"training": {"hooks": 3}}, "training.hooks", "found 3"),
        ({"training": {"hooks": [3]}}, "training.hooks[0]", "a name or a table with a name, found 3"),
        ({"training": {"hooks": {"every": 2}}}, "training.hooks[0].name", "missing"),
        (
            {"training": {"hooks": ["leakage", {"name": "theory", "draws": 7}]}},
            "training.hooks[1].draws",
            "greater than or equal to 8, found 7",
        ),
        (
            {"training": {"hooks": {"name": "leakage", "evry": 2}}},
            "training.hooks[0].evry",
            'did you mean "every"? allowed: name, every, samples',
        ),
        (
            {"training": {"hooks": ["leakage", "theory"], "protocol": "fedavg"}},
            "training",
            "the hook theory 64 1 looks at rounds of one step from weights that all share, which fedavg 1",
        ),
        ({"training": {"probes": {"evry": 3}}}, "training.hooks[0].evry", 'did you mean "every"?'),
        ({"training": {"probes": {"every": 3}, "hooks": 3}}, "training.hooks", "found 3"),
        ({"training": {"probes": 3}}, "training.probes", "unknown key"),
        ({"training": {"aggregation": "ring"}}, "training.aggregation", "'free', 'server' or 'all-reduce'"),
        (
            {"training": {"aggregation": "server", "protocol": "fedavg"}},
            "training",
            "aggregation: fedavg 1 has clients send their weights, not their gradients",
        ),
        (
            {"training": {"aggregation": "server"}, "clients": {"per_round": 3}},
            "training.aggregation",
            "server needs every client in every round; leave clients.per_round out",
        ),
        (
            {"training": {"aggregation": "all-reduce"}, "network": {"medium": "1 Gbps"}},
            "training.aggregation",
            "all-reduce runs over the clients' own links; leave network.medium and network.access_points out",
        ),
        ({"training": {"target_accuracy": 85}}, "training.target_accuracy", "found 85"),
        ({"training": {"target_accuracy": "basline"}}, "training.target_accuracy", "found 'basline'"),
        ({"data": {"name": "cifar"}}, "data", "there are: cifar10, cifar100, fashion-mini, fashion-mnist"),
        ({"data": {"name": "npz"}}, "data.path", "missing"),
        (
            {"data": {"name": "npz", "path": "x", "pth": "x"}},
            "data.pth",
            'did you mean "path"? allowed: name, partition, augment, path',
        ),
        ({"data": {"name": "fashion-mini", "partition": {"dirichlet": 0}}}, "data.partition", "above 0"),
        ({"data": {"name": "fashion-mini", "partition": "non-iid"}}, "data.partition", "is no partition"),
        ({"data": {"name": "fashion-mini", "partition": {"by": ""}}}, "data.partition", "is no partition"),
        (
            {"data": {"name": "fashion-mini", "partition": {"dirichlet": 10**400}}},
            "data.partition.dirichlet",
            "too large a number",
        ),
        (
            {"data": {"name": "fashion-mini", "partition": {"power_law": 0}}},
            "data.partition",
            "power_law = 1.2",
        ),
        ({"data": {"name": "fashion-mini", "partition": {"dirichlet": True}}}, "data.partition", "is no"),
        ({"data": {"name": "fashion-mini", "partition": {"dirichlet": math.inf}}}, "data.partition", "is no"),
        (
            {"data": {"name": "fashion-mini", "partition": {"power_law": 1, "x": 1}}},
            "data.partition",
            "is no",
        ),
        ({"data": {"name": "fashion-mini", "augment": {"crops": 4}}}, "data.augment.crops", 'mean "crop"?'),
        (
            {"data": {"name": "fashion-mini", "augment": {"crop": 0}}},
            "data.augment.crop",
            "equal to 1, found 0",
        ),
        ({"data": {"name": "fashion-mini", "augment": {"flip": 1}}}, "data.augment.flip", "boolean, found 1"),
        ({"data": {"name": "fashion-mini", "augment": "flip"}}, "data.augment", "'flip'"),
        ({"data": {"name": "imagenet", "size": 0, "root": "x"}}, "data.size", "equal to 1, found 0"),
        ({"model": {"name": "cnn"}}, "model.cut", "missing"),
        ({"model": {"name": "cnn", "cut": 5}}, "model.cut", "no such cut: 5"),
        ({"model": {"name": "cnn", "cut": True}}, "model.cut", "found True"),
        ({"model": {"name": "vgg", "cut": 1}}, "model", "there are: cnn, mlp"),
        (
            {"model": {"name": "cnn", "cut": 1, "head_cut": 4}},
            "model.head_cut",
            "splitfed has no head on the clients; leave head_cut out",
        ),
        ({"training": {"protocol": "u-shaped"}}, "model.head_cut", "u-shaped needs a second cut"),
        (
            U_SHAPED | {"model": {"name": "cnn", "cut": 2, "head_cut": 2}},
            "model",
            "2 is not above the cut, 2",
        ),
        (
            U_SHAPED | {"model": {"name": "cnn", "cut": 2, "head_cut": 9}},
            "model.head_cut",
            "no such cut: 9; there are: shallow (1)",
        ),
        (U_SHAPED | {"model": {"name": "cnn", "cut": 2, "head_cut": True}}, "model.head_cut", "found True"),
        (U_SHAPED | {"codec": {"head_downlink": "mss"}}, "codec.head_downlink", 'did you mean "ms"?'),
        (
            U_SHAPED | {"codec": {"head_uplink": {"name": "qu", "bits": 9}}},
            "codec.head_uplink.bits",
            "less than or equal to 8, found 9",
        ),
        ({"model": {"name": "cnn", "cut": 1, "chanels": 3}}, "model.chanels", 'did you mean "channels"?'),
        ({"name": "../up"}, "name", "pattern"),
        ({"seed": -1}, "seed", "greater than or equal to 0"),
        ({"sweep": {"codec.uplink": []}}, 'sweep."codec.uplink"', "a list of one value or more"),
        ({"sweep": {"name": ["a", "b"]}}, 'sweep."name"', "one name"),
        ({"sweep": ["codec.uplink"]}, "sweep", "must be a table"),
        (
            {"sweep": {"codec.uplink.bits": [2, 4], "codec.uplink": ["qu", "ms"]}},
            'sweep."codec.uplink.bits"',
            "is swept too; write bits into the values of codec.uplink, or sweep over its keys instead",
        ),
        ({"data": 3}, "data", "must be a name or a table with a name, found 3"),
        ({"clients": 3}, "clients", "must be a table, found 3"),
        ({"model": "cnn"}, "model.cut", "missing; this key is required"),
        ({"data": "fashion-mimi"}, "data", 'did you mean "fashion-mini"?'),
    ],
)
def test_a_fault_names_its_path_what_was_found_and_what_is_allowed(
    tables: dict[str, Any], path: str, words: str
) -> None:
    found = faults(with_table(**tables))
    assert list(found) == [path]
    assert words in found[path]


def test_faults_of_a_swept_value_are_told_where_the_file_has_them() -> None:
    sweep = {"codec.uplink": ["identity", {"name": "ms", "bits": 99}], "network.uplink": ["1 Mbps", "10"]}
    found = faults({**MINIMAL, "sweep": sweep})
    assert list(found) == ['sweep."network.uplink"[1]', 'sweep."codec.uplink"[1].bits']


def test_a_sweep_runs_every_combination_in_the_files_order() -> None:
    sweep = {"codec.uplink": ["identity", "ms"], "network.uplink": ["1 Mbps", "10 Mbps", "1 Gbps"]}
    cases = planned({**MINIMAL, "sweep": sweep}).cases
    rates = [case.scenario.network.uplink for case in cases]
    assert rates == [1e6, 10e6, 1e9] * 2
    assert [case.scenario.codec.uplink.name for case in cases] == ["identity"] * 3 + ["ms"] * 3
    assert cases[3].values["codec.uplink"] == {
        "name": "ms",
        "sparsity": 0.99,
        "scope": "tensor",
        "bits": 2,
        "rounding": "floor",
    }


def test_a_required_key_may_come_from_the_sweep() -> None:
    document = {**MINIMAL, "model": {"name": "cnn"}, "sweep": {"model.cut": ["shallow", "deep"]}}
    assert [case.scenario.model.cut for case in planned(document).cases] == ["shallow", "deep"]


def test_a_parameter_of_a_component_can_be_swept() -> None:
    document = {**MINIMAL, "codec": {"uplink": "qu"}, "sweep": {"codec.uplink.bits": [2, 4]}}
    assert [case.scenario.codec.uplink.params["bits"] for case in planned(document).cases] == [2, 4]


def test_overrides_set_a_key_or_sweep_over_a_list_and_leave_the_document_alone() -> None:
    document = {**MINIMAL, "sweep": {"network.uplink": ["1 Mbps"]}}
    changed = override(document, {"network.uplink": "5 Mbps", "training.epochs": [1, 2]})
    cases = planned(changed).cases
    assert [(c.scenario.network.uplink, c.scenario.training.epochs) for c in cases] == [(5e6, 1), (5e6, 2)]
    assert document["sweep"] == {"network.uplink": ["1 Mbps"]}


def test_a_table_that_is_set_replaces_the_whole_table_and_what_was_swept_in_it() -> None:
    data = {"name": "fashion-mnist", "root": "here", "partition": {"shards": 2}, "augment": {"flip": True}}
    document = {**MINIMAL, "data": data, "sweep": {"data.augment.crop": [2, 4], "training.epochs": [1, 2]}}
    changed = override(document, {"data": {"name": "npz", "path": "subset.npz"}})
    assert changed["data"] == {"name": "npz", "path": "subset.npz"}
    assert changed["sweep"] == {"training.epochs": [1, 2]}
    table = planned(changed).cases[0].scenario.data
    assert (table.partition, table.augment) == (Partition("iid"), None)


@pytest.mark.parametrize("value", [4, [2, 4]])
def test_a_key_inside_what_is_swept_cannot_be_set(value: object) -> None:
    document = {**MINIMAL, "sweep": {"codec.uplink": ["qu", "ms"]}}
    with pytest.raises(ScenarioError) as error:
        override(document, {"codec.uplink.bits": value})
    assert str(error.value) == (
        "codec.uplink.bits: codec.uplink is swept, so nothing in it can be set; "
        "set codec.uplink itself, to one value or to a list of those to sweep over"
    )
    changed = override(document, {"codec.uplink": "qu", "codec.uplink.bits": value})
    assert {case.scenario.codec.uplink.name for case in planned(changed).cases} == {"qu"}


def test_data_may_be_named_alone() -> None:
    """As codecs, devices and protocols may; it is the table of the name and defaults."""
    short = {**MINIMAL, "data": "fashion-mini"}
    assert planned(short) == planned(MINIMAL)
    document = with_table(data={"name": "npz", "path": "x.npz", "partition": {"shards": 2}})
    assert planned(override(document, {"data": "fashion-mini"})) == planned(MINIMAL)
    swept = planned(override(document, {"data": ["fashion-mini", "cifar10"]}))
    assert [case.scenario.data.component.name for case in swept.cases] == ["fashion-mini", "cifar10"]


def test_an_unreadable_file_is_one_fault(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"none\.toml: cannot be read: No such file"):
        load(tmp_path / "none.toml")
    (tmp_path / "broken.toml").write_text("name = \n")
    with pytest.raises(ScenarioError, match=r"broken\.toml: is not TOML: .*line 1"):
        load(tmp_path / "broken.toml")


OWN_CODEC = '''
from slsim.codecs import Identity
class Own(Identity):
    """My own."""
'''


def test_a_component_from_a_file_is_sought_beside_the_scenario(
    tmp_path: Path, write: Callable[[dict[str, Any]], Path]
) -> None:
    (tmp_path / "own.py").write_text(OWN_CODEC)
    path = write(with_table(codec={"uplink": "own.py:Own"}))
    (case,) = load(path).cases
    assert case.scenario.codec.uplink.name == f"{tmp_path / 'own.py'}:Own"
    assert case.scenario.codec.uplink.label == "Own"


def test_what_is_learned_does_not_depend_on_links_devices_name_or_target() -> None:
    changes = with_table(
        network={"uplink": "1 Mbps"},
        server={"device": "raspberry-pi-4"},
        clients={"device": "raspberry-pi-4"},
        training={"target_accuracy": 0.5},
    )
    table = planned(MINIMAL).cases[0].scenario.learning_table()
    assert planned({**changes, "name": "other"}).cases[0].scenario.learning_table() == table
    assert planned({**MINIMAL, "seed": 1}).cases[0].scenario.learning_table() != table


def test_the_schema_accepts_the_scenarios_and_refuses_what_slsim_refuses() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    for path in sorted(SCENARIOS.glob("*.toml")):
        validator.validate(tomllib.loads(path.read_text(encoding="utf-8")))
    validator.validate(planned(MINIMAL).document())
    for wrong in (
        {"network": {"uplnk": "1 Mbps"}},
        {"network": {"uplink": "1"}},
        {"codec": {"uplink": "mss"}},
        {"codec": {"uplink": {"name": "qu", "bits": 9}}},
        {"model": {"name": "cnn"}},
        {"model": {"name": "cnn", "cut": 1, "chanels": 3}},
        {"sweep": {"codec.uplink": []}},
        {"model": {"name": "own.py:net"}},
        {"model": {"name": "own.py:net", "cut": 1.5}},
        {"model": {"name": "own.txt:net", "cut": 1}},
        {"model": "cnn"},
        {"data": "fashion-mimi"},
        {"data": {"name": "own.py:Own", "partition": "non-iid"}},
        {"model": {"name": "cnn", "cut": 1, "head_cut": 1.5}},
        {"codec": {"head_downlink": "mss"}},
        {"codec": {"head_uplink": {"name": "qu", "bits": 9}}},
        {"training": {"aggregation": "ring"}},
        {"training": {"hooks": "leek"}},
        {"training": {"hooks": 3}},
        {"training": {"hooks": [3]}},
        {"training": {"hooks": {"name": "leakage", "evry": 2}}},
        {"training": {"hooks": ["leakage", {"name": "theory", "draws": 7}]}},
        {"training": {"probes": {"evry": 3}}},
    ):
        assert not validator.is_valid({**MINIMAL, **wrong}), wrong


OWN_MODEL_AND_DATA = '''
from torch import nn
from slsim.learning.data import FashionMini

def net(image_shape, num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, num_classes))

class Own(FashionMini):
    """My own."""
    noise: float = 0.0
'''


def test_the_schema_accepts_models_and_data_of_ones_own(
    tmp_path: Path, write: Callable[[dict[str, Any]], Path]
) -> None:
    (tmp_path / "own.py").write_text(OWN_MODEL_AND_DATA)
    model = {"name": "own.py:net", "cut": 1}
    validator = jsonschema.Draft202012Validator(json_schema())
    for data in ("own.py:Own", {"name": "own.py:Own", "noise": 0.5, "partition": {"shards": 2}}, "cifar10"):
        document = {**MINIMAL, "data": data, "model": model}
        validator.validate(document)
        validator.validate(load(write(document)).document())


def test_a_network_is_resolved_and_can_be_read_again(tmp_path: Path) -> None:
    """Every way to write a network survives `slsim run`'s own scenario file; a trace is found by its path."""
    (tmp_path / "lte.csv").write_text("time_s,rate\n0,1 Mbps\n")
    network: dict[str, Any] = {
        "uplink": {"trace": "lte.csv", "period": "60 s", "shift": "5 s"},
        "downlink": [{"rate": "5 Mbps", "share": 0.3, "latency": "40 ms"}, {"rate": "1 Gbps", "share": 0.7}],
        "medium": "54 Mbps",
        "access_points": {"count": 2, "rate": "1 Gbps", "duplex": "half"},
        "ingress": "2 Gbps",
        "transport": {"name": "tcp", "connections": "fresh"},
        "framing": "none",
        "burst": "16 kB",
        "loss": 0.01,
    }
    first = plan({**MINIMAL, "network": network}, "test", tmp_path)
    again = plan(first.document(), "test", Path("/"))
    assert again.cases[0].scenario == first.cases[0].scenario
    written = first.document()["network"]
    assert written["uplink"] == {
        "trace": str((tmp_path / "lte.csv").resolve()),
        "period": "1 min",
        "shift": "5 s",
    }
    assert written["downlink"][1] == {"rate": "1 Gbps", "share": 0.7}
    assert written["framing"] == {"segment": 1448, "header": 0}
    jsonschema.Draft202012Validator(json_schema()).validate(first.document())


def test_a_class_of_all_clients_is_a_plain_rate() -> None:
    (case,) = planned({**MINIMAL, "network": {"uplink": [{"rate": "5 Mbps", "share": 1.0}]}}).cases
    assert case.scenario.network.uplink == 5e6
    assert case.scenario.table()["network"]["uplink"] == "5 Mbps"


def test_a_device_without_a_time_that_is_needed_is_refused() -> None:
    timed = {"name": "timed", "client_forward": "1 ms", "encode": "1 ns", "decode": "1 ns"}
    with pytest.raises(ScenarioError) as error:
        planned({**MINIMAL, "clients": {"device": timed}})
    (fault,) = error.value.faults
    assert fault.path == "clients.device"
    assert "no time for client backward; give client_backward" in fault.message


def test_a_byte_order_mark_is_not_part_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "marked.toml").write_text(tomli_w.dumps(MINIMAL), encoding="utf-8-sig")
    assert load(tmp_path / "marked.toml").name == "minimal"


def test_shares_of_a_third_and_none_are_kept_as_they_were_written() -> None:
    thirds = [{"device": name, "share": 0.333} for name in ("rtx-3090", "atlas-200-dk", "raspberry-pi-4")]
    each = [{"rate": f"{rate} Mbps"} for rate in (1, 2, 3)]
    document = {**MINIMAL, "clients": {"device": thirds, "count": 3}, "network": {"uplink": each}}
    (case,) = planned(document).cases
    assert case.scenario.table()["network"]["uplink"] == each
    assert [one["share"] for one in case.scenario.table()["clients"]["device"]] == [0.333] * 3
    (again,) = planned(case.scenario.table()).cases
    assert again.scenario == case.scenario
