"""A support-vector classifier whose kernel is a circuit's: fidelity of its states, or projected."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from hybridqies.backends import QuantumLayer, RemoteBackend
from hybridqies.circuit import Circuit, PauliString, load_circuit
from hybridqies.errors import CapabilityError, InputError
from hybridqies.heads.base import HeadContext
from hybridqies.heads.principal import Reduce, fit_directions
from hybridqies.heads.support_vectors import SupportVectorHead, gaussian, scale_rule
from hybridqies.options import within

# Amplitudes held at a time, and rows of a block of the kernel.
_AMPLITUDES, _BLOCK = 2**23, 2048
# The kernel matrix of so many rows takes 3.2 GB, and scikit-learn's solver needs it whole.
MOST_ROWS = 20_000


class Kernel(enum.Enum):
    """What of two states is compared: the whole states, or each qubit by itself."""

    FIDELITY = "fidelity"
    PROJECTED = "projected"


@dataclass(frozen=True, slots=True)
class QuantumKernelConfig:
    """The circuit's angles are `bandwidth` times the reduced embedding, which has unit variance.

    A small bandwidth makes states of different rows more alike; Shaydulin and Wild, "Importance of kernel
    bandwidth in quantum machine learning", arXiv:2111.05451. `gamma` is that of the projected kernel; None
    is scikit-learn's "scale" rule. `C` as in scikit-learn. A recipe's trainable angles, if it has any, are
    drawn once within ±`spread` and stay as they are.
    """

    n_qubits: int = 9
    circuit: str = "iqp-feature-map"
    circuit_options: Mapping[str, Any] = field(default_factory=dict)
    kernel: Kernel = Kernel.FIDELITY
    reduce: Reduce = Reduce.PCA
    bandwidth: float = 0.1
    gamma: float | None = None
    C: float = 1.0
    spread: float = math.pi

    def __post_init__(self) -> None:
        within(self, "head option", bandwidth=(1e-6, 1e6), gamma=(1e-9, 1e9), C=(1e-9, 1e9), spread=(0, 1e6))
        if self.gamma is not None and self.kernel is Kernel.FIDELITY:
            raise InputError(
                f"gamma={self.gamma} was given with kernel=fidelity, which has none",
                todo="use kernel=projected, or change bandwidth",
            )


class QuantumKernelHead(SupportVectorHead):
    """Embedding → principal components → angles → states of the circuit → kernel → support-vector machines.

    Fidelity: |⟨ψ(x)|ψ(y)⟩|², Havlíček et al., "Supervised learning with quantum-enhanced feature spaces",
    Nature 567, 209 (2019), arXiv:1804.11326. Projected: exp(-γ Σ_q |ρ_q(x) - ρ_q(y)|²) of the states ρ_q of
    single qubits, Huang et al., "Power of data in quantum machine learning", Nature Communications 12,
    2631 (2021), arXiv:2011.01938, Eq. 9; it needs expectations alone, and so runs on any backend.

    Raises
    ------
    CapabilityError: the fidelity on a backend that gives no final states.
    InputError: a circuit without angle features.
    """

    name: ClassVar[str] = "quantum-kernel"
    Config: ClassVar[type] = QuantumKernelConfig
    runs_circuit: ClassVar[bool] = True
    recipes: ClassVar[Mapping[str, str]] = {"circuit": "circuit"}

    mean: Tensor
    directions: Tensor
    gamma: Tensor

    def __init__(self, config: QuantumKernelConfig, context: HeadContext) -> None:
        circuit = context.circuit(
            "circuit", lambda: load_circuit(config.circuit, config.n_qubits, **config.circuit_options)
        )
        if circuit.n_amplitudes or not circuit.n_features:
            raise InputError(
                f"circuit {circuit.name!r} was given to a quantum kernel", expected="one with angle features"
            )
        width = circuit.n_features
        if config.kernel is Kernel.PROJECTED:
            circuit = replace(circuit, observables=_paulis(circuit.n_qubits))
            width = len(circuit.observables)
        super().__init__(config, context, width)
        self.circuit = QuantumLayer(
            circuit, context.backend, spread=config.spread, generator=context.generator
        )
        self.circuit.weights.requires_grad_(False)
        if not (self._is_projected or self.circuit.backend.gives_states):
            raise CapabilityError(
                f"kernel=fidelity was asked of backend {self.circuit.backend.label!r}, "
                "which gives no final states",
                expected="'statevector' without shots or noise",
                todo="use kernel=projected",
            )
        self.register_buffer("mean", torch.zeros(context.n_inputs))
        self.register_buffer("directions", torch.zeros(circuit.n_features, context.n_inputs))
        self.register_buffer("gamma", torch.ones(()))

    def adapt(self, embeddings: Tensor) -> None:
        """The directions on which the training embeddings vary most."""
        mean, directions = fit_directions(embeddings, len(self.directions), self.config.reduce)
        self.mean.copy_(mean)
        self.directions.copy_(directions)

    @torch.no_grad()
    def solve(self, embeddings: Tensor, labels: Tensor, class_weights: Tensor | None, seed: int) -> None:
        """Solves the dual problem; `labels` (B,) are class indices.

        Raises
        ------
        InputError: more rows than a fidelity kernel can be solved for.
        """
        angles = self.angles(embeddings)
        if self._is_projected:
            rows = self._paulis(angles)
            values = rows.double().cpu().numpy()
            gamma = scale_rule(values) if self.config.gamma is None else self.config.gamma / 2
            self.gamma = torch.tensor(gamma, dtype=torch.float64).to(embeddings)
            support = self._fit(values, labels, class_weights, seed, embeddings, kernel="rbf", gamma=gamma)
        else:
            _check_rows(len(angles))
            rows = angles
            values = self._fidelities(angles, angles).cpu().numpy()
            support = self._fit(values, labels, class_weights, seed, embeddings, kernel="precomputed")
        self.vectors = rows[torch.from_numpy(support).to(rows.device).long()].to(embeddings)

    def angles(self, embeddings: Tensor) -> Tensor:
        """The circuit's angles (B, F) in radians for embeddings (B, D), in float64."""
        reduced: Tensor = (embeddings.double() - self.mean.double()) @ self.directions.double().T
        bandwidth: float = self.config.bandwidth
        return reduced * bandwidth

    def kernel(self, embeddings: Tensor) -> Tensor:
        """Kernel values (B, V) with the support vectors."""
        angles = self.angles(embeddings)
        if self._is_projected:
            return gaussian(self._paulis(angles).to(self.vectors), self.vectors, self.gamma)
        return self._fidelities(angles, self.vectors.double()).to(self.dual)

    def circuits(self) -> dict[str, Circuit]:
        """The one circuit, as "circuit"; a projected kernel's reads every Pauli operator of every qubit."""
        return {"circuit": self.circuit.circuit}

    def _fidelities(self, left: Tensor, right: Tensor) -> Tensor:
        """|⟨ψ(x)|ψ(y)⟩|² of angles (L, F) and (R, F), as (L, R), block by block."""
        size = min(_BLOCK, self._rows_at_once)
        values = left.new_empty(len(left), len(right))
        for columns in _slices(len(right), size):
            others = self.circuit.states(right[columns]).mH
            for rows in _slices(len(left), size):
                values[rows, columns] = (self.circuit.states(left[rows]) @ others).abs().square()
        return values

    def _paulis(self, angles: Tensor) -> Tensor:
        """⟨X⟩, ⟨Y⟩ and ⟨Z⟩ of every qubit, (B, 3 n)."""
        # At a service every submission waits in a queue.
        together = isinstance(self.circuit.backend, RemoteBackend)
        size = max(1, len(angles)) if together else self._rows_at_once
        plain = angles.to(self.circuit.weights.dtype)
        return torch.cat([self.circuit(plain[rows]) for rows in _slices(len(plain), size)])

    @property
    def _is_projected(self) -> bool:
        return bool(self.config.kernel is Kernel.PROJECTED)

    @property
    def _rows_at_once(self) -> int:
        return max(1, _AMPLITUDES >> self.circuit.circuit.n_qubits)


def _paulis(n_qubits: int) -> tuple[PauliString, ...]:
    return tuple(PauliString.on(letter, qubit) for letter in "XYZ" for qubit in range(n_qubits))


def _slices(count: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, max(1, count), size)]


def _check_rows(count: int) -> None:
    if count > MOST_ROWS:
        raise InputError(
            f"{count:,} rows were given to a fidelity kernel, which compares each with each",
            expected=f"at most {MOST_ROWS:,} rows",
            todo="use fewer rows, or kernel=projected",
        )
