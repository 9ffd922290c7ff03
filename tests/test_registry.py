"""The registry: how components are named, listed, checked and extended."""

import importlib.metadata

import pytest
from pydantic import Field, ValidationError

from slsim.codecs import Codec
from slsim.errors import FaultsError, UnknownNameError
from slsim.registry import HOMES, Component, Registry, dotted, first_line, registry_of
from slsim.units import Rate


class Filter(Component):
    """What this test registers; a base class."""


class Low(Filter):
    """Lets low tones pass.

    More about it.
    """

    cutoff: float = Field(0.5, ge=0, le=1)
    order: int = Field(2, ge=1)
    rate: Rate = Field(default="1 Mbps", validate_default=True)


class High(Filter):
    """Lets high tones pass."""

    cutoff: float


@pytest.fixture
def registry():
    """A registry of its own: what a test adds, nobody else sees."""
    registry = Registry("filter", Filter)
    registry.add("low-pass", Low)
    registry.add("high-pass", High)
    return registry


def test_names_are_sorted(registry):
    assert registry.names() == ["high-pass", "low-pass"]


def test_a_component_is_created_by_name_with_parameters(registry):
    assert registry.create("low-pass", cutoff=0.25) == Low(cutoff=0.25, order=2)


def test_an_unknown_name_lists_all_and_the_nearest(registry):
    with pytest.raises(UnknownNameError) as caught:
        registry.create("lowpass")
    assert str(caught.value) == (
        'there is no filter "lowpass"; did you mean "low-pass"? there are: high-pass, low-pass'
    )


def test_an_unknown_name_like_none_lists_all(registry):
    with pytest.raises(UnknownNameError) as caught:
        registry.entry("zzz")
    assert str(caught.value) == 'there is no filter "zzz"; there are: high-pass, low-pass'


def test_bad_parameters_are_reported_all_at_once_with_their_paths(registry):
    with pytest.raises(FaultsError) as caught:
        registry.create("low-pass", cutoff=2, order=0, rate="5", cutof=1)
    messages = {fault.path: fault.message for fault in caught.value.faults}
    assert messages.keys() == {"cutoff", "order", "rate", "cutof"}
    assert messages["cutoff"] == "input should be less than or equal to 1, found 2"
    assert messages["order"] == "input should be greater than or equal to 1, found 0"
    assert messages["rate"] == "'5' has no unit; write for example '100 Mbps'"
    assert messages["cutof"].startswith('unknown key; did you mean "cutoff"? allowed: ')
    assert str(caught.value).count("\n") == 3  # one fault a line


def test_an_unknown_parameter_lists_the_allowed_ones(registry):
    with pytest.raises(FaultsError, match="zzz: unknown key; allowed: name, cutoff, order, rate"):
        registry.create("low-pass", zzz=1)


def test_keys_that_stand_beside_the_parameters_are_listed_too(registry):
    with pytest.raises(FaultsError, match="allowed: name, share, cutoff"):
        registry.entry("low-pass").resolve({"zzz": 1}, other_keys=("share",))


def test_a_missing_parameter_is_named(registry):
    with pytest.raises(FaultsError, match="cutoff: missing; this key is required"):
        registry.create("high-pass")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_parameter_is_finite(registry, value):
    with pytest.raises(FaultsError, match="cutoff: input should be a finite number"):
        registry.create("high-pass", cutoff=value)


def test_a_component_is_frozen(registry):
    with pytest.raises(ValidationError, match="frozen"):
        registry.create("low-pass").cutoff = 0.1


def test_registering_by_decorator_gives_the_class_back(registry):
    @registry.register("band", width=3)
    class Band(Filter):
        """Lets a band pass."""

        width: int

    assert Band.__name__ == "Band"
    assert registry.names() == ["band", "high-pass", "low-pass"]
    assert registry.create("band") == Band(width=3)
    assert registry.entry("band").summary == "Lets a band pass."


def test_a_name_may_fix_defaults_that_are_overridden(registry):
    registry.add("slow", Low, "low, and slow", cutoff=0.1, rate="1 kbps")
    assert registry.create("slow") == Low(cutoff=0.1, rate="1 kbps")
    assert registry.create("slow", cutoff=0.2).cutoff == 0.2
    assert registry.create("slow", cutoff=0.2).rate == 1e3
    assert registry.create("low-pass").cutoff == 0.5
    assert registry.entry("slow").summary == "low, and slow"


def test_parameters_are_listed_with_their_defaults(registry):
    registry.add("slow", Low, cutoff=0.1)
    assert registry.entry("slow").parameters() == {"cutoff": "0.1", "order": "2", "rate": "1 Mbps"}
    assert registry.entry("high-pass").parameters() == {"cutoff": "required"}


def test_a_summary_is_the_first_line_of_the_docstring(registry):
    assert registry.entry("low-pass").summary == "Lets low tones pass."
    assert first_line(Low) == "Lets low tones pass."


def test_a_name_that_is_taken_is_refused(registry):
    with pytest.raises(ValueError, match="the filter 'low-pass' is already registered as Low"):
        registry.add("low-pass", High)
    assert registry.entry("low-pass").cls is Low


def test_a_class_of_another_kind_is_refused(registry):
    with pytest.raises(TypeError, match="Component must be a subclass of Filter"):
        registry.add("any", Component)
    assert "any" not in registry.names()


class EntryPoint:
    """As much of an installed package's entry point as the registry uses."""

    name = "third-party"

    def load(self):
        return High


def test_an_entry_point_of_an_installed_package_is_found(registry, monkeypatch):
    asked = []

    def entry_points(group):
        asked.append(group)
        return [EntryPoint()]

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    assert registry.create("third-party", cutoff=1) == High(cutoff=1)
    assert registry.names() == ["high-pass", "low-pass", "third-party"]
    assert asked == ["slsim.filter"]  # looked for once


CODEC_FILE = '''
"""A codec of a third party."""

from slsim.codecs import Identity
from slsim.codecs.base import Codec


class Halves(Codec):
    """Keeps a half.

    More about it.
    """

    share: float = 0.5

    def encode_values(self, values, rng):
        return b"", values[: values.size // 2].tobytes()

    def decode_values(self, body, num_elements, side):
        raise NotImplementedError

    def body_bytes(self, num_elements):
        return num_elements // 2 * 4

    def size_formula(self, num_elements):
        return "4·floor(d / 2)"

    def bytes_touched(self):
        return 4.0, 4.0


class NoCodec:
    share = 0.5


number = 3
'''


@pytest.fixture
def codecs():
    return Registry("codec", Codec)


@pytest.fixture
def codec_file(tmp_path):
    path = tmp_path / "third_party.py"
    path.write_text(CODEC_FILE, encoding="utf-8")
    return path


def test_a_component_is_named_by_its_file(codecs, codec_file):
    entry = codecs.entry(f"{codec_file}:Halves")
    assert entry.summary == "Keeps a half."
    assert entry.source_file == codec_file
    assert codecs.create(f"{codec_file}:Halves", share=0.25).share == 0.25
    assert codecs.names() == []  # named, not registered


def test_a_file_is_relative_to_the_working_directory(codecs, codec_file, monkeypatch):
    monkeypatch.chdir(codec_file.parent)
    assert codecs.entry("third_party.py:Halves").source_file == codec_file


def test_a_file_is_run_once(codecs, codec_file):
    first, second = (codecs.entry(f"{codec_file}:Halves").cls for _ in range(2))
    assert first is second


def test_parameters_of_a_component_from_a_file_are_checked(codecs, codec_file):
    with pytest.raises(FaultsError) as caught:
        codecs.create(f"{codec_file}:Halves", share="much", shar=1)
    assert {fault.path for fault in caught.value.faults} == {"share", "shar"}


def test_a_file_that_is_not_there(codecs, tmp_path):
    with pytest.raises(UnknownNameError, match=r"there is no file .*nowhere\.py"):
        codecs.entry(f"{tmp_path}/nowhere.py:Halves")


@pytest.mark.parametrize("attribute", ["NoCodec", "number", "Quarters", ""])
def test_what_is_no_codec_in_a_file(codecs, codec_file, attribute):
    with pytest.raises(UnknownNameError, match=f"third_party.py has no Codec called {attribute}"):
        codecs.entry(f"{codec_file}:{attribute}")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import a_module_that_is_not_there\n", "ModuleNotFoundError: No module named"),
        ("class (\n", "SyntaxError"),
        ("raise RuntimeError('not today')\n", "RuntimeError: not today"),
    ],
)
def test_a_file_that_cannot_be_imported_says_why(codecs, tmp_path, source, reason):
    path = tmp_path / "broken.py"
    path.write_text(source, encoding="utf-8")
    for _ in range(2):  # nor is a half-imported module kept
        with pytest.raises(UnknownNameError, match=rf"broken\.py cannot be imported: {reason}"):
            codecs.entry(f"{path}:Halves")


def test_a_mended_file_is_read_again(codecs, tmp_path):
    path = tmp_path / "mended.py"
    path.write_text("import a_module_that_is_not_there\n", encoding="utf-8")
    with pytest.raises(UnknownNameError):
        codecs.entry(f"{path}:Halves")
    path.write_text(CODEC_FILE + "\n# mended\n", encoding="utf-8")
    assert codecs.entry(f"{path}:Halves").cls.__name__ == "Halves"


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ((), ""),
        (("clients",), "clients"),
        (("clients", "device", 0, "share"), "clients.device[0].share"),
        (("sweep", "codec.uplink", 2), "sweep.codec.uplink[2]"),
        (("codec", "uplink", "component", "bits"), "codec.uplink.bits"),
    ],
)
def test_a_location_is_printed_as_a_dotted_path(location, path):
    assert dotted(location) == path


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("codec", {"identity", "ms", "qu", "rt", "sp"}),
        ("model", {"cnn"}),
        ("data", {"fashion-mini", "npz"}),
        ("device", {"atlas-200-dk", "raspberry-pi-4", "rtx-3090"}),
        ("protocol", {"splitfed"}),
    ],
)
def test_every_kind_finds_its_room(kind, names):
    assert names <= set(registry_of(kind).names())


@pytest.mark.parametrize("kind", HOMES)
def test_everything_registered_has_a_line_about_it(kind):
    registry = registry_of(kind)
    for name in registry.names():
        assert registry.entry(name).summary, f"{kind} {name}"


def test_a_name_with_other_defaults_is_taken_too(registry):
    registry.add("narrow", High, cutoff=0.1)
    registry.add("narrow", High, cutoff=0.1)  # the same again changes nothing
    with pytest.raises(ValueError, match="already registered"):
        registry.add("narrow", High, cutoff=0.2)
    assert registry.create("narrow").cutoff == 0.1


def test_an_unfinished_codec_is_refused_and_what_it_lacks_is_named(codecs, tmp_path):
    (tmp_path / "half.py").write_text(
        "from slsim.codecs import Codec\nclass Half(Codec):\n    'Unfinished.'\n"
    )
    with pytest.raises(
        UnknownNameError, match="Half lacks methods: body_bytes, decode_values, encode_values"
    ):
        codecs.create(f"{tmp_path / 'half.py'}:Half")
    with pytest.raises(TypeError, match="without abstract methods"):
        codecs.add("codec", Codec)


def test_a_plug_in_that_cannot_be_loaded_is_named_every_time(registry, monkeypatch):
    point = importlib.metadata.EntryPoint("mine", "no_such_package:Mine", "slsim.filter")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point])
    for _ in range(2):
        with pytest.raises(UnknownNameError, match="plug-in 'no_such_package:Mine' cannot be loaded"):
            registry.names()


def test_a_file_that_exits_is_an_error_like_any_other(codecs, tmp_path):
    (tmp_path / "exits.py").write_text("import sys\nsys.exit(3)\n")
    for _ in range(2):
        with pytest.raises(UnknownNameError, match="SystemExit"):
            codecs.create(f"{tmp_path / 'exits.py'}:Mine")


def test_parameters_are_listed_own_first_with_other_allowed_values():
    parameters = registry_of("codec").entry("ms").parameters()
    assert list(parameters) == ["sparsity", "scope", "bits", "rounding", "lossless", "zstd_level"]
    assert parameters["rounding"] == "floor (nearest, centroid)"
    assert parameters["lossless"] == "none (zstd)"
    assert parameters["zstd_level"] == "none"
