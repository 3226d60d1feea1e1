"""Trainings: a deep circuit, and the head of the paper."""

from __future__ import annotations

import time

import head_speed
import torch
from peers.bench import largest_difference

from gpu_parts.cells import Cell, Row, Run, as_numbers, compare, wait
from hybridqies.circuit import Circuit, Weight, feature, gate
from hybridqies.training import CrossEntropy, Labelled, TrainingConfig, fit

QUBITS, LAYERS, SAMPLES, BATCH = 20, 1000, 50, 10
HEADS, CPU_EPOCHS, CPU_CORES = (10, 14), 2, 2
SINGLE = torch.float32


def deep_circuit() -> Circuit:
    """A feature on each qubit, and layers of general rotations and a ring of CNOTs."""
    gates = [gate("RY", qubit, feature(qubit)) for qubit in range(QUBITS)]
    for layer in range(LAYERS):
        for qubit in range(QUBITS):
            first = 3 * (layer * QUBITS + qubit)
            gates.append(gate("ROT", qubit, *(Weight(first + i) for i in range(3))))
        gates += [gate("CNOT", (qubit, (qubit + 1) % QUBITS)) for qubit in range(QUBITS)]
    return Circuit.of(QUBITS, gates, name="deep")


def deep_cell(run: Run) -> Cell:
    """The deep circuit with one sample."""
    return Cell(deep_circuit(), 1, run.answers)


def train_deep(run: Run) -> list[Row]:
    """An epoch over some samples, and what 1,000 would take; one sample is compared first."""
    one = deep_cell(run)
    began = time.perf_counter()
    many = one.with_batch(BATCH)
    row: Row = {"qubits": QUBITS, "layers": LAYERS, "weights": one.circuit.n_weights}
    row |= {"plan, s": time.perf_counter() - began, **one.check(run.device)}
    if row["failed"]:
        return [row]
    if run.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(run.device)
    step = many.step_on(run.device, SINGLE)
    step()
    wait(run.device)
    began = time.perf_counter()
    for _ in range(SAMPLES // BATCH):
        step()
    wait(run.device)
    seconds = time.perf_counter() - began
    row |= {"samples": SAMPLES, "batch": BATCH, "s": seconds, "1,000 samples, s": seconds * 1000 / SAMPLES}
    row["at most, s"] = 120
    if run.device.type == "cuda":
        row["peak memory, GiB"] = torch.cuda.max_memory_allocated(run.device) / 2**30
    return [row]


def train_head(run: Run) -> list[Row]:
    """The paper's head, 50 epochs on 435 embeddings; on two cores of the CPU a few, scaled."""
    rows: list[Row] = []
    cpu, threads = torch.device("cpu"), torch.get_num_threads()
    for n_qubits in run.in_time(HEADS, rows):
        heads = {where: head_on(n_qubits, where) for where in (cpu, run.device)}
        answers = [as_numbers(tuple(head_speed.gradients(*heads[where]))) for where in (run.device, cpu)]
        apart = largest_difference(*answers)
        # Both are in single precision.
        row: Row = {"qubits": n_qubits, "epochs": head_speed.EPOCHS, **compare({SINGLE: (apart, 2e-5)})}
        if not row["failed"]:
            row["card, s"] = seconds_of(heads[run.device], head_speed.EPOCHS, run.device)
            torch.set_num_threads(min(threads, CPU_CORES))
            row[f"CPU, {torch.get_num_threads()} threads, s"] = seconds_of(heads[cpu], CPU_EPOCHS, cpu)
            torch.set_num_threads(threads)
        rows.append(row)
    return rows


def head_on(n_qubits: int, where: torch.device) -> tuple[torch.nn.Module, Labelled]:
    """The head and its data on a device."""
    head, data = head_speed.build(n_qubits, 8)
    return head.to(where), Labelled(data.inputs.to(where), data.labels.to(where))


def seconds_of(given: tuple[torch.nn.Module, Labelled], epochs: int, where: torch.device) -> float:
    """Of the whole training, from so many epochs of it; one before them is not counted."""
    for count in (1, epochs):
        began = time.perf_counter()
        config = TrainingConfig(epochs=count, batch_size=head_speed.BATCH)
        fit(given[0], given[1], None, CrossEntropy(), config)
        wait(where)
    return (time.perf_counter() - began) * head_speed.EPOCHS / epochs


# Seconds set aside, as (what, how many, seconds of each).
# A prototype on an H100 took 0.173 ms for a pass of 22 steps in blocks of 2**11 amplitudes: 20 qubits,
# batch 8, complex64. Batch 10 is 5 / 4 of it; going back, with ket, bra and slopes, three times as much.
DEEP_PASS = 0.173e-3 * 5 / 4
DEEP_STEP = 1096 * (1 + 3) * DEEP_PASS
EXPECTED = {
    "deep": [
        ("the plan", 1, 5.0),
        ("one sample on the card, in both precisions", 2, DEEP_STEP),
        (
            "steps of a batch: a pass forward, three back",
            1 + SAMPLES // BATCH,
            DEEP_STEP,
        ),
    ],
    "head": [
        ("heads on the card, steps of 5 ms", len(HEADS) * 28 * (1 + head_speed.EPOCHS), 5e-3),
        ("heads on the CPU, epochs", len(HEADS) * (1 + CPU_EPOCHS), 1.5),
    ],
}
