"""`hybridqies circuits`: what recipes there are, and what one of them looks like."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import read_settings, say, say_json, show
from hybridqies.errors import CapabilityError, CircuitError, InputError

if TYPE_CHECKING:
    from hybridqies.circuit import Circuit, Recipe


class Format(enum.Enum):
    """How one circuit is printed."""

    TEXT = "text"
    QASM = "qasm"
    JSON = "json"


def list_(json: flags.AsJson = False) -> None:
    """List the circuit recipes.

    Example: `hybridqies circuits list --json`
    """
    from hybridqies.circuit import list_circuits, load_recipe

    recipes = [load_recipe(name) for name in list_circuits()]
    if json:
        say_json([_facts(recipe, None) for recipe in recipes])
    else:
        show(_list(recipes))


def show_(
    circuit: Annotated[str, typer.Argument(help="A recipe's name, or a .toml or .qasm file.")],
    qubits: Annotated[
        int | None,
        typer.Option(
            help="Number of qubits. Default: 4, or the number in the .qasm file.", show_default=False
        ),
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An option of the recipe.")
    ] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="text, qasm (OpenQASM 3) or json.")
    ] = Format.TEXT,
    picture: Annotated[
        Path | None, typer.Option(help="Also draw it to this .png, .svg or .pdf file.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Lay a circuit out and draw it, with its sizes, light cones and work.

    Example: `hybridqies circuits show long-range-reupload --qubits 6 --picture circuit.png`
    """
    from hybridqies.circuit import Start, draw_picture, load_recipe, to_openqasm3

    if json and format_ is Format.QASM:
        raise InputError("--json was given with --format qasm", expected="one of them")
    wanted = Format.JSON if json else format_
    recipe = load_recipe(circuit)
    laid_out = recipe.build(recipe.usual_qubits if qubits is None else qubits, read_settings(set_ or []))
    if wanted is Format.QASM and laid_out.start is Start.AMPLITUDES:
        raise CircuitError(
            f"circuit {circuit!r} starts from amplitudes, which an OpenQASM program cannot take in",
            todo="use --format json, or to_openqasm3 in Python with the amplitudes of one sample",
        )
    program = to_openqasm3(laid_out) if wanted is Format.QASM else ""
    if picture is not None:
        draw_picture(laid_out, picture)
    if wanted is Format.QASM:
        say(program)
    elif wanted is Format.JSON:
        say_json(_facts(recipe, laid_out) | {"circuit": laid_out.to_mapping()})
    else:
        _describe(recipe, laid_out)


def group() -> typer.Typer:
    """The commands of `circuits`."""
    app = typer.Typer(
        help="The library of circuit recipes.", no_args_is_help=True, rich_markup_mode="markdown"
    )
    app.command("list")(list_)
    app.command("show")(show_)
    return app


def _facts(recipe: Recipe, circuit: Circuit | None) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": recipe.name,
        "title": recipe.title,
        "reference": recipe.reference,
        "weights": recipe.weights,
        "min_qubits": recipe.min_qubits,
        "options": {
            option.name: {"default": option.default, "help": option.help} for option in recipe.options
        },
    }
    if circuit is not None:
        from hybridqies.backends.resources import count_cone_qubits

        facts |= {
            "n_qubits": circuit.n_qubits,
            "n_features": circuit.n_features,
            "n_weights": circuit.n_weights,
            "depth": circuit.depth(),
            "two_qubit_gates": circuit.two_qubit_gates(),
            "longest_distance": circuit.longest_distance(),
            "light_cones": count_cone_qubits(circuit),
            "exact": _exact(circuit),
        }
    return facts


def _exact(circuit: Circuit) -> dict[str, Any]:
    """How the native simulator computes the circuit, or why it refuses."""
    from hybridqies.backends.statevector import StateVector

    try:
        cost = StateVector().exact_cost(circuit)
    except CapabilityError as error:
        return {"refused": str(error)}
    return {} if cost is None else {"run_as": str(cost), "operations": cost.operations}


def _cost_in_words(circuit: Circuit) -> str:
    from hybridqies.backends.resources import count_cone_qubits

    cones, exact = count_cone_qubits(circuit), _exact(circuit)
    lines = []
    if cones is not None:
        least, most = min(cones), max(cones)
        sizes = f"{most}" if least == most else f"{least} to {most}"
        lines.append(f"light cones: {len(cones)}, of {sizes} qubits")
    if "refused" in exact:
        lines.append(f"refused by statevector: {exact['refused']}")
    else:
        lines.append(
            f"exact values on statevector: {exact['run_as']}, {exact['operations']:,} operations a sample, "
            "forward and backward"
        )
    return "\n".join(lines)


def _list(recipes: list[Recipe]) -> Any:
    from rich.table import Table

    table = Table("circuit", "what it is", "weights", "reference", title="Circuit recipes", show_lines=True)
    for recipe in recipes:
        table.add_row(recipe.name, recipe.title, recipe.weights, recipe.reference)
    return table


def _describe(recipe: Recipe, circuit: Circuit) -> None:
    from rich.table import Table

    from hybridqies.circuit import draw_text

    say(f"{recipe.name}: {recipe.title}")
    say(f"{recipe.reference}")
    say(
        f"{circuit.n_qubits} qubits, {circuit.n_features} features, {circuit.n_weights} weights "
        f"(= {recipe.weights}), {len(circuit.gates)} gates, {circuit.two_qubit_gates()} on two qubits, "
        f"longest distance {circuit.longest_distance()}, depth {circuit.depth()}\n"
    )
    say(f"{_cost_in_words(circuit)}\n")
    say(draw_text(circuit))
    if recipe.options:
        table = Table("option", "default", "meaning", title="Options (--set option=value)")
        for option in recipe.options:
            table.add_row(option.name, str(option.default), option.help)
        show(table)
