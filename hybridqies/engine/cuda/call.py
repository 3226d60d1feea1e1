"""What a kernel is called with: the structures of `amplitudes.cuh`, field by field."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hybridqies.engine.cuda.schedule import DOUBLES, INTEGERS, schedule
from hybridqies.engine.cuda.shapes import Shape
from hybridqies.engine.plan import Plan

_SIZES = (
    "n_qubits",
    "width",
    "n_features",
    "n_weights",
    "batched_weights",
    "n_observables",
    "n_product_rows",
)
_ARRAYS = (
    *("features", "weights", "amplitudes", "of_values"),
    *("states", "bras", "values", "of_features", "of_weights", "matrices", "slopes"),
    *("of_turns", "partial_values"),
)
_NUMBERS = (
    *("batch", "given_planes", "log_samples", "window_rows", "cells", "pieces"),
    *("block", "first_window", "last_window", "starts", "keeps_ket", "keeps_bra"),
    *("first_row", "last_row"),
)


class Tables(ctypes.Structure):
    """A plan's tables on a card."""

    _fields_ = [(name, ctypes.c_void_p) for name in (*INTEGERS, *DOUBLES)] + [
        (name, ctypes.c_longlong) for name in _SIZES
    ]


class Call(ctypes.Structure):
    """The arrays of one call, None where it has none, and how it is cut into thread blocks."""

    _fields_ = [(name, ctypes.c_void_p) for name in _ARRAYS] + [
        (name, ctypes.c_longlong) for name in _NUMBERS
    ]


class PlanOnCard:
    """A plan's tables, copied to a card once, the structure that points at them, and how it is cut."""

    def __init__(self, plan: Plan, shape: Shape, n_weights: int, device: torch.device) -> None:
        self.shape = shape
        self.part = part = schedule(plan, n_weights, shape.width, shape.variant.held, shape.window_rows)
        tables = plan.flat.tables
        self.tables = Tables(
            n_qubits=plan.n_qubits,
            width=part.width,
            n_features=tables.n_features,
            n_weights=n_weights,
            batched_weights=tables.batched_weights,
            n_observables=len(plan.flat.layout.observables),
            n_product_rows=part.row_first[part.n_product],
        )
        # Held here as long as the structure points at them.
        self._integers = self._copy(INTEGERS, np.int32, device)
        self._doubles = self._copy(DOUBLES, np.float64, device)
        self._usual = Call(
            log_samples=shape.log_samples, window_rows=shape.window_rows, cells=shape.cells, pieces=1
        )

    @property
    def nbytes(self) -> int:
        """The bytes of its tables, on the card and here."""
        here = sum(array.nbytes for array in self.part.arrays.values() if isinstance(array, np.ndarray))
        return self._integers.nbytes + self._doubles.nbytes + here

    def call(self, **given: Tensor | int | None) -> Call:
        """The structure of a launch, with further fields by name: tensors as such."""
        call = Call.from_buffer_copy(self._usual)
        for name, value in given.items():
            if value is not None:
                setattr(call, name, value if isinstance(value, int) else value.data_ptr())
        return call

    def _copy(self, names: tuple[str, ...], kind: Any, device: torch.device) -> Tensor:
        flat = [self.part.arrays[name].ravel().astype(kind) for name in names]
        # One number more: an array may be empty, and an empty tensor has no address.
        tensor = torch.from_numpy(np.concatenate([*flat, np.zeros(1, kind)])).to(device)
        at = tensor.data_ptr()
        for name, array in zip(names, flat, strict=True):
            setattr(self.tables, name, at)
            at += array.nbytes
        return tensor
