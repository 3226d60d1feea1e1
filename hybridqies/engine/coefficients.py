"""Angles to matrices, and slopes back to angles: the small numbers beside the big states.

A step's slopes are g_P = Im <bra| P |ket> for P = X, Y, Z, taken after the step. A rotation
exp(-i t/2 P) that stands last in it has dL/dt = g_P; the slopes before that
rotation are the vector g turned back by it. So one walk over a step's factors
gives the gradient of every angle in it, with no matrix derivative anywhere.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hybridqies.engine.jit import kernel
from hybridqies.engine.tables import FIXED, Array, Tables


@kernel
def fill_angles(
    tables: Tables,
    first: int,
    last: int,
    features: Array,
    weights: Array,
    sample: int,
    into: Array,
    lane: int,
) -> None:
    """Writes cos and sin of half of each angle first..last of one sample into `into` (angles, 2, lanes)."""
    row = sample if tables.batched_weights else 0
    for a in range(first, last):
        angle = tables.angle_scale[a]
        for s in range(tables.angle_first[a], tables.angle_first[a + 1]):
            source = tables.angle_source[s]
            if source < tables.n_features:
                angle *= features[sample, source]
            else:
                angle *= weights[row, source - tables.n_features]
        into[a - first, 0, lane] = math.cos(angle / 2)
        into[a - first, 1, lane] = math.sin(angle / 2)


@kernel
def _half_angle(tables: Tables, factor: int, shared: Array, batched: Array, lane: int) -> Any:
    index, sign = tables.factor_index[factor], tables.factor_sign[factor]
    if index < tables.n_shared_angles:
        return shared[index, 0, 0], sign * shared[index, 1, 0]
    index -= tables.n_shared_angles
    return batched[index, 0, lane], sign * batched[index, 1, lane]


@kernel
def fill_matrix(
    tables: Tables,
    step: int,
    shared: Array,
    batched: Array,
    lane: int,
    into: Array,
    at: int,
    stride: int,
    planes: int,
) -> None:
    """Writes the matrix of one step for one lane: its 4 entries, rows first, each as its planes."""
    a, b, c, d = 1 + 0j, 0j, 0j, 1 + 0j
    for f in range(tables.step_first[step], tables.step_first[step + 1]):
        kind = tables.factor_kind[f]
        if kind == FIXED:
            m = tables.fixed[tables.factor_index[f]]
            a, b, c, d = (
                m[0, 0] * a + m[0, 1] * c,
                m[0, 0] * b + m[0, 1] * d,
                m[1, 0] * a + m[1, 1] * c,
                m[1, 0] * b + m[1, 1] * d,
            )
            continue
        cos, sin = _half_angle(tables, f, shared, batched, lane)
        if kind == 0:
            turned = complex(0, -sin)
            a, b, c, d = (
                cos * a + turned * c,
                cos * b + turned * d,
                turned * a + cos * c,
                turned * b + cos * d,
            )
        elif kind == 1:
            a, b, c, d = cos * a - sin * c, cos * b - sin * d, sin * a + cos * c, sin * b + cos * d
        else:
            phase = complex(cos, -sin)
            a, b, c, d = phase * a, phase * b, phase.conjugate() * c, phase.conjugate() * d
    if planes == 1:
        into[at], into[at + stride] = a.real, b.real
        into[at + 2 * stride], into[at + 3 * stride] = c.real, d.real
        return
    into[at], into[at + stride] = a.real, a.imag
    into[at + 2 * stride], into[at + 3 * stride] = b.real, b.imag
    into[at + 4 * stride], into[at + 5 * stride] = c.real, c.imag
    into[at + 6 * stride], into[at + 7 * stride] = d.real, d.imag


@kernel
def chain(
    tables: Tables,
    step: int,
    x: float,
    y: float,
    z: float,
    shared: Array,
    batched: Array,
    lane: int,
    shared_slopes: Array,
    batched_slopes: Array,
) -> None:
    """Adds the slopes (x, y, z) of one step to those of its angles: (angles,) and (angles, lanes)."""
    for f in range(tables.step_first[step + 1] - 1, tables.step_first[step] - 1, -1):
        kind, index = tables.factor_kind[f], tables.factor_index[f]
        if kind == FIXED:
            r = tables.fixed_turns[index]
            x, y, z = (
                r[0, 0] * x + r[1, 0] * y + r[2, 0] * z,
                r[0, 1] * x + r[1, 1] * y + r[2, 1] * z,
                r[0, 2] * x + r[1, 2] * y + r[2, 2] * z,
            )
            continue
        half_cos, half_sin = _half_angle(tables, f, shared, batched, lane)
        cos, sin = half_cos * half_cos - half_sin * half_sin, 2 * half_cos * half_sin
        if kind == 0:
            slope = x
            y, z = cos * y + sin * z, cos * z - sin * y
        elif kind == 1:
            slope = y
            z, x = cos * z + sin * x, cos * x - sin * z
        else:
            slope = z
            x, y = cos * x + sin * y, cos * y - sin * x
        slope *= tables.factor_sign[f]
        if index < tables.n_shared_angles:
            shared_slopes[index] += slope
        else:
            batched_slopes[index - tables.n_shared_angles, lane] += slope


@kernel
def add_input_slopes(
    tables: Tables,
    angle: int,
    slope: float,
    features: Array,
    weights: Array,
    sample: int,
    of_features: Array,
    of_weights: Array,
) -> None:
    """Adds the slope of one angle of one sample to those of its features (B, F) and weights (rows, W)."""
    row = sample if tables.batched_weights else 0
    start, end = tables.angle_first[angle], tables.angle_first[angle + 1]
    for s in range(start, end):
        product = slope * tables.angle_scale[angle]
        for other in range(start, end):
            if other != s:
                product *= features[sample, tables.angle_source[other]]
        source = tables.angle_source[s]
        if source < tables.n_features:
            of_features[sample, source] += product
        else:
            of_weights[row, source - tables.n_features] += product


@kernel
def shared_matrices(tables: Tables, weights: Array, planes: int, like: Array) -> Any:
    """Half angles (angles, 2, 1) and flat matrices of the steps that all samples share."""
    angles = np.empty((tables.n_shared_angles, 2, 1), np.float64)
    fill_angles(tables, 0, tables.n_shared_angles, np.empty((1, 0), like.dtype), weights, 0, angles, 0)
    matrices = np.empty(tables.n_shared_steps * 4 * planes, like.dtype)
    for step in range(len(tables.step_slot)):
        slot = tables.step_slot[step]
        if slot < 0:
            fill_matrix(tables, step, angles, angles, 0, matrices, ~slot * 4 * planes, 1, planes)
    return angles, matrices


@kernel
def batched_matrices(
    tables: Tables, features: Array, weights: Array, start: int, shared: Array, lanes: int, planes: int
) -> Any:
    """Half angles (angles, 2, lanes) and flat matrices (steps, 4, planes, lanes) of one tile's samples.

    Lanes beyond the batch repeat its last sample.
    """
    n_angles = len(tables.angle_scale)
    angles = np.empty((n_angles - tables.n_shared_angles, 2, lanes), np.float64)
    n_batched = len(tables.step_slot) - tables.n_shared_steps
    matrices = np.empty(n_batched * 4 * planes * lanes, features.dtype)
    for lane in range(lanes):
        sample = min(start + lane, len(features) - 1)
        fill_angles(tables, tables.n_shared_angles, n_angles, features, weights, sample, angles, lane)
    for step in range(len(tables.step_slot)):
        slot = tables.step_slot[step]
        if slot >= 0:
            for lane in range(lanes):
                at = slot * 4 * planes * lanes + lane
                fill_matrix(tables, step, shared, angles, lane, matrices, at, lanes, planes)
    return angles, matrices
