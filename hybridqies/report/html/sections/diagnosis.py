"""Trainability, expressibility and entanglement of a circuit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hybridqies.report.diagnoses import diagnosis_notes, diagnosis_table, series
from hybridqies.report.html.blocks import Listing, Table
from hybridqies.report.html.measurements import DiagnosisRecord
from hybridqies.report.html.plots import GREY, Axis, Block, Plot, Series

_ENTANGLEMENT = (
    ("meyer_wallach", "Meyer-Wallach Q", False),
    ("entropy", "entropy of half the qubits (bits)", False),
)


def draw_trainability(diagnosis: DiagnosisRecord) -> Iterator[Block]:
    """The variance of gradients against qubits, the table of all measures, and what they say in words."""
    label = f"variance of the gradient of {diagnosis.content['observable']}"
    yield from _draw(diagnosis, "gradient_variance", label, log=True)
    yield Table.of("diagnosis", diagnosis_table(diagnosis.content))
    yield Listing(tuple(diagnosis_notes(diagnosis.content)))


def draw_expressibility(diagnosis: DiagnosisRecord) -> Iterator[Block]:
    """How far the states are from random ones."""
    yield from _draw(diagnosis, "expressibility", "KL divergence to Haar-random states", log=True)


def draw_entanglement(diagnosis: DiagnosisRecord) -> Iterator[Block]:
    """The two measures of entanglement against qubits."""
    for name, label, log in _ENTANGLEMENT:
        yield from _draw(diagnosis, name, label, log=log)


def _draw(diagnosis: DiagnosisRecord, name: str, label: str, *, log: bool) -> Iterator[Plot]:
    rows = [row for row in diagnosis.content["rows"] if row[name] is not None]
    if not rows:
        return
    lines = []
    for style, (title, members) in enumerate(series(diagnosis.content)):
        measured = [row for row in members if row[name] is not None]
        if measured:
            lines.append(_line(title or diagnosis.content["circuit"], measured, name, style, log=log))
    sizes = {row["n_qubits"]: row for row in sorted(rows, key=lambda row: int(row["n_qubits"]))}
    randoms = tuple(
        row["random_variance"] if name == "gradient_variance" else row[name]["random"]
        for row in sizes.values()
    )
    lines.append(Series("random", tuple(map(float, sizes)), randoms, style=GREY))
    intervals = ", with 95 % intervals" if any(line.low for line in lines) else ""
    text = f"{label} over the number of qubits{intervals}; the dotted line is that of random circuits."
    caption = f"{label[0].upper()}{label[1:]}"
    yield Plot(name, caption, text, Axis("qubits", whole=True), Axis(label, log=log), tuple(lines))


def _line(title: str, rows: Sequence[Mapping[str, Any]], name: str, style: int, *, log: bool) -> Series:
    values = tuple(row[name]["value"] for row in rows)
    x = tuple(float(row["n_qubits"]) for row in rows)
    errors = [row[name]["error"] for row in rows]
    if None in errors:
        # One number of all draws has no interval.
        return Series(title, x, values, style=style)
    ends = [(at - 1.96 * error, at + 1.96 * error) for at, error in zip(values, errors, strict=True)]
    # On a logarithmic axis there is no place for an end below zero.
    low, high = (
        tuple(end if end > 0 or not log else None for end in side) for side in zip(*ends, strict=True)
    )
    return Series(title, x, values, low, high, style=style)
