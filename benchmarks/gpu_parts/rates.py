"""The least time that a step can take on a card: what it calculates and moves, and the card's rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from gpu_parts.cells import Cell, Row, timed
from hybridqies.engine import count_costs
from hybridqies.engine.cuda.schedule import schedule
from hybridqies.engine.cuda.shapes import choose_shape

# Bytes that a multiprocessor moves to or from its shared memory in a cycle: 32 banks of four bytes.
SHARED_BYTES_A_CYCLE = 128


@dataclass(frozen=True, slots=True)
class Rates:
    """Of a card, each a second, and the shared memory of one of its thread blocks."""

    memory_bytes: float
    flops: float
    shared_bytes: float | None
    shared_size: int

    @classmethod
    def measure(cls, device: torch.device, size: int = 2**26) -> Rates:
        """A copy, and a matrix product without TF32; shared memory by the card's clock."""
        on_card = device.type == "cuda"
        numbers = torch.zeros(size if on_card else size // 16, device=device)
        side = 4096 if on_card else 512
        matrix = torch.zeros(side, side, device=device)
        copied = timed(device, numbers.clone)
        multiplied = timed(device, lambda: matrix @ matrix)
        shared, shared_size = _shared_memory(device) if on_card else (None, 227 * 1024)
        return cls(2 * numbers.nbytes / copied, 2 * side**3 / multiplied, shared, shared_size)


def _shared_memory(device: torch.device) -> tuple[float | None, int]:
    """Bytes a second, where torch knows the clock, and bytes of a thread block."""
    from hybridqies.engine.cuda.card import Card

    found: Any = torch.cuda.get_device_properties(device)
    size, kilohertz = Card.open(device).shared_bytes, getattr(found, "clock_rate", None)
    if kilohertz is None:
        return None, size
    return found.multi_processor_count * kilohertz * 1e3 * SHARED_BYTES_A_CYCLE, size


def roofline(cell: Cell, rates: Rates) -> Row:
    """Milliseconds for a step's arithmetic, its traffic with memory and with shared memory; the largest."""
    memory, shared = count_bytes(cell, rates.shared_size)
    row: Row = {
        "arithmetic, ms": 1e3 * count_costs(cell.plan, cell.batch).flops / rates.flops,
        "memory, ms": 1e3 * memory / rates.memory_bytes,
        "shared memory, ms": None if rates.shared_bytes is None else 1e3 * shared / rates.shared_bytes,
    }
    return row | {"roofline, ms": max(each for each in row.values() if each is not None)}


def count_bytes(cell: Cell, shared_size: int) -> tuple[int, int]:
    """Bytes of states to and from memory, and to and from shared memory, in a step in single precision.

    Forward a block reads and writes kets, backward kets and bras; the product state's steps are only read
    there. A group of steps moves what a block holds once each way.
    """
    plan, n_weights = cell.plan, cell.circuit.n_weights
    planes = 1 if plan.is_real else 2
    shape = choose_shape(plan.n_qubits, planes, is_double=False, shared_bytes=shared_size)
    part = schedule(plan, n_weights, shape.width, shape.variant.held, shape.window_rows)
    states = 4 * planes * cell.batch << plan.n_qubits
    groups = len(part.arrays["groups"])
    of_product = int(part.arrays["windows"][part.block_first[part.n_product]])
    shared = states * (2 * (groups - of_product) + 4 * groups)
    if shape.is_whole:
        # The forward pass leaves its last states for the backward pass.
        return 2 * states, shared
    blocks = len(part.row_first) - 1
    forward, others = 2 * (blocks - part.n_product) - 1, blocks - part.n_product
    # Expectations read the kets, and bras are made of them.
    return states * (forward + 1 + 2 + 2 * blocks + 2 * others), shared
