"""The energy of a circuit on GPUs and on a quantum processor, and where the two are equal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hybridqies.report.energy import energy_notes, energy_table
from hybridqies.report.html.blocks import Listing, Table
from hybridqies.report.html.measurements import EnergyRecord
from hybridqies.report.html.plots import GREY, Axis, Block, Plot, Series, Shape

_MACHINES = {"gpu": "GPU simulation", "qpu": "quantum processor"}


def draw_energies(energy: EnergyRecord) -> Iterator[Block]:
    """Both energies against qubits, where they are equal beside published numbers, the table, and notes."""
    content = energy.content
    rows = content["rows"]
    series = [_line(rows, name, title, style) for style, (name, title) in enumerate(_MACHINES.items())]
    bottom, top = min(row["qpu"] for row in rows), max(row["gpu"] for row in rows)
    for style, each in enumerate(content["published"], len(_MACHINES)):
        qubits = float(each["qubits"])
        series.append(Series(_published(each), (qubits, qubits), (bottom, top), style=style))
    text = "The energy of each over the number of qubits, with 90 % bands; upright: published crossovers."
    x, y = Axis("qubits", whole=True), Axis("energy of one evaluation (J)", log=True)
    yield Plot("energy", "Energy against qubits, 90 % bands", text, x, y, tuple(series))
    yield _crossovers(content)
    yield Table.of("energy", energy_table(content))
    yield Listing(tuple(energy_notes(content)))


def _line(rows: Sequence[Mapping[str, Any]], name: str, title: str, style: int) -> Series:
    low, high = zip(*(row[f"{name}_interval"] for row in rows), strict=True)
    x = tuple(float(row["n_qubits"]) for row in rows)
    return Series(title, x, tuple(row[name] for row in rows), low, high, style=style)


def _crossovers(content: Mapping[str, Any]) -> Plot:
    """The estimate with its range, and published numbers, each in a row."""
    rows, found = content["rows"], content["crossover"]
    ends = {"below": float(rows[0]["n_qubits"]), "above": float(rows[-1]["n_qubits"])}
    value, low, high = (
        ends[found[name]] if isinstance(found[name], str) else float(found[name])
        for name in ("value", "low", "high")
    )
    open_ends = sorted({found[name] for name in ("value", "low", "high") if isinstance(found[name], str)})
    beyond = f" ({' and '.join(open_ends)} the sizes that were compared)" if open_ends else ""
    names = ("this estimate, 90 % range", *map(_published, content["published"]))
    own = Series(f"this estimate{beyond}", (value,), (0.0,), (low,), (high,), shape=Shape.DOTS)
    others = tuple(float(each["qubits"]) for each in content["published"])
    places = tuple(map(float, range(1, len(names))))
    series = (own, Series("published", others, places, shape=Shape.DOTS, style=GREY))
    text = "From which number of qubits on a GPU needs more energy: this estimate with its range, and others."
    label = "qubits from which the GPU needs more energy"
    caption = "From how many qubits a quantum processor needs less energy"
    return Plot("crossover", caption, text, Axis(label), Axis("source", names=names), series)


def _published(each: Mapping[str, Any]) -> str:
    return f"{each['source']}, {each['kind']}"
