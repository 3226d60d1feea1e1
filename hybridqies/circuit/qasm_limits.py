"""What an OpenQASM program may ask for: sizes are counted on its syntax tree, before anything is built.

The importer builds what a program names at once: `bit[100000000] c;` ends the process, and forty
definitions of two calls each are 2**40 gates.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from hybridqies.circuit.qasm_angles import STANDARD, AngleSize, largest, size_of
from hybridqies.circuit.qiskit_gates import MAX_EXPANDED
from hybridqies.errors import CircuitError

MAX_QUBITS = 1000
MAX_BITS = 10_000
MAX_CONTROLS = 8
# The importer copies such a definition once more for each level that it is nested in.
MAX_NESTED = 2_000
MAX_TOKENS = 80_000
"""Words, numbers and signs; the parser reads some 40,000 a second."""
MAX_CHARACTERS = 2_000_000
MAX_DEPTH = 100
MAX_SIGNS = 100
"""Minus signs behind each other: the parser takes time that grows with their square."""
MAX_INPUTS = 4_000
MAX_PARAMETERS = 100
"""Angles of a gate's definition."""
MAX_SQUARES = 200_000
"""The squares of the numbers of terms, of all angles: reading an angle takes time in proportion to that."""
# The power of a gate is taken of its matrix.
_MAX_POWER_QUBITS = 4
# A control makes a gate of several out of each gate of a definition.
_GATES_PER_CONTROL = 6
_COMMENT = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_TOKEN = re.compile(r"[\w.]+|\S")
_SIGNS = re.compile(r"(?:[-!~]\s*)+")

_ALLOWED = (
    "Include",
    "Pragma",
    "QubitDeclaration",
    "ClassicalDeclaration",
    "IODeclaration",
    "QuantumGateDefinition",
    "QuantumGate",
    "QuantumPhase",
    "QuantumMeasurementStatement",
    "QuantumBarrier",
    "QuantumReset",
    "AliasStatement",
)


def check_text(text: str) -> None:
    """Refuses a text that would take long to parse.

    Raises
    ------
    CircuitError: it has too many characters or tokens, or brackets or signs too deep inside each other.
    """
    _check_count("characters", len(text), MAX_CHARACTERS)
    program = _COMMENT.sub(" ", text)
    _check_count("words, numbers and signs", sum(1 for _ in _TOKEN.finditer(program)), MAX_TOKENS)
    signs = (sum(not each.isspace() for each in run[0]) for run in _SIGNS.finditer(program))
    _check_count("signs behind each other", max(signs, default=0), MAX_SIGNS)
    _check_count("brackets inside each other", _depth(program), MAX_DEPTH)


def _check_count(what: str, count: int, most: int) -> None:
    if count > most:
        raise CircuitError(f"the OpenQASM 3 program has {count:,} {what}", expected=f"at most {most:,}")


def _depth(text: str) -> int:
    """How deep brackets lie inside each other at most."""
    depth = deepest = 0
    for bracket in re.findall(r"[()\[\]{}]", text):
        depth += 1 if bracket in "([{" else -1
        deepest = max(deepest, depth)
    return deepest


def check_program(program: Any) -> None:
    """Refuses a parsed program that asks for too much, or holds statements that a circuit can't have.

    Raises
    ------
    CircuitError: too many qubits, bits, inputs, controls or gates, too large angles, or control flow.
    """
    sizes = _Sizes()
    for statement in program.statements:
        sizes.take(statement)


class _Sizes:
    """Counts what the statements so far ask for."""

    def __init__(self) -> None:
        self._registers: dict[str, int] = {}
        self._gates: dict[str, int] = {}
        self._angles: dict[str, AngleSize] = {}
        self._nested: set[str] = set()
        self._squares = 0
        self._totals = dict.fromkeys(
            ("qubits", "bits", "inputs", "gates", "gates in definitions of definitions"), 0
        )

    def take(self, statement: Any) -> None:
        kind = type(statement).__name__
        if kind not in _ALLOWED:
            line = statement.span.start_line if statement.span else 0
            raise CircuitError(
                f"line {line} of the OpenQASM 3 program is a {kind}",
                expected="registers, inputs, gates and final measurements",
            )
        _check_indices(statement)
        if kind == "QubitDeclaration":
            self._declare(statement.qubit.name, statement.size, "qubits", MAX_QUBITS)
        elif kind == "ClassicalDeclaration":
            self._declare(statement.identifier.name, getattr(statement.type, "size", None), "bits", MAX_BITS)
        elif kind == "IODeclaration":
            self._add("inputs", 1, MAX_INPUTS)
        elif kind == "QuantumGateDefinition":
            _check_count(f"angles of gate {statement.name.name}", len(statement.arguments), MAX_PARAMETERS)
            size = self._size(statement.body)
            self._gates[statement.name.name] = size
            self._angles[statement.name.name] = largest(map(self._angle, statement.body))
            # Built when they are defined, whether or not they are called.
            if any(_name(call) in self._gates for call in statement.body):
                self._nested.add(statement.name.name)
                self._add("gates in definitions of definitions", size, MAX_NESTED)
        elif kind in ("QuantumGate", "QuantumPhase"):
            count = self._calls(statement)
            self._add("gates", count, MAX_EXPANDED)
            self._add_angles(statement, count)
            if _name(statement) in self._nested:
                self._add("gates in definitions of definitions", count, MAX_NESTED)

    def _declare(self, name: str, size: Any, what: str, most: int) -> None:
        count = 1 if size is None else getattr(size, "value", None)
        if not isinstance(count, int):
            raise CircuitError(
                f"register {name!r} of the OpenQASM 3 program has a computed size", expected="a number"
            )
        self._registers[name] = count
        self._add(what, count, most)

    def _add(self, what: str, count: int, most: int) -> None:
        self._totals[what] += count
        if self._totals[what] > most:
            raise CircuitError(
                f"the OpenQASM 3 program asks for more than {most:,} {what}",
                expected=f"at most {most:,}, with every definition written out",
            )

    def _add_angles(self, call: Any, count: int) -> None:
        """Counts the terms of a call's angles; angles of numbers cost nothing."""
        size = self._angle(call)
        if size.degree and size.terms > 1:
            self._squares += size.terms**2 * count
        if self._squares > MAX_SQUARES:
            raise CircuitError(
                "the angles of the OpenQASM 3 program have too many terms once they are multiplied out",
                expected="fewer sums, or products of fewer sums",
            )

    def _angle(self, call: Any) -> AngleSize:
        """The largest angle that a call brings, in its own gates or in those of its definition."""
        argument = getattr(call, "argument", None)
        given = largest(map(size_of, getattr(call, "arguments", ()) if argument is None else [argument]))
        return largest([given, self._angles.get(_name(call), STANDARD).of(given)])

    def _size(self, body: Iterable[Any]) -> int:
        """Gates of a definition, written out, and itself; stops counting where it is too much already."""
        return min(1 + sum(self._calls(each) for each in body), MAX_EXPANDED + 1)

    def _calls(self, call: Any) -> int:
        """Gates that a call is, written out: by its definition, its controls and its registers."""
        controls = _controls(call)
        wide = max((self._width(qubit) for qubit in getattr(call, "qubits", ())), default=1)
        return self._gates.get(_name(call), 1) * wide * (_GATES_PER_CONTROL**controls if controls else 1)

    def _width(self, qubit: Any) -> int:
        """How many qubits an operand may stand for."""
        if type(qubit).__name__ == "Identifier":
            return max(1, self._registers.get(qubit.name, 1))
        return 1 if _is_one(qubit) else max(1, self._registers.get(qubit.name.name, 1))


def _name(call: Any) -> str:
    return str(call.name.name) if hasattr(call, "name") else ""


def _is_one(indexed: Any) -> bool:
    """Whether an operand with indices is one qubit, as q[3] is and q[0:3] is not."""
    return all(
        isinstance(index, list) and all(not _is_range(each) for each in index) for index in indexed.indices
    )


def _is_range(node: Any) -> bool:
    return type(node).__name__ in ("RangeDefinition", "DiscreteSet")


def _controls(call: Any) -> int:
    """How many controls a call has."""
    from openqasm3.ast import GateModifierName as Name

    total = 0
    for modifier in getattr(call, "modifiers", ()):
        if modifier.modifier in (Name.ctrl, Name.negctrl):
            count = 1 if modifier.argument is None else getattr(modifier.argument, "value", None)
            total += count if isinstance(count, int) else MAX_CONTROLS + 1
        elif modifier.modifier is Name.pow and len(call.qubits) > _MAX_POWER_QUBITS:
            raise CircuitError(
                f"the OpenQASM 3 program takes a power of a gate on {len(call.qubits)} qubits",
                expected=f"at most {_MAX_POWER_QUBITS}",
            )
    if total > MAX_CONTROLS:
        raise CircuitError(
            f"a gate of the OpenQASM 3 program has {total} controls", expected=f"at most {MAX_CONTROLS}"
        )
    return total


def _check_indices(statement: Any) -> None:
    """Refuses indices and hardware qubits beyond any register: the importer makes lists of ranges."""
    for node in _nodes(statement):
        kind = type(node).__name__
        if kind == "Identifier" and node.name.startswith("$"):
            index = int(node.name[1:]) if node.name[1:].isdecimal() else 0
            if index >= MAX_QUBITS:
                raise CircuitError(f"hardware qubit {node.name} is used", expected=f"$0 to ${MAX_QUBITS - 1}")
        elif kind in ("RangeDefinition", "DiscreteSet"):
            for each in _nodes(node):
                if abs(getattr(each, "value", 0) or 0) > MAX_BITS:
                    raise CircuitError(
                        f"the OpenQASM 3 program has the index {each.value}", expected=f"at most {MAX_BITS}"
                    )


def _nodes(node: Any) -> Iterator[Any]:
    """A node and everything below it, without recursion."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list | tuple):
            waiting.extend(each)
        elif hasattr(each, "__dataclass_fields__"):
            yield each
            waiting.extend(getattr(each, name) for name in each.__dataclass_fields__ if name != "span")
