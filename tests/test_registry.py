"""The registry: how components are named, listed, checked and extended."""

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
from pydantic import Field, ValidationError

import slsim
from slsim import entry_points
from slsim.codecs import Codec
from slsim.errors import FaultsError, UnknownNameError
from slsim.registry import Component, Registry, dotted, first_line, kind_of, kinds, registry_of
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


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a distribution: its entry points of one group, and the text of its module."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name, group, points, source="", version="1.0"):
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = [f"{key} = {value}" for key, value in points.items()]
        (folder / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
        (tmp_path / f"{name}.py").write_text(source)
        _look_again()

    yield install
    monkeypatch.undo()
    _look_again()
    for name in [one for one in sys.modules if one.startswith("plug_")]:
        del sys.modules[name]


def _look_again():
    entry_points._installed.cache_clear()
    entry_points.claims.cache_clear()


@pytest.fixture
def filters(registry, monkeypatch):
    """Source of a plug-in's module, which finds this file's registry as it would find an installed one."""
    here = types.ModuleType("tests_of_the_registry")
    vars(here).update(Filter=Filter, registry=registry)
    monkeypatch.setitem(sys.modules, "tests_of_the_registry", here)
    return """
from tests_of_the_registry import Filter, registry

class Wide(Filter):
    "Lets much pass."
    width: int = 2

registry.add("wider", Wide, "lets more pass", width=3)
"""


def test_a_plug_in_offers_classes_and_modules_and_is_imported_when_it_is_named(registry, filters, install):
    install("plug_wide", "slsim.filter", {"wide": "plug_wide:Wide", "wider": "plug_wide"}, filters)
    assert registry.names() == ["high-pass", "low-pass", "wide", "wider"]
    with pytest.raises(UnknownNameError, match='no filter "wyde"; did you mean "wide"'):
        registry.entry("wyde")
    assert registry.create("low-pass").order == 2
    assert "plug_wide" not in sys.modules
    assert registry.create("wide").width == 2
    assert (registry.create("wider").width, registry.entry("wider").summary) == (3, "lets more pass")


def test_a_module_that_does_not_register_the_name_is_said_not_to(registry, filters, install):
    install("plug_wide", "slsim.filter", {"widest": "plug_wide"}, filters)
    with pytest.raises(UnknownNameError, match="'plug_wide' cannot be loaded: .* no filter 'widest'"):
        registry.entry("widest")


@pytest.mark.parametrize(
    ("source", "value", "reason"),
    [
        ("", "plug_bad_there_is_none:Mine", "ModuleNotFoundError"),
        ("", "plug_bad:Mine", "AttributeError"),
        ("raise SystemExit(3)", "plug_bad:Mine", "SystemExit"),
        ("Mine = 3", "plug_bad:Mine", "TypeError"),
        ("class Mine: pass", "plug_bad:Mine", "must be a subclass of Filter"),
    ],
)
def test_a_plug_in_that_cannot_be_loaded_is_an_error_only_where_it_is_named(
    registry, install, source, value, reason
):
    install("plug_bad", "slsim.filter", {"bad": value}, source)
    assert registry.names() == ["bad", "high-pass", "low-pass"]
    assert registry.create("low-pass").order == 2
    for _ in range(2):
        with pytest.raises(UnknownNameError, match=f"the plug-in '{value}' cannot be loaded: .*{reason}"):
            registry.entry("bad")


def test_a_name_that_two_distributions_claim_is_an_error_that_names_both(registry, filters, install):
    install("plug_wide", "slsim.filter", {"wide": "plug_wide:Wide"}, filters)
    install("plug_wide_too", "slsim.filter", {"wide": "plug_wide_too:Wide"}, filters, version="2.1")
    assert "wide" in registry.names()
    assert registry.create("low-pass").order == 2
    with pytest.raises(UnknownNameError) as caught:
        registry.entry("wide")
    both = ("plug_wide 1.0 (plug_wide:Wide)", "plug_wide_too 2.1 (plug_wide_too:Wide)")
    assert all(one in str(caught.value) for one in ('the filter "wide" is claimed by', *both))


def test_a_plug_in_cannot_take_a_name_of_slsims_own(codecs, install):
    install("plug_ms", "slsim.codec", {"ms": "plug_ms:Mine"})
    assert codecs.create("qu", bits=3).bits == 3
    with pytest.raises(UnknownNameError) as caught:
        codecs.entry("ms")
    both = (f"slsim {slsim.__version__} (slsim.codecs.ms:MS)", "plug_ms 1.0 (plug_ms:Mine)")
    assert all(one in str(caught.value) for one in both)


def test_code_cannot_register_a_name_of_slsims_own_even_before_it_is_loaded(codecs):
    identity = codecs.entry("identity").cls

    class Mine(identity):
        """Another one."""

    with pytest.raises(ValueError, match="the codec 'ms' is slsim's own; register Mine under another name"):
        codecs.register("ms")(Mine)
    with pytest.raises(ValueError, match="already registered as Identity"):
        codecs.add("identity", identity, lossless="zstd")
    codecs.add("qu", identity)
    with pytest.raises(UnknownNameError, match="the codec 'qu' is already registered as Identity"):
        codecs.entry("qu")


def test_where_slsim_is_not_installed_one_line_says_what_to_do(tmp_path):
    """slsim runs from a folder that holds its source and nothing else."""
    (tmp_path / "slsim").symlink_to(Path(slsim.__file__).parent)
    program = (
        "import importlib.metadata as m; m.entry_points = lambda **_: m.EntryPoints()\n"
        "from slsim.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "list"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("slsim is not installed, or an older version of it is")
    assert line.endswith(f"run `pip install -e .` in {tmp_path}")


@pytest.mark.parametrize("kind", kinds())
def test_what_slsim_registers_is_what_its_entry_points_name(kind):
    registry = registry_of(kind)
    claims = entry_points.claims(f"slsim.{kind}")
    own = {name for name in registry.names() if registry.entry(name).cls.__module__.startswith("slsim.")}
    assert own == {name for name, points in claims.items() if any(map(entry_points.is_own, points))}


@pytest.mark.parametrize("kind", kinds())
def test_a_components_class_tells_its_kind(kind):
    registry = registry_of(kind)
    assert {kind_of(registry.entry(name).cls) for name in registry.names()} == {kind}
    assert kind_of(Component) == "component"


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
    assert not any("Halves" in name for name in codecs.names())  # named, not registered


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


@pytest.mark.parametrize("kind", kinds())
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


def test_a_file_that_exits_is_an_error_like_any_other(codecs, tmp_path):
    (tmp_path / "exits.py").write_text("import sys\nsys.exit(3)\n")
    for _ in range(2):
        with pytest.raises(UnknownNameError, match="SystemExit"):
            codecs.create(f"{tmp_path / 'exits.py'}:Mine")


def test_parameters_are_listed_own_first_with_other_allowed_values():
    parameters = registry_of("codec").entry("ms").parameters()
    assert list(parameters) == ["sparsity", "scope", "bits", "rounding", "lossless", "zstd_level"]
    assert parameters["rounding"] == "floor (nearest, centroid)"
    assert parameters["lossless"] == "none (zstd, context)"
    assert parameters["zstd_level"] == "none"
