"""How entangled the circuits of a run are, and how large their gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hybridqies.report.html.blocks import Listing, Table
from hybridqies.report.html.plots import GREY, Axis, Block, Plot, Series, Shape
from hybridqies.report.html.records import RunRecord
from hybridqies.report.run_diagnoses import (
    MEASURES,
    STAGES,
    entanglement_note,
    entanglement_table,
    gradients_notes,
    gradients_table,
)

_WHEN = {"before": "before training", "after": "after training"}


def draw_run_entanglement(run: RunRecord) -> Iterator[Block]:
    """Both measures along each circuit, before and after training, beside Haar-random states; the table."""
    if run.diagnosis is None:
        return
    rows = run.diagnosis["rows"]
    for name, label in MEASURES.items():
        text = (
            f"{label} of each circuit along its gates, before and after training, mean over texts and over "
            "circuits side by side; the dotted line is that of Haar-random states."
        )
        x, y = Axis("gates applied (%)", limits=(0.0, 103.0)), Axis(label)
        yield Plot(name.replace("_", "-"), _upper(label), text, x, y, tuple(_lines(rows, name)))
    table = Table.of("entanglement", entanglement_table(run.diagnosis))
    yield replace(table, folded=len(table.rows) > 12)
    yield Listing((entanglement_note(run.diagnosis),))


def draw_run_trainability(run: RunRecord) -> Iterator[Block]:
    """The mean square gradients of each observable, beside those of random circuits; and the table."""
    if run.diagnosis is None or not run.diagnosis["gradients"]:
        return
    rows = run.diagnosis["gradients"]
    names = tuple(f"{row['layer']}, {row['observable']}" for row in rows)
    series = [_stage(rows, name, title, style) for style, (name, title) in enumerate(STAGES.items())]
    places = tuple(map(float, range(len(rows))))
    two_design = tuple(row["two_design"] for row in rows)
    series.append(Series("2-design", two_design, places, shape=Shape.DOTS, style=GREY))
    label = "mean square of the derivative by a weight"
    text = (
        f"Dots for each observable of each circuit: {label}, with random angles, and with the run's own "
        "weights before and after training; hollow: of a 2-design."
    )
    x, y = Axis(label, log=True), Axis("observable", names=names)
    yield Plot("gradients", _upper(label), text, x, y, tuple(each for each in series if each.x))
    table = Table.of("gradients", gradients_table(run.diagnosis))
    yield replace(table, folded=len(table.rows) > 12)
    yield Listing(tuple(gradients_notes(run.diagnosis)))


def _lines(rows: Sequence[Mapping[str, Any]], name: str) -> Iterator[Series]:
    """A line for each circuit, before and after, and a level for random states of as many qubits."""
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    for at, layer in enumerate(layers):
        own = [row for row in rows if row["layer"] == layer]
        ends = sorted({row["gates"] for row in own})
        along = tuple(100 * end / own[0]["all_gates"] for end in ends)
        for second, (when, words) in enumerate(_WHEN.items()):
            means = tuple(_mean([row[when][name] for row in own if row["gates"] == end]) for end in ends)
            yield Series(f"{layer}, {words}", along, means, style=2 * at + second)
    randoms = {row["n_qubits"]: row["random"][name] for row in rows}
    for n_qubits, value in randoms.items():
        title = f"random states of {n_qubits} qubits"
        yield Series(title, (0.0,), (value,), shape=Shape.LEVEL, style=GREY)


def _stage(rows: Sequence[Mapping[str, Any]], name: str, title: str, style: int) -> Series:
    found = [(float(at), row[name]) for at, row in enumerate(rows) if row[name] is not None]
    values = tuple(each["value"] for _, each in found)
    margins = [1.96 * each["error"] for _, each in found]
    # On a logarithmic axis there is no place for an end below zero.
    low = tuple(
        value - margin if value > margin else None for value, margin in zip(values, margins, strict=True)
    )
    high = tuple(
        None if end is None else value + margin
        for value, margin, end in zip(values, margins, low, strict=True)
    )
    return Series(title, values, tuple(at for at, _ in found), low, high, shape=Shape.DOTS, style=style)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _upper(label: str) -> str:
    return f"{label[0].upper()}{label[1:]}"
