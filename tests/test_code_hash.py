"""The hash of the code that learns: what changes it, and what does not."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

import pytest

import slsim
from slsim import code_hash as module
from slsim.code_hash import code_hash, code_of
from slsim.results import CODE, LEARNS, environment

SOURCE = '''"""About a."""

TEXT = "no # comment"


def f(x):
    """Gives x."""
    return x  # as it is
'''
FILES = sorted(Path(slsim.__file__).parent.rglob("*.py"))


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A package "room" of two modules and a module "alone", which the hash is taken over."""
    monkeypatch.setattr(module, "ROOT", tmp_path)
    (tmp_path / "room").mkdir()
    for name in ("room/__init__.py", "room/a.py", "alone.py", "other.py"):
        (tmp_path / name).write_text(SOURCE)
    code_hash.cache_clear()
    yield tmp_path
    code_hash.cache_clear()


def changed(file, text):
    """Whether the hash changes when `file` has `text`."""
    before = code_hash("room", "alone")
    file.write_text(text)
    code_hash.cache_clear()
    return code_hash("room", "alone") != before


def test_comments_docstrings_and_blank_lines_do_not_count(root):
    plain = 'TEXT = "no # comment"\ndef f(x):\n\n    return x\n'
    assert not changed(root / "room" / "a.py", plain)
    assert not changed(root / "alone.py", SOURCE.replace("as it is", "unchanged").replace("About", "On"))


@pytest.mark.parametrize("name", ["room/a.py", "alone.py"])
@pytest.mark.parametrize(
    ("old", "new"), [("return x", "return -x"), ("# comment", "# remark"), ("f(x)", "f(y, x)")]
)
def test_code_and_texts_count(root, name, old, new):
    assert changed(root / name, SOURCE.replace(old, new))


def test_a_file_more_counts_and_files_of_other_rooms_do_not(root):
    assert not changed(root / "other.py", "")
    assert changed(root / "room" / "b.py", "")
    (root / "room" / "b.py").rename(root / "room" / "c.py")
    assert changed(root / "room" / "c.py", "")


def by_the_compiler(source):
    """What `code_of` gives, computed with Python's own parser and tokenizer, which are slower."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if text and isinstance(node.value.value, str):
            for row in range(node.lineno - 1, node.end_lineno):
                lines[row] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_of_all_of_slsim_it_takes_what_python_says_is_code(file):
    source = file.read_text(encoding="utf-8")
    assert code_of(source) == by_the_compiler(source)


def test_results_state_it():
    assert environment()["versions"][CODE] == code_hash(*LEARNS)
    assert len(code_hash(*LEARNS)) == 8
    folder = Path(slsim.__file__).parent
    assert all((folder / room).is_dir() or (folder / f"{room}.py").is_file() for room in LEARNS)
