"""Which name is meant by a part of one."""

from __future__ import annotations

import re

import pytest

from slsim.errors import StudyError
from slsim.named import chosen, quoted


def test_a_name_is_its_own_where_others_contain_it() -> None:
    assert chosen("ms", ["ms", "ms, 10 Mbps"], "run") == "ms"


def test_parts_between_commas_are_looked_for_each() -> None:
    names = ["MS (99 %, 2 bit), 10 Mbps, seed 0", "MS (99 %, 2 bit), 10 Mbps, seed 1", "QU, seed 0"]
    assert chosen("ms, seed 0", names, "run") == names[0]


def test_whole_words_are_looked_for_before_parts_of_words() -> None:
    names = ["ms, 1 Mbps, seed 1", "ms, 4.1 Mbps, seed 1", "ms, 1 Mbps, seed 10"]
    assert chosen("1 mbps, seed 1", names, "run") == names[0]
    assert chosen("4.1", names, "run") == names[1]
    assert chosen("eed 10", names, "run") == names[2]


def test_the_only_name_need_not_be_told() -> None:
    assert chosen("", ["qu"], "run") == chosen("", ["qu", "qu"], "run") == "qu"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("", 'there are 3 runs; name one: identity, qu, "ms, seed 0"'),
        ("idnt", 'there is no run "idnt"; did you mean "identity"? there are: identity, qu, "ms, seed 0"'),
        ("other", 'there is no run "other"; there are: identity, qu, "ms, seed 0"'),
    ],
)
def test_a_name_that_is_not_clear_is_an_error_that_lists_them(asked: str, message: str) -> None:
    with pytest.raises(StudyError, match=f"^{re.escape(message)}$"):
        chosen(asked, ["identity", "qu", "ms, seed 0"], "run")


def test_several_of_a_name_are_an_error_that_lists_them() -> None:
    with pytest.raises(StudyError, match='^2 runs have "MS" in their names: "ms, seed 0", "ms, seed 1"$'):
        chosen("MS", ["qu, seed 0", "ms, seed 0", "ms, seed 1"], "run")
    with pytest.raises(StudyError, match="and 5 more$"):
        chosen("", [f"run {number}" for number in range(25)], "run")


def test_a_name_with_a_comma_outside_brackets_is_quoted_in_a_list() -> None:
    assert [quoted(name) for name in ("qu", "MS (99 %, 2 bits)", "qu, seed 0")] == [
        "qu",
        "MS (99 %, 2 bits)",
        '"qu, seed 0"',
    ]
