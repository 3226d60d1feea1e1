"""Noise of simulators: the table of channels, each with its native and its Aer form, and trajectories.

A channel is one row of `NoiseOptions`: the name of its option, with the channel in both forms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hybridqies.backends.executor import ExecutionOptions
from hybridqies.circuit import Circuit, Gate, PauliString, Weight, gate
from hybridqies.errors import InputError
from hybridqies.options import within

if TYPE_CHECKING:
    from qiskit_aer.noise import QuantumError

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Chances: TypeAlias = tuple[float, ...]


@dataclass(frozen=True, eq=False, slots=True)
class GateChannel:
    """Pauli errors after every gate on `sizes` qubits, in both forms; both take the values of its options.

    `draw(chances, size, rows, random)` draws whether X and whether Z hits each qubit of the gate, in turn:
    (rows, 2 * size). `to_aer(chances, size)` is Aer's error on `size` qubits.
    A channel whose options are all zero draws no random numbers, unless it `always_draws`: recorded results
    depend on the random numbers that the first channels take.
    """

    draw: Callable[[Chances, int, int, np.random.Generator], Flags]
    to_aer: Callable[[Chances, int], QuantumError]
    sizes: tuple[int, ...] = (1, 2)
    always_draws: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class ReadoutChannel:
    """Flips of measured bits, independent on every qubit; the option is the probability of a flip."""


def strength(channel: GateChannel | ReadoutChannel) -> Any:
    """A row of the table: a probability, 0 unless given. Errors of one channel exclude each other."""
    return field(default=0.0, metadata={"channel": channel})


def _draw_depolarising(chances: Chances, size: int, rows: int, random: np.random.Generator) -> Flags:
    hit = random.random((rows, 1)) < chances[0]
    flags: Flags = hit & random.integers(0, 2, (rows, 2 * size)).astype(bool)
    return flags


def _depolarising_in_aer(chances: Chances, size: int) -> QuantumError:
    from qiskit_aer.noise import depolarizing_error

    return depolarizing_error(chances[0], size)


def _draw_pauli(chances: Chances, size: int, rows: int, random: np.random.Generator) -> Flags:
    px, py, pz = chances
    drawn = random.random((rows, size))
    is_x = drawn < px
    is_y = (drawn >= px) & (drawn < px + py)
    is_z = (drawn >= px + py) & (drawn < px + py + pz)
    flags = np.empty((rows, 2 * size), dtype=bool)
    flags[:, 0::2], flags[:, 1::2] = is_x | is_y, is_z | is_y
    return flags


def _pauli_in_aer(chances: Chances, size: int) -> QuantumError:
    from qiskit_aer.noise import pauli_error

    one = pauli_error([*zip("XYZ", chances, strict=True), ("I", max(0.0, 1 - sum(chances)))])
    return one if size == 1 else one.tensor(one)


def _depolarising(size: int) -> GateChannel:
    return GateChannel(_draw_depolarising, _depolarising_in_aer, (size,), always_draws=True)


_PAULI = GateChannel(_draw_pauli, _pauli_in_aer, always_draws=True)
_READOUT = ReadoutChannel()


@dataclass(frozen=True, slots=True)
class NoiseOptions(ExecutionOptions):
    """Shots, and the table of channels: errors after every gate as it is written, and at readout.

    `p1` and `p2` are depolarising: with that probability the qubits of a one- or two-qubit gate are
    replaced by the maximally mixed state (Qiskit's convention: each of the 4**k Paulis has p / 4**k).
    `px`, `py`, `pz` hit every qubit of every gate with that Pauli. `readout` flips a measured bit.
    """

    p1: float = strength(_depolarising(1))
    p2: float = strength(_depolarising(2))
    px: float = strength(_PAULI)
    py: float = strength(_PAULI)
    pz: float = strength(_PAULI)
    readout: float = strength(_READOUT)

    def __post_init__(self) -> None:
        ExecutionOptions.__post_init__(self)
        for names in self._channels().values():
            within(self, "backend option", **dict.fromkeys(names, (0, 1)))
            chances = [getattr(self, name) for name in names]
            if sum(chances) > 1:
                raise InputError(
                    f"{_listed(names)} were given {_listed(map(str, chances))}", expected="a sum up to 1"
                )

    @classmethod
    def _channels(cls) -> dict[GateChannel | ReadoutChannel, list[str]]:
        """The table: each channel and the names of its options."""
        found: dict[GateChannel | ReadoutChannel, list[str]] = {}
        for each in fields(cls):
            if "channel" in each.metadata:
                found.setdefault(each.metadata["channel"], []).append(each.name)
        return found

    @property
    def noise(self) -> Noise:
        """The errors alone."""
        gates, flip = [], 0.0
        for channel, names in self._channels().items():
            chances = tuple(getattr(self, name) for name in names)
            if isinstance(channel, GateChannel):
                gates.append((channel, chances))
            else:
                # Of two flips one after the other, both cancel.
                flip = flip + chances[0] - 2 * flip * chances[0]
        return Noise(tuple(gates), flip)


def _listed(words: Any) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}"


@dataclass(frozen=True, slots=True)
class Noise:
    """The channels after gates with their probabilities, and the probability that a bit is misread."""

    gates: tuple[tuple[GateChannel, Chances], ...] = ()
    flip: float = 0.0

    @property
    def has_gate_errors(self) -> bool:
        """Whether gates have errors."""
        return any(any(chances) for _, chances in self.gates)

    @property
    def is_none(self) -> bool:
        """Whether there are no errors at all."""
        return not (self.has_gate_errors or self.flip)

    def draw(self, size: int, rows: int, random: np.random.Generator) -> Flags:
        """Whether X, and whether Z, hits each qubit of a gate on `size` of them: (rows, 2 * size)."""
        flags = np.zeros((rows, 2 * size), dtype=bool)
        for channel, chances in self.gates:
            if size in channel.sizes and (any(chances) or channel.always_draws):
                flags ^= channel.draw(chances, size, rows, random)
        return flags

    def in_aer(self, size: int) -> list[QuantumError]:
        """Aer's errors after a gate on `size` qubits, in the order in which they happen."""
        return [
            channel.to_aer(chances, size)
            for channel, chances in self.gates
            if size in channel.sizes and any(chances)
        ]

    @property
    def confusion(self) -> Floats | None:
        """Probabilities of the bit read (column) given the true bit (row); None where nothing is misread."""
        if not self.flip:
            return None
        return np.array([[1 - self.flip, self.flip], [self.flip, 1 - self.flip]])

    def blur(self, probabilities: Floats) -> Floats:
        """Probabilities (N, 2**n) of the outcomes read, from those of the true outcomes."""
        return apply_confusions(probabilities, [self.confusion] * (probabilities.shape[1].bit_length() - 1))

    def fading(self, observables: Sequence[PauliString]) -> list[float]:
        """The factor by which misread bits shrink the expectation of each observable."""
        return [(1 - 2 * self.flip) ** len(each.factors) for each in observables]


def apply_confusions(probabilities: Floats, confusions: Sequence[Floats | None]) -> Floats:
    """Probabilities (N, 2**n) of the outcomes read; a confusion has a row for each true bit, or is None."""
    read = probabilities
    for qubit, confusion in enumerate(confusions):
        if confusion is not None:
            parts = read.reshape(len(read), 1 << qubit, 2, -1)
            read = np.einsum("ti,natb->naib", confusion, parts).reshape(len(read), -1)
    return read


@dataclass(frozen=True, slots=True)
class Trajectories:
    """`circuit` with two more weights for each place of an error: π where X, and where Z, is applied.

    `groups` are the qubits of each gate, whose errors are drawn together.
    """

    circuit: Circuit
    groups: tuple[int, ...]

    @classmethod
    def of(cls, circuit: Circuit) -> Trajectories:
        """`circuit` with an RX and an RZ after every gate on each of its qubits: X, Y and Z up to a phase."""
        gates = tuple(_with_errors(circuit))
        sizes = tuple(len(each.qubits) for each in circuit.gates)
        return cls(replace(circuit, gates=gates, n_weights=circuit.n_weights + 2 * sum(sizes)), sizes)

    def draw(self, noise: Noise, rows: int, random: np.random.Generator) -> Floats:
        """Angles of the errors of `rows` runs, (rows, 2 * places)."""
        columns = [noise.draw(size, rows, random) for size in self.groups]
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
