"""What each head, or each trial, costs."""

from __future__ import annotations

from collections.abc import Iterator

from hybridqies.report.html.blocks import Table
from hybridqies.report.html.plots import Block
from hybridqies.report.html.records import ArmRecord, RunRecord

_MEASURED = ("peak memory of the process (MB)", "operations of circuits", "energy")


def count_cost(run: RunRecord) -> Iterator[Block]:
    """Parameters and seconds of each head; qubits, depth and gates of each circuit."""
    headings = ("head", "trained parameters", "epochs", "seconds of training", *_MEASURED)
    rows = tuple(
        (
            arm.name,
            f"{arm.result['n_parameters']:,}",
            str(arm.result["epochs"]),
            f"{arm.result['seconds']:.1f}",
            *_measured(arm),
        )
        for arm in run.arms
    )
    yield Table(
        "cost", "Parameters and time", headings, rows, (False, *(True for _ in headings[1:-1]), False)
    )
    if run.circuits:
        yield _circuits(run)
    counted = tuple((arm.name, arm.result["parameters"]) for arm in run.arms)
    title = "How parameters are counted"
    yield Table("parameters", title, ("head", "formula"), counted, (False, False), folded=True)


def _measured(arm: ArmRecord) -> tuple[str, str, str]:
    """Peak memory, operations of the circuits and energy; nothing of runs of earlier versions."""
    if arm.cost is None:
        return "", "", arm.energy
    memory, operations = arm.cost["peak_memory_bytes"], arm.cost["circuit_operations"]
    written = (
        "" if memory is None else f"{memory / 1e6:,.0f}",
        "" if operations is None else f"{operations:,}",
    )
    return *written, arm.energy


def _circuits(run: RunRecord) -> Table:
    headings = (
        "role",
        "circuit",
        "qubits",
        "depth",
        "gates",
        "two-qubit gates",
        "longest distance",
        "features",
        "weights",
    )
    rows = tuple(
        (
            role,
            circuit.name,
            str(circuit.n_qubits),
            str(circuit.depth()),
            str(len(circuit.gates)),
            str(circuit.two_qubit_gates()),
            str(circuit.longest_distance()),
            str(circuit.n_features),
            str(circuit.n_weights),
        )
        for role, circuit in run.circuits.items()
    )
    numeric = (False, False, *(True for _ in headings[2:]))
    return Table("circuits", f"Circuits of {run.arms[0].name}", headings, rows, numeric)
