"""The small arithmetic that recipes are written in: whole numbers, option names, and nothing else."""

from __future__ import annotations

import ast
import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

from hybridqies.errors import CircuitError, InputError, UnknownNameError

Value = bool | int | float | str


MAX_LENGTH = 1000
"""Characters of an expression."""
MAX_VALUE = 2**53
"""The largest size of a number: beyond it floats do not hold every whole number."""
MAX_RANGE = 1000
"""Numbers of a range such as "1..n"."""


def _power(base: float, exponent: float) -> Any:
    if not abs(exponent) <= 64:
        raise CircuitError(f"a recipe expression raises to the power {exponent}", expected="at most 64")
    return base**exponent


_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {"min": min, "max": max}


def evaluate(text: Value, names: Mapping[str, Value]) -> Value:
    """The value of an expression such as "layers * (n - 1)"; a value that is no text stands for itself.

    Known are + - * // % **, comparisons, and / or / not, `a if b else c`, min and max.

    Raises
    ------
    CircuitError: `text` is no such expression, or divides by zero.
    UnknownNameError: it names something that is not in `names`.
    """
    if not isinstance(text, str):
        return text
    try:
        value: Value = _value(_parse(text), names)
    except InputError:
        raise
    # Python's parser raises MemoryError where brackets are too deep inside each other.
    except (SyntaxError, TypeError, ValueError, ArithmeticError, RecursionError, MemoryError) as error:
        reason = str(error) or "it is nested too deeply"
        raise CircuitError(f"recipe expression {text!r} cannot be evaluated: {reason}") from None
    return value


@functools.lru_cache(maxsize=256)
def _parse(text: str) -> ast.expr:
    if len(text) > MAX_LENGTH:
        raise CircuitError(
            f"a recipe expression has {len(text):,} characters", expected=f"at most {MAX_LENGTH:,}"
        )
    return ast.parse(text.strip(), mode="eval").body


def whole(text: Value, names: Mapping[str, Value]) -> int:
    """`evaluate`, refused unless it gives a whole number."""
    value = evaluate(text, names)
    if not isinstance(value, int):
        raise CircuitError(f"recipe expression {text!r} gives {value!r}", expected="a whole number")
    return int(value)


def whole_numbers(text: Value | list[Value], names: Mapping[str, Value]) -> list[int]:
    """A list of whole numbers, from a list of expressions, one expression, or an inclusive range "a..b"."""
    if isinstance(text, list):
        return [whole(item, names) for item in text]
    if isinstance(text, str) and ".." in text:
        first, _, last = text.partition("..")
        low, high = whole(first, names), whole(last, names)
        if high - low >= MAX_RANGE:
            raise CircuitError(
                f"the range {text!r} of a recipe has {high - low + 1} numbers",
                expected=f"at most {MAX_RANGE}",
            )
        return list(range(low, high + 1))
    return [whole(text, names)]


def _number(node: ast.expr, names: Mapping[str, Value]) -> Any:
    """The value of `node`, refused where it is a word: words multiply and format into gigabytes."""
    value = _value(node, names)
    if not isinstance(value, int | float):
        raise CircuitError(f"a recipe expression calculates with {value!r}", expected="numbers")
    return _small(value)


def _small(value: Any) -> Any:
    if not abs(value) <= MAX_VALUE:
        raise CircuitError(
            "a recipe expression has a value of more than 2**53, or not a number", expected="a smaller one"
        )
    return value


def _value(node: ast.expr, names: Mapping[str, Value]) -> Any:
    match node:
        case ast.Constant(value=bool() | int() | float() as value):
            return value
        case ast.Name(id=name):
            if name not in names:
                raise UnknownNameError("name in a recipe expression:", name, names)
            return names[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _small(_BINARY[type(op)](_number(left, names), _number(right, names)))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand, names)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _value(operand, names)
        case ast.BoolOp(op=op, values=values):
            every = (bool(_value(item, names)) for item in values)
            return all(every) if isinstance(op, ast.And) else any(every)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
            return _COMPARE[type(op)](_value(left, names), _value(right, names))
        case ast.IfExp(test=test, body=body, orelse=other):
            return _value(body if _value(test, names) else other, names)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*(_value(arg, names) for arg in args))
    raise CircuitError(
        f"recipe expression holds {ast.unparse(node)!r}",
        expected="numbers, names, + - * // % **, comparisons, and, or, not, if-else, min, max",
    )
