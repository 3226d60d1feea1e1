"""Angles to matrices, and gradients back to angles: the small numbers beside the big states.

A step's gradients are g_P = Im <bra| P |ket> for P = X, Y, Z, taken after the step. A rotation
exp(-i t/2 P) that stands last in it has dL/dt = g_P; the gradients before that
rotation are the vector g turned back by it. So one walk over a step's factors
gives the gradient of every angle in it, with no matrix derivative anywhere.
All of it is done in double, a vector of samples at a time.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hybridqies.engine.jit import chosen_by_type, kernel, part
from hybridqies.engine.tables import FIXED, Array, Tables
from hybridqies.engine.vectors import add, cast, fma, fnma, load, mul, splat, store, total


@kernel
def all_finite(features: Array, weights: Array) -> bool:
    """Whether inputs hold neither NaN nor infinity."""
    good = True
    for numbers in (features, weights):
        for number in numbers.reshape(numbers.size):
            good &= number - number == 0
    return good


@part
def fill_angles(
    tables: Tables, first: int, last: int, features: Array, weights: Array, start: int, lanes: Any
) -> Any:
    """Cos and sin of half of the angles first..last, flat (angles, 2, lanes), of samples from `start` on.

    Lanes beyond the batch repeat its last sample.
    """
    into = np.empty((last - first) * 2 * len(lanes), np.float64)
    for a in range(first, last):
        for lane in range(len(lanes)):
            sample = min(start + lane, max(len(features), len(weights)) - 1)
            row = sample if tables.batched_weights else 0
            angle = tables.angle_scale[a]
            for s in range(tables.angle_first[a], tables.angle_first[a + 1]):
                source = tables.angle_source[s]
                if source < tables.n_features:
                    angle *= features[sample, source]
                else:
                    angle *= weights[row, source - tables.n_features]
            at = (a - first) * 2 * len(lanes) + lane
            into[at] = math.cos(angle / 2)
            into[at + len(lanes)] = math.sin(angle / 2)
    return into


@part
def _half_angle(tables: Tables, factor: int, shared: Array, batched: Array, lanes: Any) -> Any:
    index, sign = tables.factor_index[factor], tables.factor_sign[factor]
    if index < tables.n_shared_angles:
        return splat(shared, shared[2 * index], lanes), splat(shared, sign * shared[2 * index + 1], lanes)
    at = (index - tables.n_shared_angles) * 2 * len(lanes)
    return load(batched, at, lanes), mul(splat(shared, sign, lanes), load(batched, at + len(lanes), lanes))


@part
def _times_entry(m: Any, a: Any, like: Array, lanes: Any) -> Any:
    real, imag = splat(like, m.real, lanes), splat(like, m.imag, lanes)
    return fnma(imag, a[1], mul(real, a[0])), fma(imag, a[0], mul(real, a[1]))


@part
def _sum(a: Any, b: Any) -> Any:
    return add(a[0], b[0]), add(a[1], b[1])


@part
def _fixed(m: Array, a: Any, c: Any, like: Array, lanes: Any) -> Any:
    """A fixed matrix times one column."""
    return (
        _sum(_times_entry(m[0, 0], a, like, lanes), _times_entry(m[0, 1], c, like, lanes)),
        _sum(_times_entry(m[1, 0], a, like, lanes), _times_entry(m[1, 1], c, like, lanes)),
    )


@part
def _turned(axis: int, cos: Any, sin: Any, a: Any, c: Any) -> Any:
    """A rotation times one column."""
    if axis == 0:
        return (
            (fma(sin, c[1], mul(cos, a[0])), fnma(sin, c[0], mul(cos, a[1]))),
            (fma(sin, a[1], mul(cos, c[0])), fnma(sin, a[0], mul(cos, c[1]))),
        )
    if axis == 1:
        return (
            (fnma(sin, c[0], mul(cos, a[0])), fnma(sin, c[1], mul(cos, a[1]))),
            (fma(sin, a[0], mul(cos, c[0])), fma(sin, a[1], mul(cos, c[1]))),
        )
    return (
        (fma(sin, a[1], mul(cos, a[0])), fnma(sin, a[0], mul(cos, a[1]))),
        (fnma(sin, c[1], mul(cos, c[0])), fma(sin, c[0], mul(cos, c[1]))),
    )


def _store_entry(into: Any, at: Any, value: Any, lanes: Any, planes: Any) -> Any:
    """Writes one entry of a matrix as its planes."""
    raise NotImplementedError


@chosen_by_type(_store_entry)
def _store_planes(into: Any, at: Any, value: Any, lanes: Any, planes: Any) -> Any:
    if len(planes) == 1:
        return lambda into, at, value, lanes, planes: store(into, at * len(lanes), cast(into, value[0]))

    def both(into: Any, at: Any, value: Any, lanes: Any, planes: Any) -> None:
        store(into, 2 * at * len(lanes), cast(into, value[0]))
        store(into, (2 * at + 1) * len(lanes), cast(into, value[1]))

    return both


@part
def fill_matrix(
    tables: Tables, step: int, shared: Array, batched: Array, into: Array, at: int, lanes: Any, planes: Any
) -> None:
    """Writes the matrix of one step as number `at` of `into` (steps, 4, planes, lanes): rows first."""
    zero, unit = splat(shared, 0.0, lanes), splat(shared, 1.0, lanes)
    a, b, c, d = (unit, zero), (zero, zero), (zero, zero), (unit, zero)
    for f in range(tables.step_first[step], tables.step_first[step + 1]):
        kind = tables.factor_kind[f]
        if kind == FIXED:
            m = tables.fixed[tables.factor_index[f]]
            a, c = _fixed(m, a, c, shared, lanes)
            b, d = _fixed(m, b, d, shared, lanes)
        else:
            cos, sin = _half_angle(tables, f, shared, batched, lanes)
            a, c = _turned(kind, cos, sin, a, c)
            b, d = _turned(kind, cos, sin, b, d)
    _store_entry(into, 4 * at, a, lanes, planes)
    _store_entry(into, 4 * at + 1, b, lanes, planes)
    _store_entry(into, 4 * at + 2, c, lanes, planes)
    _store_entry(into, 4 * at + 3, d, lanes, planes)


@part
def _column(r: Array, j: int, x: Any, y: Any, z: Any, like: Array, lanes: Any) -> Any:
    first = mul(splat(like, r[0, j], lanes), x)
    return fma(splat(like, r[2, j], lanes), z, fma(splat(like, r[1, j], lanes), y, first))


@part
def chain(
    tables: Tables,
    step: int,
    gradients: Array,
    at: int,
    shared: Array,
    batched: Array,
    of_shared: Array,
    of_batched: Array,
    lanes: Any,
) -> None:
    """Adds gradients number `at` of (…, 3, lanes), those of a step, to (angles,) and flat (angles, lanes)."""
    width = len(lanes)
    x = load(gradients, 3 * at * width, lanes)
    y, z = load(gradients, (3 * at + 1) * width, lanes), load(gradients, (3 * at + 2) * width, lanes)
    for f in range(tables.step_first[step + 1] - 1, tables.step_first[step] - 1, -1):
        kind, index = tables.factor_kind[f], tables.factor_index[f]
        if kind == FIXED:
            r = tables.fixed_turns[index]
            x, y, z = (
                _column(r, 0, x, y, z, shared, lanes),
                _column(r, 1, x, y, z, shared, lanes),
                _column(r, 2, x, y, z, shared, lanes),
            )
            continue
        half_cos, half_sin = _half_angle(tables, f, shared, batched, lanes)
        cos = fnma(half_sin, half_sin, mul(half_cos, half_cos))
        sin = mul(add(half_cos, half_cos), half_sin)
        own = x
        if kind == 0:
            y, z = fma(sin, z, mul(cos, y)), fnma(sin, y, mul(cos, z))
        elif kind == 1:
            own = y
            z, x = fma(sin, x, mul(cos, z)), fnma(sin, z, mul(cos, x))
        else:
            own = z
            x, y = fma(sin, y, mul(cos, x)), fnma(sin, x, mul(cos, y))
        own = mul(splat(shared, tables.factor_sign[f], lanes), own)
        if index < tables.n_shared_angles:
            of_shared[index] += total(own)
        else:
            to = (index - tables.n_shared_angles) * width
            store(of_batched, to, add(load(of_batched, to, lanes), own))


@part
def add_input_gradients(
    tables: Tables, first: int, gradients: Array, inputs: Any, start: int, n_samples: int, into: Any
) -> None:
    """Adds the gradients (angles, lanes) of the angles from `first` on to those of their inputs.

    `inputs` are features (B, F) and weights (1 or B, W), `into` their gradients; lane 0 is sample `start`.
    """
    features, _ = inputs
    of_features, of_weights = into
    scales, firsts, sources = tables.angle_scale, tables.angle_first, tables.angle_source
    n_features, batched = tables.n_features, tables.batched_weights
    for at in range(gradients.shape[0]):
        begin, end = firsts[first + at], firsts[first + at + 1]
        for s in range(begin, end):
            source = sources[s]
            for lane in range(n_samples):
                sample = start + lane
                product = gradients[at, lane] * scales[first + at]
                for other in range(begin, end):
                    if other != s:
                        product *= features[sample, sources[other]]
                if source < n_features:
                    of_features[sample, source] += product
                else:
                    of_weights[sample if batched else 0, source - n_features] += product


@kernel
def shared_matrices(tables: Tables, weights: Array, like: Array, alone: Any, planes: Any) -> Any:
    """Half angles (angles, 2) and matrices (steps, 4, planes), flat, of what all samples share."""
    angles = fill_angles(tables, 0, tables.n_shared_angles, np.empty((1, 0), like.dtype), weights, 0, alone)
    matrices = np.empty(tables.n_shared_steps * 4 * len(planes), like.dtype)
    for step in range(len(tables.step_slot)):
        if tables.step_slot[step] < 0:
            fill_matrix(tables, step, angles, angles, matrices, ~tables.step_slot[step], alone, planes)
    return angles, matrices


@kernel
def batched_matrices(
    tables: Tables, features: Array, weights: Array, start: int, shared: Array, lanes: Any, planes: Any
) -> Any:
    """Half angles (angles, 2, lanes) and matrices (steps, 4, planes, lanes), flat, of one tile's samples."""
    angles = fill_angles(
        tables, tables.n_shared_angles, len(tables.angle_scale), features, weights, start, lanes
    )
    n_batched = len(tables.step_slot) - tables.n_shared_steps
    matrices = np.empty(n_batched * 4 * len(planes) * len(lanes), features.dtype)
    for step in range(len(tables.step_slot)):
        if tables.step_slot[step] >= 0:
            fill_matrix(tables, step, shared, angles, matrices, tables.step_slot[step], lanes, planes)
    return angles, matrices
