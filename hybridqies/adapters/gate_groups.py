"""Gates of a circuit joined into groups on one or two qubits, so that fewer matrices are applied."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hybridqies.circuit import Gate


@dataclass(slots=True)
class Group:
    """Gates on `qubits`, each by its number and its place: the qubit of a gate on one, None for all."""

    qubits: tuple[int, ...]
    members: list[tuple[int, int | None]] = field(default_factory=list)


def group_gates(gates: Iterable[Gate]) -> list[Group]:
    """The groups in the order in which they are applied.

    A gate on one qubit joins the group before it on that qubit, or else the next one.
    A gate on two joins the group before it if that is the last one on both of them, in the same order.
    """
    groups: dict[int, Group] = {}
    last: dict[int, int] = {}
    for at, each in enumerate(gates):
        before = {last.get(qubit) for qubit in each.qubits}
        home = before.pop() if len(before) == 1 else None
        if home is not None and len(each.qubits) == 1:
            groups[home].members.append((at, groups[home].qubits.index(each.qubits[0])))
        elif home is not None and groups[home].qubits == each.qubits:
            groups[home].members.append((at, None))
        else:
            groups[at] = Group(each.qubits, [*_absorb(groups, last, each), (at, None)])
            last.update(dict.fromkeys(each.qubits, at))
    return list(groups.values())


def _absorb(groups: dict[int, Group], last: dict[int, int], each: Gate) -> list[tuple[int, int | None]]:
    """The members of the groups on one qubit right before a gate on two; those groups are removed."""
    taken: list[tuple[int, int | None]] = []
    for place, qubit in enumerate(each.qubits):
        if qubit in last and len(groups[last[qubit]].qubits) == 1:
            taken += [(at, place) for at, _ in groups.pop(last[qubit]).members]
    return taken
