"""Kernels compiled, values compared, and steps timed: whole, as graphs, and beside the CPU."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import product

import torch
from peers.bench import largest_difference

from gpu_parts.cells import SECONDS, TOLERANCES, Cell, Row, Run, as_numbers, compare, timed, wait
from gpu_parts.rates import Rates, roofline

CIRCUITS = ("rot-ring", "long-range-reupload")
SIZES = {4: 256, 8: 256, 10: 256, 12: 256, 14: 256, 16: 256, 20: 8, 24: 2}
# Milliseconds that a step of rot-ring may take on an H100.
BOUNDS = {4: 0.25, 8: 0.25, 10: 0.25, 12: 0.3, 14: 1, 16: 4, 20: 2, 24: 20}
CHECKED, CHECKED_BATCH = (2, 3, 6, 11, 13, 15, 17), 9
GRAPHED = (4, 6, 8, 10)
CROSSED, CROSSED_BATCHES = (2, 4, 6, 8, 10, 12, 14, 16), (1, 16, 256)
SINGLE = torch.float32


def check_values(run: Run) -> list[Row]:
    """The largest difference from the CPU engine in double, relative to the largest entry or 1."""
    rows: list[Row] = []
    for name, n_qubits in run.in_time(product(CIRCUITS, CHECKED), rows):
        found = run.cell(name, n_qubits, CHECKED_BATCH).check(run.device)
        rows.append({"circuit": name, "qubits": n_qubits, "batch": CHECKED_BATCH, **found})
    return rows


def time_steps(run: Run) -> list[Row]:
    """Whole steps in single precision, beside the project's bounds and the card's rates."""
    rows: list[Row] = []
    rates = Rates.measure(run.device)
    for name, (n_qubits, batch) in run.in_time(product(CIRCUITS, SIZES.items()), rows):
        cell = run.cell(name, n_qubits, batch)
        began = time.perf_counter()
        step = cell.step_on(run.device, SINGLE)
        step()
        wait(run.device)
        first = time.perf_counter() - began
        row = {"circuit": name, "qubits": n_qubits, "batch": batch, **cell.check(run.device)}
        if not row["failed"]:
            bound = BOUNDS[n_qubits] if name == "rot-ring" else None
            seconds, least = timed(run.device, step), roofline(cell, rates)
            row |= {"ms": 1e3 * seconds, "at most, ms (H100)": bound}
            row["within"] = None if bound is None else 1e3 * seconds <= bound
            row |= least | {"times the roofline": 1e3 * seconds / least["roofline, ms"]}
            row["first step, ms"] = 1e3 * first
        rows.append(row)
    return rows


def time_graphs(run: Run) -> list[Row]:
    """Steps captured as CUDA graphs: what is left without Python and launches."""
    if run.device.type != "cuda":
        return [{"note": "CUDA graphs need a CUDA device"}]
    rows: list[Row] = []
    for n_qubits in run.in_time(GRAPHED, rows):
        cell = run.cell("rot-ring", n_qubits, 256)
        step = cell.step_on(run.device, SINGLE)
        stream = torch.cuda.Stream(run.device)
        stream.wait_stream(torch.cuda.current_stream(run.device))
        with torch.cuda.stream(stream):
            step(), step()
        torch.cuda.current_stream(run.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = step()
        graph.replay()
        apart = largest_difference(as_numbers(found), cell.expected)
        row = {"qubits": n_qubits, "batch": 256, **compare({SINGLE: (apart, TOLERANCES[SINGLE])})}
        if not row["failed"]:
            row["ms"] = 1e3 * timed(run.device, graph.replay)
        rows.append(row)
    return rows


def compare_with_cpu(run: Run) -> list[Row]:
    """Steps of rot-ring on the card and on this machine's CPU: from where on the card is faster."""
    rows: list[Row] = []
    cpu = torch.device("cpu")
    for n_qubits, batch in run.in_time(product(CROSSED, CROSSED_BATCHES), rows):
        cell = run.cell("rot-ring", n_qubits, batch)
        row = {"qubits": n_qubits, "batch": batch, **cell.check(run.device)}
        if not row["failed"]:
            on_cpu, on_card = (timed(where, cell.step_on(where, SINGLE)) for where in (cpu, run.device))
            row |= {"CPU, ms": 1e3 * on_cpu, "card, ms": 1e3 * on_card, "times faster": on_cpu / on_card}
        rows.append(row)
    return rows


def all_cells(run: Run) -> Iterator[Cell]:
    """Every cell whose answer some part needs."""
    yield from (run.cell(name, n_qubits, CHECKED_BATCH) for name, n_qubits in product(CIRCUITS, CHECKED))
    yield from (run.cell("rot-ring", *each) for each in product(CROSSED, CROSSED_BATCHES))
    yield from (run.cell(name, *each) for name, each in product(CIRCUITS, SIZES.items()))


# Seconds set aside, as (what, how many, seconds of each). A figure has SECONDS, and its plan and checks in
# both precisions beside them. The CPU's answers are in a file.
EXPECTED = {
    "values": [("cells", len(CIRCUITS) * len(CHECKED), 0.3)],
    "steps": [("figures", len(CIRCUITS) * len(SIZES), SECONDS + 0.4)],
    "graphs": [("figures", len(GRAPHED), SECONDS + 0.4)],
    "cpu": [("figures, each on both", 2 * len(CROSSED) * len(CROSSED_BATCHES), SECONDS + 0.1)],
}
