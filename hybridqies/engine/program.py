"""A circuit as a flat program: integer rows that kernels walk, and the recipe for filling its matrices."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hybridqies.circuit import Circuit, Constant, Feature, Gate, Weight
from hybridqies.engine.frame import RELABELLING, Frame
from hybridqies.engine.matrices import MATRICES

IntArray = npt.NDArray[np.int64]

# Of every gate's matrix in each of its angles: half angles come round after two turns.
_PERIOD = 4 * math.pi

MIX_TWO, MIX_FOUR = 0, 1


class Row(NamedTuple):
    """One gate of a program, as the integers that kernels read; the fields are the columns of `rows`.

    A gate mixes 2 or 4 amplitudes at a time. The first of them is found by inserting
    a zero bit at `low` (and at `high`, or -1) and setting each to the parity that its
    mask and constant ask for; the others lie at the flips from it. See `Frame`.
    """

    kind: int
    slot: int
    batched: int
    wants_gradient: int
    low: int
    low_mask: int
    low_constant: int
    high: int
    high_mask: int
    high_constant: int
    flip1: int
    flip2: int
    flip3: int


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
    """What the kernels run: `rows` (gates, 13), `observables` (M, 4) as flip, mask, number of Y, sign.

    X, CNOT and SWAP have no row: they only relabel basis states, and the masks of what follows say how.
    """

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
        if gate.type.name not in RELABELLING:
            members[_group_key(gate, batched_weights)].append(gate)
    groups = tuple(_group(circuit, name, batched, gates) for (name, batched), gates in members.items())
    frame = Frame(circuit.n_qubits)
    rows = _rows(circuit, groups, batched_weights, frame)
    return Program(
        n_qubits=circuit.n_qubits,
        n_features=circuit.n_features,
        n_weights=circuit.n_weights,
        is_real=circuit.is_real and not any(_count_y(o.factors) % 2 for o in circuit.observables),
        rows=rows,
        observables=np.array([_masks(o.factors, frame) for o in circuit.observables], dtype=np.int64),
        groups=groups,
    )


def fill(program: Program, features: Tensor, weights: Tensor) -> Pools:
    """The program's matrices for features (B, F) and weights (W,) or (B, W); differentiable in both."""
    batch = features.shape[0]
    one = features.new_ones(1)
    shared = weights if weights.dim() == 1 else features.new_zeros(program.n_weights)
    shared_row = torch.cat([features.new_zeros(program.n_features), shared, one])
    every_row = torch.cat([features, weights.expand(batch, -1), one.expand(batch, 1)], dim=1)
    pools: dict[tuple[int, bool], list[Tensor]] = defaultdict(list)
    for group in program.groups:
        matrices = MATRICES[group.gate](_angles(group, every_row if group.batched else shared_row))
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


def _angles(group: MatrixGroup, row: Tensor) -> Tensor:
    """The angles of a group's gates, (..., gates, angles), for a row or rows of [features, weights, 1].

    In double, and brought within a turn before they are rounded: a scaled product
    of features can be many turns, and single precision would lose its phase.
    """
    factors = row[..., group.sources.to(row.device)].double()
    angles = _product(factors) * group.scales.to(row.device)
    if row.dtype == torch.float64:
        return angles
    turns = (angles.detach() / _PERIOD).round()
    return (angles - turns * _PERIOD).to(row.dtype)


def _product(factors: Tensor) -> Tensor:
    # Unrolled, because torch.prod divides by its factors in its gradient's fast path.
    result = factors[..., 0]
    for at in range(1, factors.shape[-1]):
        result = result * factors[..., at]
    return result


def _joined(parts: list[Tensor], empty: tuple[int, ...], kind: torch.dtype, device: torch.device) -> Tensor:
    if not parts:
        return torch.empty(empty, dtype=kind, device=device)
    return torch.cat([part.to(kind) for part in parts])


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


def _rows(circuit: Circuit, groups: tuple[MatrixGroup, ...], batched_weights: bool, frame: Frame) -> IntArray:
    slots = _slots(groups)
    rows = []
    for gate in circuit.gates:
        if gate.type.name in RELABELLING:
            frame.relabel(gate)
            continue
        key = _group_key(gate, batched_weights)
        kind = MIX_TWO if _dimension(gate) == 2 else MIX_FOUR
        depends = any(not isinstance(angle, Constant) for angle in gate.angles)
        rows.append(Row(kind, next(slots[key]), key[1], depends, *frame.place(gate)))
    return np.array(rows, dtype=np.int64).reshape(-1, len(Row._fields))


def _count_y(factors: tuple[tuple[int, str], ...]) -> int:
    return sum(letter == "Y" for _, letter in factors)


def _masks(factors: tuple[tuple[int, str], ...], frame: Frame) -> tuple[int, int, int, int]:
    flip, mask, constant = 0, 0, 0
    for qubit, letter in factors:
        if letter in "XY":
            flip ^= frame.flips[qubit]
        if letter in "YZ":
            mask ^= frame.masks[qubit]
            constant ^= frame.constants[qubit]
    return flip, mask, _count_y(factors), 1 - 2 * constant
