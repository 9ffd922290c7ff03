"""Compiled functions are kept on disk, and renewed when anything that they are made of changes."""

import subprocess
import sys

import numpy as np
import pytest
from numba.core.errors import TypingError

from slsim.compiled import compiled

INNER = """
from slsim.compiled import compiled

FACTOR = {factor}

@compiled()
def inner(x):
    return x {sign} 1
"""
OUTER = """
from kernels.inner import FACTOR, inner
from slsim.compiled import compiled

@compiled()
def outer(x):
    return FACTOR * inner(x)
"""
MIDDLE = "from kernels.outer import outer as same\n"
LAST = """
from kernels.middle import same
from slsim.compiled import compiled

@compiled()
def last(x):
    return same(x)
"""
RUN = """
from kernels.last import last
from kernels.outer import outer
print(outer(3), last(3), *(sum(kernel.stats.cache_hits.values()) for kernel in (outer, last)))
"""


@pytest.fixture
def run(tmp_path):
    """Write the modules, run them in a process of its own, and give what it prints."""
    folder = tmp_path / "kernels"
    folder.mkdir()
    for name, text in {"__init__": "", "outer": OUTER, "middle": MIDDLE, "last": LAST}.items():
        (folder / f"{name}.py").write_text(text)

    def run(sign, factor):
        (folder / "inner.py").write_text(INNER.format(sign=sign, factor=factor))
        path = [str(tmp_path), *sys.path]
        code = f"import sys; sys.path[:] = {path!r}\n{RUN}"
        process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return [int(word) for word in process.stdout.split()]

    return run


def test_an_edit_in_an_imported_kernel_is_noticed(run):
    assert run("+", 10) == [40, 40, 0, 0]
    assert run("+", 10) == [40, 40, 1, 1]  # from disk
    assert run("-", 10) == [20, 20, 0, 0]
    assert run("-", 20) == [40, 40, 0, 0]  # a constant


@compiled(bare=True)
def _first(x):
    return x[0]


@compiled(bare=True)
def _makes(size):
    return np.zeros(size)


def test_a_bare_function_counts_no_references_and_so_makes_no_array():
    assert _first(np.array([3, 4])) == 3
    with pytest.raises(TypingError):
        _makes(3)
