"""A plan's arrays out of the three that it is handed to a kernel in: see `plan.pack`."""

from __future__ import annotations

from typing import Any

from hybridqies.engine.jit import part
from hybridqies.engine.plan import PACKED_ARRAYS, PACKED_NUMBERS, Flat, Layout, Op
from hybridqies.engine.tables import Tables

_COLUMNS = len(Op._fields)
_N_NUMBERS = len(PACKED_NUMBERS)
_FEATURES, _SHARED_ANGLES, _SHARED_STEPS, _BATCHED, _QUBITS, _WIDTH = range(_N_NUMBERS)
(
    _ANGLE_FIRST,
    _ANGLE_SOURCE,
    _FACTOR_KIND,
    _FACTOR_INDEX,
    _STEP_FIRST,
    _STEP_SLOT,
    _OPS,
    _BLOCK_FIRST,
    _BASIS,
    _PIVOTS,
    _PRODUCT,
    _OBSERVABLES,
) = range(len(PACKED_ARRAYS))


@part
def _part(integers: Any, which: int) -> Any:
    return integers[integers[_N_NUMBERS + which] : integers[_N_NUMBERS + which + 1]]


@part
def unpack(packed: Any) -> Any:
    """The plan's `Flat`; its arrays are views."""
    integers, floats, fixed = packed
    angle_first, factor_kind = _part(integers, _ANGLE_FIRST), _part(integers, _FACTOR_KIND)
    n_angles, n_factors = len(angle_first) - 1, len(factor_kind)
    tables = Tables(
        floats[:n_angles],
        angle_first,
        _part(integers, _ANGLE_SOURCE),
        factor_kind,
        _part(integers, _FACTOR_INDEX),
        floats[n_angles : n_angles + n_factors],
        fixed,
        floats[n_angles + n_factors :].reshape(len(fixed), 3, 3),
        _part(integers, _STEP_FIRST),
        _part(integers, _STEP_SLOT),
        integers[_FEATURES],
        integers[_SHARED_ANGLES],
        integers[_SHARED_STEPS],
        integers[_BATCHED] != 0,
    )
    block_first, width = _part(integers, _BLOCK_FIRST), integers[_WIDTH]
    n_blocks, ops, observables = len(block_first) - 1, _part(integers, _OPS), _part(integers, _OBSERVABLES)
    layout = Layout(
        ops.reshape(len(ops) // _COLUMNS, _COLUMNS),
        block_first,
        _part(integers, _BASIS).reshape(n_blocks, width),
        _part(integers, _PIVOTS).reshape(n_blocks, width),
        _part(integers, _PRODUCT),
        observables.reshape(len(observables) // 4, 4),
    )
    return Flat(tables, layout, integers[_QUBITS])
