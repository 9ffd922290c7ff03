"""Formulas of published claims, such as "k * (16 + ceil(log2(E))) / (16 * E)": read, evaluated, shown.

A formula is arithmetic over numbers and names, and nothing else: it is never run as code. It is short, and no
number in it grows without bound, so a stranger's formula costs no more than one's own.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

LONGEST = 300  # characters
DEEPEST = 30  # operations within one another
MOST_BITS = 900  # of the numerator or denominator of any number on the way
ALLOWED = "numbers, names, + - * / // **, and floor, ceil, log2, min, max"

Values: TypeAlias = Mapping[str, Fraction]

_OPERATIONS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction | int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}
_FUNCTIONS: dict[str, Callable[..., Fraction | int]] = {
    "floor": math.floor,
    "ceil": math.ceil,
    "min": min,
    "max": max,
}


@dataclass(frozen=True)
class Formula:
    """Arithmetic over numbers and names, evaluated in fractions: 0.3 · 10 is 3, and floor of it too.

    >>> formula = Formula.parse("k * (16 + ceil(log2(E))) / (16 * E)")
    >>> values = {"k": Fraction(460), "E": Fraction(1536)}
    >>> formula.shown(values)
    '460·(16 + ceil(log2(1,536))) / (16·1,536)'
    >>> round(float(formula.value(values)), 4)
    0.5054
    """

    text: str
    tree: ast.expr = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: object) -> Formula:
        """The formula that a text is. Raises `ValueError` for what is no arithmetic."""
        if not isinstance(text, str):
            raise ValueError(f'must be a formula in quotation marks, such as "4 * k / E", found {text!r}')
        if len(text) > LONGEST:
            raise ValueError(f"a formula has at most {LONGEST} characters, this one has {len(text):,}")
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise ValueError(f"{text!r} is no formula; allowed: {ALLOWED}") from None
        _check(tree, text.strip())
        return cls(text, tree)

    @property
    def names(self) -> frozenset[str]:
        """The names that need a value."""
        nodes = list(ast.walk(self.tree))
        called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
        return frozenset(node.id for node in nodes if isinstance(node, ast.Name) and id(node) not in called)

    def value(self, values: Values) -> Fraction:
        """The value with these of its names. Raises `ValueError` where there is none, such as 1 / 0."""
        return _value(self.tree, values)

    def shown(self, values: Values) -> str:
        """The formula with numbers in place of its names, as a reader writes it."""
        text = ast.unparse(_Filled(values).visit(ast.parse(self.text.strip(), mode="eval").body))
        return text.replace(" ** ", "^").replace(" * ", "·")


def number(value: object) -> Fraction:
    """A number of a file as it is written there: 0.3 is 3/10. Raises `ValueError` for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"must be a finite number, found {value!r}")
    return _bounded(Fraction(repr(value)))


def figures(value: Fraction, decimals: int = 0) -> str:
    """A number for a reader: whole ones as they are, others with four figures, and at least so many
    decimals."""
    if value.denominator == 1 and abs(value) < 10**15 and not decimals:
        return f"{value.numerator:,}"
    size = math.log10(abs(value)) if value else 0
    if not -5 < size < 12:
        return f"{float(value):.4g}"
    return f"{float(value):,.{max(decimals, 3 - math.floor(size), 0)}f}"


def _check(node: ast.expr, text: str, depth: int = 0) -> None:
    """Raises `ValueError` for the first thing that is not allowed in a formula."""
    if depth > DEEPEST:
        raise ValueError(f"a formula is nested at most {DEEPEST} deep")
    match node:
        case ast.Constant(value=value):
            number(value)
        case ast.Name(id=name):
            if name in (*_FUNCTIONS, "log2"):
                raise ValueError(f"{name} is a function: {name}(…)")
        case ast.UnaryOp(op=ast.UAdd() | ast.USub(), operand=operand):
            _check(operand, text, depth + 1)
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, ast.Pow) or type(op) in _OPERATIONS:
            _check(left, text, depth + 1)
            _check(right, text, depth + 1)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            _check_call(name, len(args))
            for argument in args:
                _check(argument, text, depth + 1)
        case _:
            raise ValueError(f"{ast.get_source_segment(text, node)!r} is no arithmetic; allowed: {ALLOWED}")


def _check_call(name: str, arguments: int) -> None:
    if name not in (*_FUNCTIONS, "log2"):
        raise ValueError(f"there is no function {name}; allowed: {ALLOWED}")
    if arguments < 1 or (arguments > 1 and name not in ("min", "max")):
        raise ValueError(f"{name} takes {'one number' if name not in ('min', 'max') else 'numbers'}")


def _value(node: ast.AST, values: Values) -> Fraction:
    match node:
        case ast.Constant(value=value):
            return number(value)
        case ast.Name(id=name):
            if name not in values:
                raise ValueError(f"{name} has no value; known: {', '.join(sorted(values))}")
            return values[name]
        case ast.UnaryOp(op=op, operand=operand):
            inner = _value(operand, values)
            return -inner if isinstance(op, ast.USub) else inner
        case ast.BinOp(left=left, op=op, right=right):
            return _bounded(_operated(op, _value(left, values), _value(right, values)))
        case ast.Call(func=ast.Name(id=name), args=args):
            return _called(name, [_value(argument, values) for argument in args])
    raise AssertionError(ast.dump(node))


def _operated(op: ast.operator, left: Fraction, right: Fraction) -> Fraction:
    if isinstance(op, ast.Pow):
        return _power(left, right)
    try:
        return Fraction(_OPERATIONS[type(op)](left, right))
    except ZeroDivisionError:
        raise ValueError(f"divides {figures(left)} by 0") from None


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    """Exact for whole exponents. Raises `ValueError` where the result is too large, or none."""
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if bits * abs(exponent) > MOST_BITS and abs(base) not in (0, 1):
        raise ValueError(f"{figures(base)} ** {figures(exponent)} is too large a number")
    try:
        if exponent.denominator == 1:
            return Fraction(base**exponent.numerator)
        return number(float(base) ** float(exponent))
    except (ArithmeticError, ValueError):
        raise ValueError(f"{figures(base)} ** {figures(exponent)} is no number") from None


def _called(name: str, arguments: list[Fraction]) -> Fraction:
    if name != "log2":
        return Fraction(_FUNCTIONS[name](*arguments if len(arguments) > 1 else _one(name, arguments)))
    if arguments[0] <= 0:
        raise ValueError(f"log2({figures(arguments[0])}) is no number")
    top, bottom = arguments[0].numerator, arguments[0].denominator
    return number(math.log2(top) - math.log2(bottom))


def _one(name: str, arguments: list[Fraction]) -> list[Fraction]:
    return arguments * 2 if name in ("min", "max") else arguments


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MOST_BITS:
        raise ValueError(f"a number on the way has more than {MOST_BITS} bits")
    return value


class _Filled(ast.NodeTransformer):
    """Puts numbers in place of names."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self._number(self._values[node.id]) if node.id in self._values else node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return self._number(number(node.value))

    def visit_Call(self, node: ast.Call) -> ast.AST:
        return ast.Call(node.func, [self.visit(argument) for argument in node.args], [])

    def _number(self, value: Fraction) -> ast.AST:
        text = figures(value)
        return ast.Name(f"({text})" if value < 0 else text)
