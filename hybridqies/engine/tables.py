"""Angles and factors of a plan as flat arrays, for the kernels that fill matrices and chain gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hybridqies.circuit import Angle, Feature, Weight
from hybridqies.engine.lowering import PAULIS, Factor, Fixed, Step, Turn

Array = npt.NDArray[Any]
FIXED = 3


class Tables(NamedTuple):
    """What the matrices of a plan's steps are made of.

    Angle a is angle_scale[a] times the product of the inputs that angle_source lists from
    angle_first[a] on: feature i as i, weight i as n_features + i. Angles that all samples
    share come first. Factor f turns about axis factor_kind[f] by factor_sign[f] times angle
    factor_index[f], or is matrix factor_index[f] of `fixed`, which turns Bloch vectors by
    `fixed_turns`. Step g multiplies the factors from step_first[g] on, and keeps its matrix in
    slot step_slot[g] of those that differ by sample, or ~step_slot[g] of those that are shared.
    """

    angle_scale: Array
    angle_first: Array
    angle_source: Array
    factor_kind: Array
    factor_index: Array
    factor_sign: Array
    fixed: Array
    fixed_turns: Array
    step_first: Array
    step_slot: Array
    n_features: int
    n_shared_angles: int
    n_shared_steps: int
    batched_weights: bool


def tables(steps: Sequence[Step], n_features: int, *, batched_weights: bool) -> Tables:
    """The tables of `steps`, in their order."""
    angles = _sorted_angles(steps, batched_weights)
    numbers = {angle: a for a, angle in enumerate(angles)}
    sources = [_sources(angle, n_features) for angle in angles]
    factors = [factor for step in steps for factor in step.factors]
    fixed = [factor.matrix for factor in factors if isinstance(factor, Fixed)]
    slots, n_shared = _slots(steps, batched_weights)
    rows = list(_factor_rows(factors, numbers))
    return Tables(
        angle_scale=np.array([angle.scale for angle in angles], dtype=np.float64),
        angle_first=_starts(len(each) for each in sources),
        angle_source=np.array([i for each in sources for i in each], dtype=np.int64),
        factor_kind=np.array([row[0] for row in rows], dtype=np.int64),
        factor_index=np.array([row[1] for row in rows], dtype=np.int64),
        factor_sign=np.array([row[2] for row in rows], dtype=np.float64),
        fixed=np.array(fixed, dtype=np.complex128).reshape(-1, 2, 2),
        fixed_turns=np.array([bloch(matrix) for matrix in fixed], dtype=np.float64).reshape(-1, 3, 3),
        step_first=_starts(len(step.factors) for step in steps),
        step_slot=slots,
        n_features=n_features,
        n_shared_angles=sum(not _is_batched(angle, batched_weights) for angle in angles),
        n_shared_steps=n_shared,
        batched_weights=batched_weights,
    )


def differs_by_sample(step: Step, *, batched_weights: bool) -> bool:
    """Whether samples have different matrices for a step."""
    return any(isinstance(f, Turn) and _is_batched(f.angle, batched_weights) for f in step.factors)


def _is_batched(angle: Angle, batched_weights: bool) -> bool:
    return isinstance(angle, Feature) or (batched_weights and isinstance(angle, Weight))


def _sorted_angles(steps: Sequence[Step], batched_weights: bool) -> list[Feature | Weight]:
    """Each angle once, those that are shared by the batch first."""
    found = dict.fromkeys(f.angle for step in steps for f in step.factors if isinstance(f, Turn))
    angles = [angle for angle in found if isinstance(angle, Feature | Weight)]
    return sorted(angles, key=lambda angle: _is_batched(angle, batched_weights))


def _sources(angle: Feature | Weight, n_features: int) -> tuple[int, ...]:
    return angle.indices if isinstance(angle, Feature) else (n_features + angle.index,)


def _factor_rows(factors: Sequence[Factor], numbers: dict[Any, int]) -> Any:
    n_fixed = 0
    for factor in factors:
        if isinstance(factor, Turn):
            yield factor.axis, numbers[factor.angle], factor.sign
        else:
            yield FIXED, n_fixed, 1
            n_fixed += 1


def _slots(steps: Sequence[Step], batched_weights: bool) -> tuple[Array, int]:
    counts = {False: 0, True: 0}
    slots = []
    for step in steps:
        differs = differs_by_sample(step, batched_weights=batched_weights)
        slots.append(counts[differs] if differs else ~counts[differs])
        counts[differs] += 1
    return np.array(slots, dtype=np.int64), counts[False]


def _starts(lengths: Any) -> Array:
    return np.cumsum([0, *lengths]).astype(np.int64)


def bloch(matrix: Array) -> Array:
    """R with U sigma_j U† = sum_i R_ij sigma_i."""
    turned = [matrix @ pauli @ matrix.conj().T for pauli in PAULIS]
    return np.array([[np.trace(pauli @ each).real / 2 for each in turned] for pauli in PAULIS])
