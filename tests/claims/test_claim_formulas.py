"""Formulas of claims: exact, shown with their numbers, and nothing but arithmetic."""

from __future__ import annotations

from fractions import Fraction

import pytest

from slsim.claims.formula import Formula, figures, number

VALUES = {"E": Fraction(1536), "k": Fraction(460), "x": Fraction(-2)}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2*3 - 4/8", Fraction(13, 2)),
        ("floor(0.3 * 10)", 3),
        ("floor((1 - 0.9) * 10)", 1),
        ("ceil(log2(E))", 11),
        ("log2(2**40)", 40),
        ("min(E, k, 7) + max(k)", 467),
        ("-7 // 2", -4),
        ("2 ** -3", Fraction(1, 8)),
        ("x ** 3", -8),
        ("1 ** 999999999", 1),
        ("4 ** 0.5", 2),
        (" k*(16 + ceil(log2(E))) / (16*E)", Fraction(460 * 27, 16 * 1536)),
    ],
)
def test_a_formula_has_its_exact_value(text: str, value: Fraction | int) -> None:
    assert Formula.parse(text).value(VALUES) == value


def test_a_formula_is_shown_with_numbers_in_place_of_names() -> None:
    assert Formula.parse("2*k*(E + 1) / x").shown(VALUES) == "2·460·(1,536 + 1) / (-2)"
    assert Formula.parse("E**2 - (k - 0.25)").shown(VALUES) == "1,536^2 - (460 - 0.2500)"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("__import__('os')", "there is no function __import__"),
        ("k.real", "'k.real' is no arithmetic; allowed: numbers, names, + - * / // **"),
        ("[k]", "is no arithmetic"),
        ("k if E else 1", "is no arithmetic"),
        ("lambda: 1", "is no arithmetic"),
        ("max(*k)", "is no arithmetic"),
        ("max(k, key=1)", "is no arithmetic"),
        ("'text'", "must be a finite number, found 'text'"),
        ("True", "must be a finite number, found True"),
        ("1e999", "must be a finite number, found inf"),
        ("1j", "must be a finite number, found 1j"),
        ("k +", "'k +' is no formula"),
        ("", "'' is no formula"),
        ("k\0", "is no formula"),
        ("k := 1", "is no formula"),
        ("floor", "floor is a function: floor(…)"),
        ("ceil(1, 2)", "ceil takes one number"),
        ("min()", "min takes numbers"),
        ("(" * 140 + "1" + ")" * 140, ""),
        ("-" * 200 + "1", "nested at most 30 deep"),
        ("[" * 120 + "]" * 120, "is no arithmetic"),
        ("1" * 301, "at most 300 characters, this one has 301"),
    ],
)
def test_what_is_no_arithmetic_is_refused(text: str, words: str) -> None:
    if not words:  # deep brackets alone nest nothing
        assert Formula.parse(text).value({}) == 1
        return
    with pytest.raises(ValueError, match=".") as refused:
        Formula.parse(text)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("9**9**9", "too large a number"),
        ("2**400 * 2**400 * 2**400", "a number on the way has more than 900 bits"),
        ("1e300 * 1", "a number on the way"),
        ("k / (E - 1536)", "divides 460 by 0"),
        ("k // 0", "divides 460 by 0"),
        ("0 ** -1", "0 ** -1 is no number"),
        ("x ** 0.5", "-2 ** 0.5000 is no number"),
        ("log2(x)", "log2(-2) is no number"),
        ("k + n", "n has no value; known: E, k, x"),
    ],
)
def test_what_has_no_value_says_why(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=".") as refused:
        Formula.parse(text).value(VALUES)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (Fraction(1216348), 0, "1,216,348"),
        (Fraction(16777216, 1216348), 0, "13.79"),
        (Fraction("490.1961"), 0, "490.2"),
        (Fraction(25), 1, "25.00"),
        (Fraction("90.625"), 3, "90.625"),
        (Fraction("0.06771"), 0, "0.06771"),
        (Fraction(1, 10**30), 0, "1e-30"),
        (Fraction(0), 2, "0.000"),
    ],
)
def test_numbers_have_four_figures_and_the_decimals_that_are_asked_for(
    value: Fraction, decimals: int, text: str
) -> None:
    assert figures(value, decimals) == text


def test_a_number_of_a_file_is_what_is_written_there() -> None:
    assert number(0.3) == Fraction(3, 10)
    with pytest.raises(ValueError, match="must be a finite number, found nan"):
        number(float("nan"))
