"""What a circuit is: gates with angles, observables, and where it starts. Backends run it."""

from __future__ import annotations

import enum
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hybridqies.circuit.angles import (
    Angle,
    Feature,
    Weight,
    as_angle,
    as_index,
    find_indices,
    from_list,
    size,
    terms,
    to_list,
)
from hybridqies.circuit.gate_type import GateType
from hybridqies.circuit.gates import gate_type
from hybridqies.errors import CircuitError


class Start(enum.Enum):
    """The state before the first gate: |0…0⟩, or an amplitude vector given with each sample."""

    ZERO = "zero"
    AMPLITUDES = "amplitudes"


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate: its type, the qubits it acts on (a control first), and its angles.

    A bare number among the angles becomes a constant in radians.
    """

    type: GateType
    qubits: tuple[int, ...]
    angles: tuple[Angle, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "qubits", _as_indices(self.qubits))
        object.__setattr__(self, "angles", tuple(map(as_angle, self.angles)))
        if len(self.qubits) != self.type.n_qubits or len(set(self.qubits)) != len(self.qubits):
            raise CircuitError(
                f"{self.type.name} was given qubits {self.qubits}",
                expected=f"{self.type.n_qubits} different qubit(s)",
            )
        if len(self.angles) != len(self.type.angles):
            raise CircuitError(
                f"{self.type.name} was given {len(self.angles)} angle(s)",
                expected=f"{len(self.type.angles)} ({', '.join(self.type.angles) or 'none'})",
            )


def gate(name: str, qubits: int | Sequence[int], *angles: Angle | float) -> Gate:
    """A gate by name; a bare number among `angles` is a constant in radians.

    >>> gate("CRY", (0, 2), Weight(3))
    """
    where = tuple(qubits) if isinstance(qubits, Iterable) else (qubits,)
    return Gate(gate_type(name), where, tuple(map(as_angle, angles)))


@dataclass(frozen=True, slots=True)
class PauliString:
    """A product of Pauli operators, as sorted (qubit, letter) pairs; no pair is the identity."""

    factors: tuple[tuple[int, str], ...]

    def __post_init__(self) -> None:
        factors = tuple((as_index(qubit), letter) for qubit, letter in self.factors)
        object.__setattr__(self, "factors", factors)
        qubits = [qubit for qubit, _ in factors]
        if qubits != sorted(set(qubits)) or any(letter not in ("X", "Y", "Z") for _, letter in factors):
            raise CircuitError(
                f"Pauli string was given factors {factors}",
                expected="pairs (qubit, 'X' | 'Y' | 'Z') with the qubits rising",
            )

    @classmethod
    def parse(cls, letters: str) -> PauliString:
        """From one letter a qubit, qubit 0 first: "ZIX" is Z on qubit 0 and X on qubit 2."""
        if not isinstance(letters, str) or not letters or set(letters.upper()) - set("IXYZ"):
            raise CircuitError(f"Pauli string {letters!r} cannot be read", expected="letters out of IXYZ")
        return cls(tuple((i, letter) for i, letter in enumerate(letters.upper()) if letter != "I"))

    @classmethod
    def on(cls, letter: str, *qubits: int) -> PauliString:
        """The same letter on each of `qubits`."""
        return cls(tuple((qubit, letter) for qubit in sorted(qubits)))

    def letters(self, n_qubits: int) -> str:
        """One letter a qubit, identities written out; `parse` gives it back."""
        placed = dict(self.factors)
        return "".join(placed.get(qubit, "I") for qubit in range(n_qubits))

    def __str__(self) -> str:
        return "".join(f"{letter}{qubit}" for qubit, letter in self.factors) or "I"


@dataclass(frozen=True, slots=True, repr=False)
class Circuit:
    """A parameterised circuit and what is read from it.

    Qubit 0 is the most significant bit of a basis state's index (big-endian, as
    in PennyLane; Qiskit's order is the reverse). With `start` AMPLITUDES every
    sample brings 2**n_qubits amplitudes before its features.
    """

    n_qubits: int
    gates: tuple[Gate, ...]
    observables: tuple[PauliString, ...]
    n_features: int
    n_weights: int
    start: Start = Start.ZERO
    name: str = "circuit"

    def __post_init__(self) -> None:
        for count, least in (("n_qubits", 1), ("n_features", 0), ("n_weights", 0)):
            number = as_index(getattr(self, count))
            object.__setattr__(self, count, number)
            if number < least:
                what = count.removeprefix("n_")
                raise CircuitError(f"{number} {what} were asked for", expected=f"at least {least}")
        object.__setattr__(self, "gates", tuple(self.gates))
        object.__setattr__(self, "observables", tuple(self.observables))
        if not self.observables:
            raise CircuitError(f"circuit {self.name!r} reads nothing", expected="at least one Pauli string")
        for at, each in enumerate(self.gates):
            self._check_gate(at, each)
        for observable in self.observables:
            self._check_qubits(f"observable {observable}", [qubit for qubit, _ in observable.factors])

    @classmethod
    def of(
        cls,
        n_qubits: int,
        gates: Iterable[Gate],
        observables: Iterable[PauliString] | None = None,
        *,
        start: Start = Start.ZERO,
        name: str = "circuit",
    ) -> Circuit:
        """A circuit with as many features and weights as its gates name; ⟨Z⟩ on every qubit by default."""
        gates = tuple(gates)
        if observables is None:
            observables = (PauliString.on("Z", qubit) for qubit in range(n_qubits))
        angles = [angle for each in gates for angle in each.angles]
        return cls(
            n_qubits,
            gates,
            tuple(observables),
            n_features=1 + max(find_indices(angles, Feature) | {-1}),
            n_weights=1 + max(find_indices(angles, Weight) | {-1}),
            start=start,
            name=name,
        )

    def __repr__(self) -> str:
        return (
            f"Circuit({self.name!r}: {self.n_qubits} qubits, {len(self.gates)} gates, "
            f"{self.n_features} features, {self.n_weights} weights, {len(self.observables)} observables)"
        )

    @property
    def n_amplitudes(self) -> int:
        """How many amplitudes a sample brings: 2**n_qubits, or 0 when the start is |0…0⟩."""
        return 2**self.n_qubits if self.start is Start.AMPLITUDES else 0

    @property
    def n_inputs(self) -> int:
        """Columns of one sample: its amplitudes, then its features."""
        return self.n_amplitudes + self.n_features

    @property
    def is_real(self) -> bool:
        """Whether real amplitudes stay real: every gate's matrix is real."""
        return all(each.type.is_real for each in self.gates)

    def two_qubit_gates(self) -> int:
        """How many gates act on two qubits."""
        return sum(len(each.qubits) == 2 for each in self.gates)

    def longest_distance(self) -> int:
        """How far apart the qubits of a gate are at most, with all qubits on a line."""
        return max((max(each.qubits) - min(each.qubits) for each in self.gates), default=0)

    def depth(self) -> int:
        """Layers of gates when each gate starts as soon as its qubits are free."""
        level = [0] * self.n_qubits
        for each in self.gates:
            after = 1 + max(level[qubit] for qubit in each.qubits)
            for qubit in each.qubits:
                level[qubit] = after
        return max(level)

    def to_mapping(self) -> dict[str, Any]:
        """The circuit as JSON values; `from_mapping` gives it back equal."""
        return {
            "name": self.name,
            "n_qubits": self.n_qubits,
            "n_features": self.n_features,
            "n_weights": self.n_weights,
            "start": self.start.value,
            "gates": [
                [each.type.name, list(each.qubits), [to_list(angle) for angle in each.angles]]
                for each in self.gates
            ],
            "observables": [[list(factor) for factor in each.factors] for each in self.observables],
        }

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Circuit:
        """The circuit that `to_mapping` wrote.

        Raises
        ------
        CircuitError: something in `values` is missing or of the wrong shape.
        """
        try:
            return cls(
                n_qubits=values["n_qubits"],
                gates=tuple(
                    Gate(gate_type(name), tuple(qubits), tuple(from_list(angle) for angle in angles))
                    for name, qubits, angles in values["gates"]
                ),
                observables=tuple(
                    PauliString(tuple((qubit, letter) for qubit, letter in factors))
                    for factors in values["observables"]
                ),
                n_features=values["n_features"],
                n_weights=values["n_weights"],
                start=Start(values["start"]),
                name=str(values["name"]),
            )
        except CircuitError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CircuitError(f"a stored circuit cannot be read: {error!r}") from error

    def digest(self) -> str:
        """SHA-256 over everything that decides the circuit's results; its name does not."""
        content = {key: value for key, value in self.to_mapping().items() if key != "name"}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def _check_gate(self, at: int, each: Gate) -> None:
        what = f"gate {at} ({each.type.name})"
        self._check_qubits(what, each.qubits)
        for term in (term for angle in each.angles for term in terms(angle)):
            match term:
                case Feature(indices):
                    if not indices or not all(0 <= index < self.n_features for index in indices):
                        raise CircuitError(
                            f"{what} takes features {indices}", expected=_below(self.n_features)
                        )
                case Weight(index):
                    if not 0 <= index < self.n_weights:
                        raise CircuitError(f"{what} takes weight {index}", expected=_below(self.n_weights))
            _check_finite(what, size(term))

    def _check_qubits(self, what: str, qubits: Iterable[int]) -> None:
        for qubit in qubits:
            if not 0 <= qubit < self.n_qubits:
                raise CircuitError(f"{what} acts on qubit {qubit}", expected=f"0 to {self.n_qubits - 1}")


def _as_indices(given: Any) -> tuple[int, ...]:
    if not isinstance(given, Iterable):
        raise CircuitError(f"qubits were given as {given!r}", expected="a tuple of whole numbers")
    return tuple(map(as_index, given))


def _below(count: int) -> str:
    return f"0 to {count - 1}" if count else "none: the circuit has none"


def _check_finite(what: str, value: float) -> None:
    if not math.isfinite(value):
        raise CircuitError(f"{what} has the angle or scale {value}", expected="a finite number")
