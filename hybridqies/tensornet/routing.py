"""Gates brought onto a lattice by SWAPs."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from hybridqies.circuit import Circuit, Gate, PauliString, gate
from hybridqies.errors import CapabilityError

Pair = tuple[int, int]


def route(circuit: Circuit, edges: Iterable[Pair]) -> Circuit:
    """The circuit with SWAPs before each gate whose qubits are no neighbours; observables follow.

    The first qubit of such a gate is moved along a shortest path. Qubits stay where they are moved to.

    Raises
    ------
    CapabilityError: no path leads from one qubit of a gate to the other.
    """
    neighbours: list[list[int]] = [[] for _ in range(circuit.n_qubits)]
    for first, second in edges:
        neighbours[first].append(second)
        neighbours[second].append(first)
    sites = list(range(circuit.n_qubits))
    gates: list[Gate] = []
    for each in circuit.gates:
        if len(each.qubits) == 2:
            path = _shortest_path(neighbours, *(sites[qubit] for qubit in each.qubits))
            for at, to in itertools.pairwise(path[:-1]):
                gates.append(gate("SWAP", (at, to)))
                there = sites.index(to)
                sites[sites.index(at)], sites[there] = to, at
        gates.append(replace(each, qubits=tuple(sites[qubit] for qubit in each.qubits)))
    observables = tuple(
        PauliString(tuple(sorted((sites[qubit], letter) for qubit, letter in each.factors)))
        for each in circuit.observables
    )
    return replace(circuit, gates=tuple(gates), observables=observables)


def count_swaps(circuit: Circuit) -> int:
    """The SWAP gates of a circuit."""
    return sum(each.type.name == "SWAP" for each in circuit.gates)


def _shortest_path(neighbours: list[list[int]], start: int, end: int) -> list[int]:
    parents = {start: start}
    waiting = deque([start])
    while waiting and end not in parents:
        site = waiting.popleft()
        for other in neighbours[site]:
            if other not in parents:
                parents[other] = site
                waiting.append(other)
    if end not in parents:
        raise CapabilityError(
            f"a gate acts on sites {start} and {end}", expected="sites that edges of the lattice connect"
        )
    path = [end]
    while path[-1] != start:
        path.append(parents[path[-1]])
    return path[::-1]
