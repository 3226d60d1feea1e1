"""Circuits of one-qubit gates and RZZ, which is all that tensor networks apply.

Every two-qubit gate of the set but SWAP is one RZZ between one-qubit gates, and SWAP is three.
RZZ is diagonal, and the sum of two products of one-qubit operators: it at most doubles a bond.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from hybridqies.circuit import Angle, Circuit, Gate, gate, gate_type
from hybridqies.circuit.angles import scaled

_QUARTER = math.pi / 2
_DIAGONAL = frozenset({"Z", "S", "SDG", "T", "TDG", "RZ", "P", "RZZ"})
# What turns X or Y into Z, and back.
_TO_Z = {"X": (("H",), ("H",)), "Y": (("SDG", "H"), ("H", "S")), "Z": ((), ())}

Parts = Iterator[Gate]


def to_ising_form(circuit: Circuit) -> Circuit:
    """The same circuit up to a global phase, with RZZ as its only two-qubit gate."""
    gates = [part for each in circuit.gates for part in _parts(each)]
    return replace(circuit, gates=tuple(gates))


def is_diagonal(each: Gate) -> bool:
    """Whether a gate of the form commutes with Z on each of its qubits."""
    return each.type.name in _DIAGONAL


def drop_unread(circuit: Circuit) -> Circuit:
    """A circuit in this form without the gates that change none of its observables.

    From the end: gates on qubits that nothing reads, and diagonal gates on qubits that are read in Z alone.
    """
    read = {qubit for each in circuit.observables for qubit, _ in each.factors}
    turned = {qubit for each in circuit.observables for qubit, letter in each.factors if letter != "Z"}
    kept: list[Gate] = []
    for each in reversed(circuit.gates):
        qubits = set(each.qubits)
        if is_diagonal(each):
            if not qubits & turned:
                continue
            read |= qubits
        else:
            if not qubits & read:
                continue
            turned |= qubits
        kept.append(each)
    return replace(circuit, gates=tuple(reversed(kept)))


def _parts(each: Gate) -> Parts:
    if each.type.n_qubits == 1:
        yield each
    else:
        yield from _TWO_QUBIT_GATES[each.type.name](each.qubits, each.angles)


def _fixed(names: Iterable[str], qubit: int) -> Parts:
    for name in names:
        yield Gate(gate_type(name), (qubit,))


def _ising(letter: str) -> Callable[[tuple[int, ...], tuple[Angle, ...]], Parts]:
    """RXX, RYY or RZZ."""
    before, after = _TO_Z[letter]

    def parts(qubits: tuple[int, ...], angles: tuple[Angle, ...]) -> Parts:
        for qubit in qubits:
            yield from _fixed(before, qubit)
        yield gate("RZZ", qubits, angles[0])
        for qubit in qubits:
            yield from _fixed(after, qubit)

    return parts


def _controlled_pauli(letter: str) -> Callable[[tuple[int, ...], tuple[Angle, ...]], Parts]:
    """CNOT, CY or CZ: a quarter turn of both qubits and of their product."""
    before, after = _TO_Z[letter]

    def parts(qubits: tuple[int, ...], _: tuple[Angle, ...]) -> Parts:
        control, target = qubits
        yield from _fixed(before, target)
        yield gate("RZ", control, _QUARTER)
        yield gate("RZ", target, _QUARTER)
        yield gate("RZZ", qubits, -_QUARTER)
        yield from _fixed(after, target)

    return parts


def _controlled_rotation(letter: str) -> Callable[[tuple[int, ...], tuple[Angle, ...]], Parts]:
    """CRX, CRY or CRZ: half a turn of the target, and half of it back where the control is 0."""
    before, after = _TO_Z[letter]

    def parts(qubits: tuple[int, ...], angles: tuple[Angle, ...]) -> Parts:
        _, target = qubits
        yield from _fixed(before, target)
        yield gate("RZ", target, scaled(angles[0], 0.5))
        yield gate("RZZ", qubits, scaled(angles[0], -0.5))
        yield from _fixed(after, target)

    return parts


def _swap(qubits: tuple[int, ...], _: tuple[Angle, ...]) -> Parts:
    cnot = _controlled_pauli("X")
    for pair in (qubits, qubits[::-1], qubits):
        yield from cnot(pair, ())


_TWO_QUBIT_GATES: dict[str, Callable[[tuple[int, ...], tuple[Angle, ...]], Parts]] = {
    **{f"R{letter}{letter}": _ising(letter) for letter in "XYZ"},
    **{f"CR{letter}": _controlled_rotation(letter) for letter in "XYZ"},
    **{name: _controlled_pauli(letter) for name, letter in (("CNOT", "X"), ("CY", "Y"), ("CZ", "Z"))},
    "SWAP": _swap,
}
