"""Tables and notes of the diagnosis of a run, from its record alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from hybridqies.report.diagnoses import short

MEASURES = {"meyer_wallach": "Meyer-Wallach Q", "entropy": "entropy of half the qubits (bits)"}
"""What is measured of entanglement, and what it is called."""
STAGES = {
    "random": "random angles",
    "before": "untrained weights, on texts",
    "after": "trained weights, on texts",
}
"""Which weights gradients are measured with, and what they are called."""


def run_diagnosis_tables(record: Mapping[str, Any]) -> tuple[Table, ...]:
    """Entanglement of each part of each circuit, and gradients of each observable."""
    tables = (entanglement_table(record), gradients_table(record))
    return tables if record["gradients"] else tables[:1]


def entanglement_table(record: Mapping[str, Any]) -> Table:
    """Each circuit of a run, part by part: entanglement before and after training, and of random states."""
    table = Table(title="Entanglement of the circuits on validation texts", title_justify="left")
    stages = ("before", "after", "random")
    table.add_column("circuit")
    for name in (
        "copy",
        "qubits",
        "gates",
        *(f"{what} {when}" for what in ("Q", "entropy") for when in stages),
    ):
        table.add_column(name, justify="right")
    for row in record["rows"]:
        measured = [f"{row[when][name]:.3f}" for name in MEASURES for when in stages]
        where = f"{row['gates']} of {row['all_gates']}"
        table.add_row(row["layer"], str(row["copy"]), str(row["n_qubits"]), where, *measured)
    return table


def gradients_table(record: Mapping[str, Any]) -> Table:
    """Each observable of each circuit: its mean square derivative by a weight."""
    title = "Gradients: mean square of the derivative by a weight"
    table = Table(title=title, title_justify="left")
    for name in ("circuit", "observable"):
        table.add_column(name)
    for name in ("qubits", "weights that move it", *STAGES.values(), "2-design"):
        table.add_column(name, justify="right")
    for row in record["gradients"]:
        random = row["random"]
        moving = f"{0 if random is None else random['moving']} of {row['n_weights']}"
        measured = ["0" if row[name] is None else short(row[name]["value"]) for name in STAGES]
        table.add_row(
            row["layer"], row["observable"], str(row["n_qubits"]), moving, *measured, short(row["two_design"])
        )
    return table


def run_diagnosis_notes(record: Mapping[str, Any]) -> Iterator[str]:
    """How to read the tables."""
    yield entanglement_note(record)
    if record["gradients"]:
        yield from gradients_notes(record)


def entanglement_note(record: Mapping[str, Any]) -> str:
    """What the columns of the first table are."""
    return (
        f"Means over up to {record['most_texts']} validation texts. Q: Meyer and Wallach's, 0 for product "
        "states. entropy: of half the qubits, in bits. random: of Haar-random states."
    )


def gradients_notes(record: Mapping[str, Any]) -> Iterator[str]:
    """The gradients beside those of random circuits, for each circuit, and what the columns are."""
    layers = dict.fromkeys(row["layer"] for row in record["gradients"])
    for layer in layers:
        rows = [row for row in record["gradients"] if row["layer"] == layer and row["random"] is not None]
        if not rows:
            yield f"{layer}: no weight moves an observable."
            continue
        parts = (
            f"{_mean(rows, name) / rows[0]['two_design']:.2g} with {STAGES[name]}"
            for name in STAGES
            if all(row[name] is not None for row in rows)
        )
        yield f"{layer}: mean squares of gradients, as multiples of a 2-design's: {'; '.join(parts)}."
    yield (
        f"Of {record['samples']:,} draws of all angles from the full circle, where the mean square is the "
        f"variance, and of up to {record['most_texts']} validation texts, which circuits side by side share. "
        "Each is a mean over the weights that move the observable. 2-design: a circuit that is random before "
        "and after the weight, whose gradients halve their mean square with each qubit more."
    )


def _mean(rows: list[Mapping[str, Any]], name: str) -> float:
    return float(sum(row[name]["value"] for row in rows)) / len(rows)
