"""How many terms an angle of an OpenQASM program has once it is multiplied out.

Qiskit multiplies expressions out when it differentiates them, and a product of six sums of twenty
inputs has 64 million terms. They are counted here on the syntax tree, before Qiskit sees them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

_MANY = 10**9
_CONSTANTS = ("pi", "π", "tau", "τ", "euler", "ℇ")


class AngleSize(NamedTuple):
    """The terms of a polynomial when it is multiplied out, and its degree; neither is an underestimate."""

    terms: int = 1
    degree: int = 0

    def plus(self, other: AngleSize) -> AngleSize:
        """The size of a sum; numbers are added up at once."""
        if not (self.degree or other.degree):
            return NUMBER
        return AngleSize(_capped(self.terms + other.terms), max(self.degree, other.degree))

    def times(self, other: AngleSize) -> AngleSize:
        """The size of a product, or of a quotient."""
        return AngleSize(_capped(self.terms * other.terms), _capped(self.degree + other.degree))

    def of(self, arguments: AngleSize) -> AngleSize:
        """The size once each variable is replaced by an expression of the size of `arguments`."""
        if not self.degree:
            return self
        # Beyond 32 a power of two is larger than the cap.
        power = min(self.degree, 32)
        return AngleSize(
            _capped(self.terms * arguments.terms**power), _capped(self.degree * arguments.degree)
        )


NUMBER, VARIABLE = AngleSize(1, 0), AngleSize(1, 1)
# Gates of stdgates.inc have such angles in their definitions: (phi + lambda) / 2.
STANDARD = AngleSize(2, 1)


def largest(sizes: Iterable[AngleSize]) -> AngleSize:
    """The most terms and the highest degree among `sizes`; those of a number where there are none."""
    found = [NUMBER, *sizes]
    return AngleSize(max(each.terms for each in found), max(each.degree for each in found))


def size_of(node: Any) -> AngleSize:
    """The size of an expression of the syntax tree.

    Raises
    ------
    RecursionError: it is nested too deeply.
    """
    kind = type(node).__name__
    if kind == "BinaryExpression":
        left, right = size_of(node.lhs), size_of(node.rhs)
        return left.plus(right) if node.op.name in ("+", "-") else left.times(right)
    if kind == "UnaryExpression":
        return size_of(node.expression)
    if kind == "Identifier" and node.name not in _CONSTANTS:
        return VARIABLE
    # What else there is, the importer takes as a number or refuses.
    return NUMBER


def _capped(number: int) -> int:
    return min(number, _MANY)
