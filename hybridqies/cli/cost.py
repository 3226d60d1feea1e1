"""`hybridqies cost`: what a circuit costs, and from how many qubits a quantum processor needs less energy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import read_pairs, read_settings, say, say_json, show
from hybridqies.options import read_whole, to_mapping


def command(
    circuit: Annotated[str, typer.Argument(help="A recipe's name, or a .toml or .qasm file.")],
    qubits: Annotated[
        str, typer.Option(help="Numbers of qubits: 10:50:5 (from, to, step), or 10,20.")
    ] = "10:50:5",
    shots: Annotated[int, typer.Option(help="Shots of each circuit on the quantum processor.")] = 1000,
    gradients: Annotated[
        bool, typer.Option("--gradients", help="Also the derivatives of one number by all weights.")
    ] = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An option of the recipe.")
    ] = None,
    constant: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Replace a constant: qpu_watts=5000, or with 90 %: 2000:5000:9000."
        ),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Also draw the energies to this .png, .svg or .pdf file.")
    ] = None,
    json: flags.AsJson = False,
) -> None:
    """Count what a circuit costs, and estimate its energy on a GPU and on a quantum processor.

    Example: `hybridqies cost rot-ring --qubits 10:50:5 --set layers=3 --picture energy.png`
    """
    from hybridqies.circuit import load_recipe
    from hybridqies.energy import PUBLISHED, Constants, compare_energy, count_work, find_crossover
    from hybridqies.figures import check_picture, save
    from hybridqies.report.energy import draw_energy, energy_notes, energy_table

    if picture is not None:
        check_picture(picture)
    pairs = read_pairs(constant or [], "--constant", "NAME=VALUE, as in --constant qpu_watts=5000")
    constants, recipe, options = Constants().replace(pairs), load_recipe(circuit), read_settings(set_ or [])
    sizes = sorted(set(read_whole(qubits, "--qubits")))
    circuits = [recipe.build(size, options) for size in sizes]
    works = [count_work(each, gradients=gradients) for each in circuits]
    record = {
        "circuit": circuits[0].name,
        "shots": shots,
        "gradients": gradients,
        "rows": [row.to_mapping() for row in compare_energy(works, shots, constants)],
        "crossover": to_mapping(find_crossover(works, shots, constants)),
        "published": list(PUBLISHED),
        "constants": to_mapping(constants),
    }
    if picture is not None:
        save(draw_energy(record), picture)
    if json:
        say_json(record)
        return
    show(energy_table(record))
    for note in energy_notes(record):
        say(note)
    if picture is not None:
        say(f"Drawn in {picture}.")
