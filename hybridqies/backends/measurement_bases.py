"""Measurement bases: which observables share one circuit, and the gates that rotate their basis to Z."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hybridqies.circuit import Circuit, Gate, PauliString, gate

# Gates that rotate the eigenbasis of a Pauli operator to that of Z.
_TURNS = {"X": ("H",), "Y": ("SDG", "H"), "Z": ()}


@dataclass(frozen=True, slots=True)
class Basis:
    """The basis in which one circuit is measured, and the observables that are read from it.

    `letters` maps qubits to X, Y or Z; other qubits may be measured in any basis.
    `observables` are indices into the observables of the circuit.
    """

    letters: Mapping[int, str]
    observables: tuple[int, ...]

    def gates(self) -> tuple[Gate, ...]:
        """The gates that rotate this basis to Z on every qubit."""
        return tuple(gate(name, qubit) for qubit, letter in self.letters.items() for name in _TURNS[letter])


def group_observables(observables: Sequence[PauliString]) -> tuple[Basis, ...]:
    """Bases that together read every observable; those that agree on each shared qubit share one.

    All Z-type observables are read from one circuit. First fit in the order given.
    """
    found: list[tuple[dict[int, str], list[int]]] = []
    for at, observable in enumerate(observables):
        fitting = (basis for basis in found if _agree(basis[0], observable))
        letters, readers = next(fitting, ({}, []))
        if not readers:
            found.append((letters, readers))
        letters.update(observable.factors)
        readers.append(at)
    return tuple(Basis(letters, tuple(readers)) for letters, readers in found)


def _agree(letters: Mapping[int, str], observable: PauliString) -> bool:
    return all(letters.get(qubit, letter) == letter for qubit, letter in observable.factors)


def split_by_basis(circuit: Circuit) -> tuple[Circuit, ...]:
    """`circuit` once for each of its bases, followed by the gates that rotate the basis to Z."""
    return tuple(
        replace(circuit, gates=circuit.gates + basis.gates())
        for basis in group_observables(circuit.observables)
    )
