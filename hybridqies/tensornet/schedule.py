"""The order in which a tensor network applies a circuit: rounds of one-qubit gates, then of RZZ."""

from __future__ import annotations

from dataclasses import dataclass, field

from hybridqies.circuit import Angle, Circuit, Gate, add
from hybridqies.tensornet.ising_form import is_diagonal

Pair = tuple[int, int]


@dataclass(slots=True)
class Round:
    """One-qubit gates in their order, by qubit; then RZZ by these angles on pairs without a common qubit."""

    turns: dict[int, list[Gate]] = field(default_factory=dict)
    bonds: dict[Pair, Angle] = field(default_factory=dict)


def schedule(circuit: Circuit) -> list[Round]:
    """The rounds of a circuit in Ising form, as few as gates allow that commute.

    Diagonal gates on a qubit are in any order between two gates that aren't; RZZ gates on one pair
    between them are one.
    """
    lines = [_Line() for _ in range(circuit.n_qubits)]
    rounds: list[Round] = []
    for each in circuit.gates:
        if len(each.qubits) == 1:
            lines[each.qubits[0]].take(each, rounds)
        else:
            _place(each, lines, rounds)
    for line in lines:
        line.finish(rounds)
    return rounds


@dataclass(slots=True)
class _Line:
    """One qubit: the round of its last gate that isn't diagonal, and its bonds by round since then."""

    start: int = 0
    bonds: dict[int, Pair] = field(default_factory=dict)
    waiting: list[Gate] = field(default_factory=list)

    def take(self, each: Gate, rounds: list[Round]) -> None:
        """The next one-qubit gate; a diagonal one may wait until after the bonds."""
        self.waiting.append(each)
        if not (self.bonds and is_diagonal(each)):
            self.finish(rounds)

    def finish(self, rounds: list[Round]) -> None:
        """Applies the gates that wait, after all bonds until now."""
        if self.waiting:
            self.start = max(self.bonds, default=self.start - 1) + 1
            self.bonds.clear()
            qubit = self.waiting[0].qubits[0]
            _extend(rounds, self.start).turns.setdefault(qubit, []).extend(self.waiting)
            self.waiting = []


def _place(each: Gate, lines: list[_Line], rounds: list[Round]) -> None:
    pair = (min(each.qubits), max(each.qubits))
    first, second = (lines[qubit] for qubit in pair)
    angle = each.angles[0]
    at = max(first.start, second.start)
    while at in first.bonds or at in second.bonds:
        if first.bonds.get(at) == pair:
            rounds[at].bonds[pair] = add(rounds[at].bonds[pair], angle)
            return
        at += 1
    _extend(rounds, at).bonds[pair] = angle
    first.bonds[at] = second.bonds[at] = pair


def _extend(rounds: list[Round], at: int) -> Round:
    while len(rounds) <= at:
        rounds.append(Round())
    return rounds[at]
