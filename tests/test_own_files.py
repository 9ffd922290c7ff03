"""A user's own files: neighbours are found, folders are kept apart, and a change anywhere counts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from slsim.own_files import digest_of, load, sources_of

USES = "from layers import value\n"


def write(folder: Path, **files: str) -> Path:
    """Modules in `folder`, a double underscore in a name for a slash; the path of the last."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("files", "uses"),
    [
        ({"layers": "value = 1"}, "from layers import value"),
        ({"layers": "value = 1"}, "import layers\nvalue = layers.value"),
        ({"layers": "value = 1"}, "import layers as own\nvalue = own.value"),
        ({"parts__init": "", "parts__deep": "value = 1"}, "from parts.deep import value"),
        ({"parts__init": "", "parts__deep": "value = 1"}, "from parts import deep\nvalue = deep.value"),
        ({"parts__deep": "value = 1"}, "import parts.deep\nvalue = parts.deep.value"),
        ({"parts__one": "value = 1", "parts__two": "from .one import value"}, "from parts.two import value"),
        ({"base": "value = 1", "parts__two": "from base import value"}, "from parts.two import value"),
        ({"string": "value = 1"}, "from string import value"),
    ],
)
def test_a_neighbour_is_found_however_it_is_imported(
    tmp_path: Path, files: dict[str, str], uses: str
) -> None:
    write(tmp_path, **{name.replace("__init", "____init__"): text for name, text in files.items()})
    path = write(tmp_path, net=uses)
    assert load(path).value == 1
    assert str(tmp_path) not in sys.path
    before = digest_of(path)
    changed = next(name for name, text in files.items() if text == "value = 1")
    write(tmp_path, **{changed: "value = 2"})
    assert digest_of(path) != before
    assert load(path).value == 2  # of the same size, within a second


def test_a_neighbour_is_found_when_a_function_imports_it(tmp_path: Path) -> None:
    path = write(
        tmp_path, layers="value = 1", net="def net():\n    from layers import value\n    return value"
    )
    before = digest_of(path)
    assert load(path).net() == 1
    write(tmp_path, layers="value = 2")
    assert digest_of(path) != before
    assert load(path).net() == 2


def test_two_folders_with_a_module_of_one_name_do_not_meet(tmp_path: Path) -> None:
    one = write(tmp_path / "one", layers="value = 1", net=USES)
    two = write(tmp_path / "two", layers="value = 2", net=USES)
    assert (load(one).value, load(two).value, load(one).value) == (1, 2, 1)
    assert "layers" not in sys.modules


def test_two_files_of_a_folder_share_its_modules(tmp_path: Path) -> None:
    write(tmp_path, layers="value = object()")
    one, two = write(tmp_path, one=USES), write(tmp_path, two=USES)
    assert load(one).value is load(two).value


def test_a_file_that_was_loaded_after_a_neighbour_changed_has_the_new_one(tmp_path: Path) -> None:
    one = write(tmp_path, layers="value = 1", one=USES)
    assert load(one).value == 1
    two = write(tmp_path, layers="value = 2", two=USES)
    assert load(two).value == 2


def test_libraries_and_slsim_are_those_that_everyone_has(tmp_path: Path) -> None:
    path = write(tmp_path, slsim="", sys="path = 3", net="import slsim.errors, sys, numpy")
    module = load(path)
    assert module.slsim is sys.modules["slsim"]
    assert module.sys is sys
    assert module.numpy is sys.modules["numpy"]


def test_a_file_alone_has_the_digest_of_its_text(tmp_path: Path) -> None:
    path = write(tmp_path, net="import json\n")
    before = digest_of(path)
    write(tmp_path, other="")
    assert digest_of(path) == before
    write(tmp_path, net="import json \n")
    assert digest_of(path) != before


def test_a_neighbour_that_fails_is_tried_again(tmp_path: Path) -> None:
    path = write(tmp_path, layers="value = 1 / 0", net=USES)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            load(path)
    write(tmp_path, layers="value = 1 / 1")
    assert load(path).value == 1


def test_a_digest_does_not_depend_on_where_the_files_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uses = "import layers\nfrom parts.deep import value\nfrom tools.shared import scale\n"
    files = {"layers": "import math", "parts__deep": "from .one import value", "parts__one": "value = 1"}
    path = write(tmp_path / "here", **files, net=uses)
    write(tmp_path / "root", tools__shared="scale = 2")
    monkeypatch.syspath_prepend(str(tmp_path / "root"))
    digest = digest_of(path)
    sources = sources_of(path)
    assert set(sources) == {"net.py", "layers.py", "parts/deep.py", "parts/one.py", "tools/shared.py"}
    for place, source in sources.items():
        copy = tmp_path / "copied" / place
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(source.content)
    monkeypatch.undo()
    copied = tmp_path / "copied" / "net.py"
    assert digest_of(copied) == digest
    assert (load(copied).value, load(copied).scale) == (1, 2)
    write(tmp_path / "copied", layers="value = 1", parts__one="import math")  # each has another's content
    assert digest_of(copied) != digest
