"""The circuits of a run, drawn."""

from __future__ import annotations

from collections.abc import Iterator

from hybridqies.circuit import draw_figure
from hybridqies.circuit.draw import MAX_QUBITS, summary
from hybridqies.report.html.blocks import Picture
from hybridqies.report.html.records import RunRecord


def draw_circuits(run: RunRecord) -> Iterator[Picture]:
    """A drawing of each circuit that is not too wide for one."""
    for role, circuit in run.circuits.items():
        if circuit.n_qubits <= MAX_QUBITS:
            text = f"Drawing of the {role}: {summary(circuit)}"
            yield Picture(f"drawing-{role}", summary(circuit), text, draw_figure(circuit))
