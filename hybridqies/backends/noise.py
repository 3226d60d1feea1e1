"""Pauli noise by trajectories: a circuit whose errors are angles of 0 or π, and draws of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hybridqies.circuit import Circuit, Gate, Weight, gate
from hybridqies.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PauliNoise:
    """Errors after every gate, and at readout.

    `p1` and `p2` are depolarising: with that probability the qubits of a one- or two-qubit gate are
    replaced by the maximally mixed state (Qiskit's convention: each of the 4**k Paulis has p / 4**k).
    `px`, `py`, `pz` hit every qubit of every gate with that Pauli. `readout` flips a measured bit.
    Gates are those of the circuit as it is written, before any compilation.
    """

    p1: float = 0.0
    p2: float = 0.0
    px: float = 0.0
    py: float = 0.0
    pz: float = 0.0
    readout: float = 0.0

    def __post_init__(self) -> None:
        if self.px + self.py + self.pz > 1:
            given = f"{self.px}, {self.py} and {self.pz}"
            raise InputError(f"px, py and pz were given {given}", expected="a sum up to 1")

    @property
    def has_gate_errors(self) -> bool:
        """Whether anything happens before the readout."""
        return any((self.p1, self.p2, self.px, self.py, self.pz))

    def blurred(self, probabilities: Floats) -> Floats:
        """Probabilities (N, 2**n) of what is read where those of what is there are given."""
        if not self.readout:
            return probabilities
        flip = np.array([[1 - self.readout, self.readout], [self.readout, 1 - self.readout]])
        return apply_confusions(probabilities, [flip] * (probabilities.shape[1].bit_length() - 1))


def apply_confusions(probabilities: Floats, confusions: Sequence[Floats | None]) -> Floats:
    """Probabilities (N, 2**n) of what is read; a confusion is (what is there, what is read), or None."""
    read = probabilities
    for qubit, confusion in enumerate(confusions):
        if confusion is not None:
            parts = read.reshape(len(read), 1 << qubit, 2, -1)
            read = np.einsum("ti,natb->naib", confusion, parts).reshape(len(read), -1)
    return read


@dataclass(frozen=True, slots=True)
class Trajectories:
    """`circuit` with two more weights for each place an error can be in: π where X, and where Z, is applied.

    `groups` are the qubits of each gate, whose errors are drawn together.
    """

    circuit: Circuit
    groups: tuple[int, ...]

    @classmethod
    def of(cls, circuit: Circuit) -> Trajectories:
        """`circuit` with an RX and an RZ behind every gate on each qubit: X, Y and Z up to a phase."""
        gates = tuple(_with_errors(circuit))
        sizes = tuple(len(each.qubits) for each in circuit.gates)
        return cls(replace(circuit, gates=gates, n_weights=circuit.n_weights + 2 * sum(sizes)), sizes)

    def draw(self, noise: PauliNoise, rows: int, random: np.random.Generator) -> Floats:
        """Angles of the errors of so many runs, (rows, 2 * places)."""
        columns = [_errors(noise, size, rows, random) for size in self.groups]
        flags = np.concatenate(columns, axis=1) if columns else np.zeros((rows, 0), dtype=bool)
        angles: Floats = math.pi * flags.astype(np.float64)
        return angles


def _with_errors(circuit: Circuit) -> Iterator[Gate]:
    at = circuit.n_weights
    for each in circuit.gates:
        yield each
        for qubit in each.qubits:
            yield gate("RX", qubit, Weight(at))
            yield gate("RZ", qubit, Weight(at + 1))
            at += 2


def _errors(noise: PauliNoise, size: int, rows: int, random: np.random.Generator) -> NDArray[np.bool_]:
    """Whether X, and whether Z, hits each of a gate's qubits: (rows, 2 * size), X and Z in turn."""
    depolarised = random.random((rows, 1)) < (noise.p1 if size == 1 else noise.p2)
    flags: NDArray[np.bool_] = depolarised & random.integers(0, 2, (rows, 2 * size)).astype(bool)
    drawn = random.random((rows, size))
    is_x = drawn < noise.px
    is_y = (drawn >= noise.px) & (drawn < noise.px + noise.py)
    is_z = (drawn >= noise.px + noise.py) & (drawn < noise.px + noise.py + noise.pz)
    flags[:, 0::2] ^= is_x | is_y
    flags[:, 1::2] ^= is_z | is_y
    return flags
