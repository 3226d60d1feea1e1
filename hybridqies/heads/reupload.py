"""The data re-uploading classifier: features straight into the gates, no trained layer before them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hybridqies.backends import Backend, QuantumLayer, load_backend
from hybridqies.circuit import Circuit, load_circuit
from hybridqies.circuit.recipe import MAX_QUBITS
from hybridqies.errors import InputError
from hybridqies.heads.base import Description, Head, HeadContext, Term
from hybridqies.heads.principal import Reduce, fit_directions
from hybridqies.heads.readout import circuit_term, linear, linear_term
from hybridqies.options import within
from hybridqies.roles import Role


@dataclass(frozen=True, slots=True)
class ReuploadConfig:
    """`n_qubits` None means as many as the columns need, `columns_per_qubit` on each qubit at an upload.

    Before the trained scale, the training values of a column span ±`reach` radians. With `reduce` PCA a head
    of too few qubits takes principal components of the training set for its columns, as many as it has room
    for, and the widest spans ±`reach`; with enough qubits it takes the columns as they are.
    """

    n_qubits: int | None = None
    circuit: str = "data-reuploading"
    circuit_options: Mapping[str, Any] = field(default_factory=dict)
    columns_per_qubit: int = 3
    reduce: Reduce = Reduce.COLUMNS
    reach: float = math.pi / 2
    spread: float = math.pi

    def __post_init__(self) -> None:
        within(self, "head option", columns_per_qubit=(1, 1e6), reach=(0, 1e6), spread=(0, 1e6))


class ReuploadHead(Head):
    """Embedding → every column to ±reach → times a trained scale → circuit → linear → logits.

    Pérez-Salinas, Cervera-Lierta, Gil-Fuster, Latorre, "Data re-uploading for a universal quantum
    classifier", Quantum 4, 226 (2020), arXiv:1907.02085: every upload u has angles ω_u · x with trained ω.
    Their weighted fidelities are a linear readout of ⟨Z⟩ here, under cross-entropy. A circuit with fewer
    features than uploads times columns repeats them itself, and has one ω a column then.

    Raises
    ------
    InputError: a circuit whose angle features are no whole number of uploads that hold every column.
    """

    name: ClassVar[str] = "reupload"
    Config: ClassVar[type] = ReuploadConfig
    runs_circuit: ClassVar[bool] = True
    recipes: ClassVar[Mapping[str, str]] = {"circuit": "circuit"}
    roles: ClassVar[Mapping[str, Role]] = {"readout": Role.READOUT}

    mean: Tensor
    directions: Tensor
    centre: Tensor
    width: Tensor

    def __init__(self, config: ReuploadConfig, context: HeadContext) -> None:
        super().__init__(config, context)
        draw, given = context.generator, context.n_inputs
        qubits = config.n_qubits
        if qubits is None:
            qubits = math.ceil(given / config.columns_per_qubit)
            _check_room(context.backend, given, config.columns_per_qubit)
        circuit = context.circuit(
            "circuit", lambda: load_circuit(config.circuit, qubits, **config.circuit_options)
        )
        places = config.columns_per_qubit * circuit.n_qubits
        self.is_reduced = config.reduce is Reduce.PCA and given > places
        columns = places if self.is_reduced else given
        _check(circuit, columns, places)
        self.empty = places - columns
        if self.is_reduced:
            self.register_buffer("mean", torch.zeros(given))
            self.register_buffer("directions", torch.zeros(columns, given))
        self.register_buffer("centre", torch.zeros(columns))
        self.register_buffer("width", torch.full((columns,), 2.0))
        self.scale = nn.Parameter(torch.rand(circuit.n_features // places, columns, generator=draw))
        self.circuit = QuantumLayer(circuit, context.backend, spread=config.spread, generator=draw)
        self.readout = linear(len(circuit.observables), context.n_classes, draw)

    def adapt(self, embeddings: Tensor) -> None:
        """The principal components, if it takes them, and the range of every column.

        A column that never changes is only centred. Principal components keep their proportions: all are
        scaled as the widest is, or those of little variance would be as loud as the first.
        """
        if self.is_reduced:
            mean, directions = fit_directions(embeddings, len(self.directions), Reduce.PCA)
            self.mean.copy_(mean)
            self.directions.copy_(nn.functional.normalize(directions, dim=1))
        low, high = self._columns(embeddings).aminmax(dim=0)
        span = (high - low).amax().expand_as(high) if self.is_reduced else high - low
        self.centre.copy_((low + high) / 2)
        self.width.copy_(torch.where(span > 0, span, torch.full_like(span, 2.0)))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Logits (B, K) for embeddings (B, D)."""
        angles = (self._columns(embeddings) - self.centre) * (2 * self.config.reach / self.width)
        uploads = nn.functional.pad(angles[:, None] * self.scale, (0, self.empty))
        logits: Tensor = self.readout(self.circuit(uploads.flatten(1)))
        return logits

    def _columns(self, embeddings: Tensor) -> Tensor:
        """What is uploaded, before it is scaled, (B, columns)."""
        if not self.is_reduced:
            return embeddings
        return (embeddings - self.mean) @ self.directions.T

    def circuits(self) -> dict[str, Circuit]:
        """The one circuit, as "circuit"."""
        return {"circuit": self.circuit.circuit}

    def describe(self) -> Description:
        """Counts of the scale, the circuit and the readout."""
        uploads, columns = self.scale.shape
        return Description(
            self.name,
            (
                Term("scale", f"{uploads} * {columns}", uploads * columns),
                circuit_term(
                    "circuit", self.circuit.circuit, self.config.circuit, self.config.circuit_options
                ),
                linear_term("readout", self.readout),
            ),
        )


def _check_room(backend: str | Backend, columns: int, per_qubit: int) -> None:
    backend = load_backend(backend) if isinstance(backend, str) else backend
    able = backend.capabilities
    most = (MAX_QUBITS if able.light_cones else able.max_qubits) * per_qubit
    if columns > most:
        raise InputError(
            f"{columns} columns were given to a head that takes {per_qubit} on a qubit",
            expected=f"at most {most} on backend {backend.spec!r}",
            todo="set a number of qubits and reduce=pca, or use the dressed head, which reduces them by a "
            "trained layer",
        )


def _check(circuit: Circuit, columns: int, places: int) -> None:
    if circuit.n_amplitudes or not circuit.n_features or circuit.n_features % places:
        raise InputError(
            f"circuit {circuit.name!r} has {circuit.n_features} angle features on {circuit.n_qubits} qubits",
            expected=f"a multiple of {places}, which is an upload",
            todo="set columns_per_qubit to the features that the circuit has a qubit at one upload",
        )
    if columns > places:
        raise InputError(
            f"{columns} columns were given to uploads of {places} features",
            expected=f"at most {places} columns",
            todo="use more qubits, reduce=pca, or the dressed head, which reduces them by a trained layer",
        )
