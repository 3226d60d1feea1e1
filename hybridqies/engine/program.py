"""A circuit as a flat program: integer rows that kernels walk, and the recipe for filling its matrices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hybridqies.circuit import Circuit, Constant, Feature, Gate, Weight
from hybridqies.engine.matrices import MATRICES

IntArray = npt.NDArray[np.int64]

# Columns of a program row. Rows of the state that a gate mixes are found by inserting
# zero bits at positions LOW (and HIGH, or -1) and adding the gate's offsets.
COLUMNS = ("kind", "low", "high", "slot", "batched", "wants_gradient", "row0", "row1", "row2", "row3")
PERMUTE, MIX_TWO, MIX_FOUR = 0, 1, 2


class Pools(NamedTuple):
    """The matrices of one call: shared by the batch, or one a sample; 2x2 and 4x4.

    Shapes: shared (slots, d, d); batched (slots, B, d, d).
    """

    shared_two: Tensor
    batched_two: Tensor
    shared_four: Tensor
    batched_four: Tensor


@dataclass(frozen=True)
class MatrixGroup:
    """Gates of one type whose matrices are filled together.

    `sources` (gates, angles, factors) indexes the row [features, weights, 1];
    an angle is the product of its factors times `scales` (gates, angles).
    """

    gate: str
    dimension: int
    batched: bool
    sources: Tensor
    scales: Tensor


@dataclass(frozen=True)
class Program:
    """What the kernels run: `rows` (gates, 10), `observables` (M, 3) as X mask, Z mask, number of Y."""

    n_qubits: int
    n_features: int
    n_weights: int
    is_real: bool
    rows: IntArray
    observables: IntArray
    groups: tuple[MatrixGroup, ...]


def compile_program(circuit: Circuit, *, batched_weights: bool = False) -> Program:
    """The flat program of `circuit`; `batched_weights` says that each sample brings its own weights."""
    members: dict[tuple[str, bool], list[Gate]] = defaultdict(list)
    for gate in circuit.gates:
        if not _is_permutation(gate):
            members[_group_key(gate, batched_weights)].append(gate)
    groups = tuple(_group(circuit, name, batched, gates) for (name, batched), gates in members.items())
    return Program(
        n_qubits=circuit.n_qubits,
        n_features=circuit.n_features,
        n_weights=circuit.n_weights,
        is_real=circuit.is_real and not any(_count_y(o.factors) % 2 for o in circuit.observables),
        rows=_rows(circuit, groups, batched_weights),
        observables=np.array([_masks(o.factors, circuit.n_qubits) for o in circuit.observables], dtype=np.int64),
        groups=groups,
    )


def fill(program: Program, features: Tensor, weights: Tensor) -> Pools:
    """The program's matrices for features (B, F) and weights (W,) or (B, W); differentiable in both."""
    batch = features.shape[0]
    one = features.new_ones(1)
    shared_row = torch.cat([features.new_zeros(program.n_features), weights, one]) if weights.dim() == 1 else one
    every_row = torch.cat([features, weights.expand(batch, -1), one.expand(batch, 1)], dim=1)
    pools: dict[tuple[int, bool], list[Tensor]] = defaultdict(list)
    for group in program.groups:
        sources, scales = group.sources.to(features.device), group.scales.to(features)
        row = every_row if group.batched else shared_row
        angles = _product(row[..., sources]) * scales
        matrices = MATRICES[group.gate](angles)
        if program.is_real:
            matrices = matrices.real if matrices.is_complex() else matrices
        pools[group.dimension, group.batched].append(matrices.transpose(0, 1) if group.batched else matrices)
    kind = _state_dtype(features.dtype, program.is_real)
    return Pools(
        _joined(pools[2, False], (0, 2, 2), kind, features.device),
        _joined(pools[2, True], (0, batch, 2, 2), kind, features.device),
        _joined(pools[4, False], (0, 4, 4), kind, features.device),
        _joined(pools[4, True], (0, batch, 4, 4), kind, features.device),
    )


def _state_dtype(dtype: torch.dtype, is_real: bool) -> torch.dtype:
    if is_real:
        return dtype
    return torch.complex64 if dtype == torch.float32 else torch.complex128


def _product(factors: Tensor) -> Tensor:
    # Unrolled, because torch.prod divides by its factors in its gradient's fast path.
    result = factors[..., 0]
    for at in range(1, factors.shape[-1]):
        result = result * factors[..., at]
    return result


def _joined(parts: list[Tensor], empty: tuple[int, ...], kind: torch.dtype, device: torch.device) -> Tensor:
    return torch.cat([part.to(kind) for part in parts]) if parts else torch.empty(empty, dtype=kind, device=device)


def _is_permutation(gate: Gate) -> bool:
    return gate.type.name in ("X", "CNOT", "SWAP")


def _dimension(gate: Gate) -> int:
    return 2 if len(gate.qubits) == 1 or gate.type.controlled else 4


def _group_key(gate: Gate, batched_weights: bool) -> tuple[str, bool]:
    batched = any(isinstance(a, Feature) or (batched_weights and isinstance(a, Weight)) for a in gate.angles)
    return gate.type.name, batched


def _group(circuit: Circuit, name: str, batched: bool, gates: list[Gate]) -> MatrixGroup:
    one = circuit.n_features + circuit.n_weights
    n_angles = len(gates[0].type.angles)
    n_factors = max((len(a.indices) for g in gates for a in g.angles if isinstance(a, Feature)), default=1)
    sources = torch.full((len(gates), n_angles, n_factors), one, dtype=torch.long)
    scales = torch.ones((len(gates), n_angles), dtype=torch.float64)
    for g, gate in enumerate(gates):
        for a, angle in enumerate(gate.angles):
            match angle:
                case Feature(indices, scale):
                    sources[g, a, : len(indices)] = torch.tensor(indices)
                    scales[g, a] = scale
                case Weight(index, scale):
                    sources[g, a, 0] = circuit.n_features + index
                    scales[g, a] = scale
                case Constant(value):
                    scales[g, a] = value
    return MatrixGroup(name, _dimension(gates[0]), batched, sources, scales)


def _slots(groups: tuple[MatrixGroup, ...]) -> dict[tuple[str, bool], Iterator[int]]:
    ends: dict[tuple[int, bool], int] = defaultdict(int)
    slots = {}
    for group in groups:
        pool = (group.dimension, group.batched)
        count = group.sources.shape[0]
        slots[group.gate, group.batched] = iter(range(ends[pool], ends[pool] + count))
        ends[pool] += count
    return slots


def _rows(circuit: Circuit, groups: tuple[MatrixGroup, ...], batched_weights: bool) -> IntArray:
    slots = _slots(groups)
    rows = np.zeros((len(circuit.gates), len(COLUMNS)), dtype=np.int64)
    for at, gate in enumerate(circuit.gates):
        bits = [circuit.n_qubits - 1 - qubit for qubit in gate.qubits]
        low, high = (bits[0], -1) if len(bits) == 1 else sorted(bits)
        kind, slot, batched = PERMUTE, 0, False
        if not _is_permutation(gate):
            kind = MIX_TWO if _dimension(gate) == 2 else MIX_FOUR
            key = _group_key(gate, batched_weights)
            slot, batched = next(slots[key]), key[1]
        depends = any(not isinstance(angle, Constant) for angle in gate.angles)
        rows[at] = (kind, low, high, slot, batched, depends, *_offsets(gate, bits))
    return rows


def _offsets(gate: Gate, bits: list[int]) -> tuple[int, int, int, int]:
    if len(bits) == 1:
        return 0, 1 << bits[0], 0, 0
    first, second = (1 << bit for bit in bits)
    if gate.type.controlled:
        return first, first | second, 0, 0
    if gate.type.name == "SWAP":
        return first, second, 0, 0
    return 0, second, first, first | second


def _count_y(factors: tuple[tuple[int, str], ...]) -> int:
    return sum(letter == "Y" for _, letter in factors)


def _masks(factors: tuple[tuple[int, str], ...], n_qubits: int) -> tuple[int, int, int]:
    x_mask = sum(1 << (n_qubits - 1 - qubit) for qubit, letter in factors if letter in "XY")
    z_mask = sum(1 << (n_qubits - 1 - qubit) for qubit, letter in factors if letter in "YZ")
    return x_mask, z_mask, _count_y(factors)
