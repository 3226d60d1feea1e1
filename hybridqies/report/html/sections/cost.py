"""What each head, or each trial, costs."""

from __future__ import annotations

from collections.abc import Iterator

from hybridqies.report.html.blocks import Table
from hybridqies.report.html.plots import Block
from hybridqies.report.html.records import RunRecord


def count_cost(run: RunRecord) -> Iterator[Block]:
    """Parameters and seconds of each head; qubits, depth and gates of each circuit."""
    headings = ("head", "trained parameters", "epochs", "seconds of training")
    rows = tuple(
        (
            arm.name,
            f"{arm.result['n_parameters']:,}",
            str(arm.result["epochs"]),
            f"{arm.result['seconds']:.1f}",
        )
        for arm in run.arms
    )
    yield Table("cost", "Parameters and time", headings, rows, (False, True, True, True))
    if run.circuits:
        yield _circuits(run)
    counted = tuple((arm.name, arm.result["parameters"]) for arm in run.arms)
    title = "How parameters are counted"
    yield Table("parameters", title, ("head", "formula"), counted, (False, False), folded=True)


def _circuits(run: RunRecord) -> Table:
    headings = ("role", "circuit", "qubits", "depth", "gates", "two-qubit gates", "features", "weights")
    rows = tuple(
        (
            role,
            circuit.name,
            str(circuit.n_qubits),
            str(circuit.depth()),
            str(len(circuit.gates)),
            str(circuit.two_qubit_gates()),
            str(circuit.n_features),
            str(circuit.n_weights),
        )
        for role, circuit in run.circuits.items()
    )
    numeric = (False, False, *(True for _ in headings[2:]))
    return Table("circuits", f"Circuits of {run.arms[0].name}", headings, rows, numeric)
