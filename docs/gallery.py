"""Writes the page of all recipes, with a picture of each, from `circuits/`."""

from __future__ import annotations

import os
from pathlib import Path

from hybridqies.backends.resources import count_cone_qubits
from hybridqies.circuit import Circuit, Recipe, draw_picture, list_circuits, load_recipe
from hybridqies.records import digest_of

_HEAD = """# Gallery of circuits

Every recipe in `circuits/`, with its defaults.
Boxes are blue for angles of features, orange for weights, and grey for what is fixed.
`hybridqies circuits show NAME --qubits N` prints the same of any other size.
This page is generated from the recipes.
"""


def write_gallery(folder: Path, pictures: Path) -> Path:
    """Writes `gallery.md` into `folder`, and pictures that are not there yet into `pictures`."""
    pictures.mkdir(parents=True, exist_ok=True)
    parts = [_HEAD, *(_describe(load_recipe(name), folder, pictures) for name in list_circuits())]
    page = folder / "gallery.md"
    page.write_text("\n".join(parts), encoding="utf-8")
    return page


def _describe(recipe: Recipe, folder: Path, pictures: Path) -> str:
    circuit = recipe.build(recipe.usual_qubits, {})
    # Named after what is drawn, so that nothing is drawn twice.
    picture = pictures / f"{recipe.name}-{digest_of(circuit.to_mapping())[:12]}.svg"
    if not picture.is_file():
        draw_picture(circuit, picture)
    options = [f"| `{each.name}` | `{each.default}` | {_cell(each.help)} |" for each in recipe.options]
    table = ["| option | default | meaning |", "|---|---|---|", *options, ""] if options else []
    lines = [
        f"## {recipe.name}",
        "",
        f"{recipe.title}. {recipe.reference}",
        "",
        f"![{recipe.name} at {circuit.n_qubits} qubits]({Path(os.path.relpath(picture, folder)).as_posix()})",
        "",
        _sizes(circuit),
        "",
        *table,
    ]
    return "\n".join(lines)


def _sizes(circuit: Circuit) -> str:
    """What `hybridqies circuits show` says of its size."""
    cones = count_cone_qubits(circuit)
    ends = sorted({min(cones), max(cones)}) if cones else []
    seen = f", light cones of {' to '.join(map(str, ends))} qubits" if ends else ""
    return (
        f"{circuit.n_qubits} qubits, depth {circuit.depth()}, {circuit.n_weights} weights, "
        f"{circuit.n_features} features, {circuit.two_qubit_gates()} two-qubit gates, "
        f"longest distance {circuit.longest_distance()}{seen}."
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
