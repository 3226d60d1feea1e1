"""What a peer is handed and what it hands back, as NPZ files; needs numpy and nothing of ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

# Values (B, M), gradient of the features (B, F), gradient of the weights (W,): arrays of the peer's own kind.
Result: TypeAlias = tuple[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate: its name, its qubits (a control first), its angles such as ("feature", [i], scale)."""

    name: str
    qubits: tuple[int, ...]
    angles: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class Workload:
    """One circuit and its numbers; a step gives ⟨observables⟩ and the gradient of sum(cotangent * values).

    `circuit` is what `Circuit.to_mapping` writes. Qubit 0 is the most significant
    bit. Shapes: features (B, F), weights (W,), cotangent (B, M), float64.
    """

    circuit: dict[str, Any]
    features: Array
    weights: Array
    cotangent: Array
    device: str = "cpu"
    precision: str = "float32"

    @property
    def n_qubits(self) -> int:
        """How many qubits."""
        return int(self.circuit["n_qubits"])

    @property
    def gates(self) -> Iterator[Gate]:
        """The gates in order."""
        for name, qubits, angles in self.circuit["gates"]:
            yield Gate(name, tuple(qubits), tuple(map(tuple, angles)))

    @property
    def observables(self) -> list[list[tuple[int, str]]]:
        """Pauli strings, as (qubit, letter) pairs."""
        return [[(qubit, letter) for qubit, letter in each] for each in self.circuit["observables"]]

    @property
    def z_qubits(self) -> list[int]:
        """The qubit of each observable where all are a single Z.

        Raises
        ------
        NotImplementedError: one is not.
        """
        if any(len(each) != 1 or each[0][1] != "Z" for each in self.observables):
            raise NotImplementedError("this peer's file reads single Z observables only")
        return [each[0][0] for each in self.observables]

    def write(self, path: Path) -> None:
        """Stores it as one NPZ file."""
        facts = {"circuit": self.circuit, "device": self.device, "precision": self.precision}
        arrays = {"features": self.features, "weights": self.weights, "cotangent": self.cotangent}
        np.savez(path, facts=np.array(json.dumps(facts)), **arrays)

    @classmethod
    def read(cls, path: Path) -> Workload:
        """What `write` stored."""
        with np.load(path) as held:
            arrays = {name: held[name] for name in ("features", "weights", "cotangent")}
            return cls(**json.loads(str(held["facts"])), **arrays)


def angle_value(angle: tuple[Any, ...], features: Any, weights: Any) -> Any:
    """The angle in radians: (B,) when it reads features (B, F), else a scalar."""
    kind, source, *scale = angle
    if kind == "constant":
        return source
    if kind == "weight":
        return weights[source] if scale[0] == 1 else scale[0] * weights[source]
    value = features[..., source[0]]
    for index in source[1:]:
        value = value * features[..., index]
    return value if scale[0] == 1 else scale[0] * value


@dataclass(frozen=True, slots=True)
class Prepared:
    """A circuit made ready: `step` runs forward and backward once and waits for the end.

    `precision` is what its state really is; `fresh` runs one step of a circuit
    not seen before in a process that is warm; `facts` go into the record as they are.
    """

    step: Callable[[], Result]
    precision: str
    fresh: Callable[[], Result] | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Timing:
    """How one process went, in seconds and bytes; `first` is the making of the circuit and its first step."""

    precision: str
    first: float
    warm_up: float
    steps: tuple[float, ...]
    peak_bytes: int
    import_bytes: int
    threads: int
    new_circuit: float | None
    versions: dict[str, str]
    facts: dict[str, Any]


def write_result(path: Path, timing: Timing, result: Result) -> None:
    """Stores what a peer found and how long it took."""
    values, features, weights = (np.asarray(each, dtype=np.float64) for each in result)
    np.savez(
        path, timing=np.array(json.dumps(asdict(timing))), values=values, features=features, weights=weights
    )


def read_result(path: Path) -> tuple[Timing, tuple[Array, Array, Array]]:
    """What `write_result` stored."""
    with np.load(path) as held:
        timing = Timing(**json.loads(str(held["timing"])))
        return timing, (held["values"], held["features"], held["weights"])
