"""`hybridqies diagnose`: whether a circuit can be trained, before a sweep is paid for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import read_pairs, read_settings, say, say_json, show, steps
from hybridqies.errors import InputError
from hybridqies.options import parse, parse_word, to_mapping

# A range of more numbers is a slip of the hand.
_MOST = 1000


def command(
    circuit: Annotated[str, typer.Argument(help="A recipe's name, or a .toml or .qasm file.")],
    qubits: Annotated[
        str, typer.Option(help="Numbers of qubits: 2:12:2 (from, to, step), or 4,6,8.")
    ] = "2:10:2",
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUES", help="An option of the recipe to vary, such as layers=1:9:4."),
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An option of the recipe.")
    ] = None,
    samples: Annotated[int, typer.Option(help="Random draws of all angles for each size.")] = 1000,
    readout: Annotated[int, typer.Option(help="The observable whose gradients are measured, from 0.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
    picture: Annotated[
        Path | None, typer.Option(help="Also draw the curves to this .png, .svg or .pdf file.")
    ] = None,
    json: flags.AsJson = False,
) -> None:
    """Measure a circuit with random angles: variance of gradients, expressibility, entanglement.

    Example: `hybridqies diagnose strongly-entangling --qubits 2:10:2 --vary layers=1,4 --picture plateau.png`
    """
    from hybridqies.circuit import load_recipe
    from hybridqies.diagnostics import Survey, diagnose_all, plan_sizes
    from hybridqies.figures import check_picture, save
    from hybridqies.report.diagnoses import diagnosis_notes, diagnosis_table, draw_diagnosis

    if picture is not None:
        check_picture(picture)
    survey, varied = Survey(samples, readout, seed), _read_varied(vary or [])
    sizes = parse(read_numbers(qubits, "--qubits"), tuple[int, ...], "--qubits")
    planned = plan_sizes(load_recipe(circuit), sizes, read_settings(set_ or []), varied, readout)
    with steps(json) as shown:
        shown.begin("diagnosis", len(planned))
        rows = diagnose_all(planned, survey, shown.update)
    record = {
        "circuit": planned[0][1].name,
        "observable": str(planned[0][1].observables[readout]),
        "vary": list(varied),
        **to_mapping(survey),
        "rows": [to_mapping(each) for each in rows],
    }
    if picture is not None:
        save(draw_diagnosis(record), picture)
    if json:
        say_json(record)
        return
    show(diagnosis_table(record))
    for note in diagnosis_notes(record):
        say(note)
    if picture is not None:
        say(f"Drawn in {picture}.")


def read_numbers(text: str, what: str) -> list[Any]:
    """The numbers of `first:last:step`, of which the last is one if a step ends there, or of a list.

    Raises
    ------
    InputError: a range that is not of whole numbers, has none, or more than a thousand.
    """
    if ":" not in text:
        return [parse_word(word) for word in text.split(",")]
    words = [parse_word(word) for word in text.split(":")]
    numbers = [word for word in words if type(word) is int]
    if len(words) not in (2, 3) or len(numbers) < len(words):
        raise InputError(
            f"{what} was given {text!r}", expected="first:last or first:last:step, whole numbers"
        )
    first, last, step = (*numbers, 1)[:3]
    if step < 1 or not first <= last <= first + _MOST * step:
        raise InputError(
            f"{what} was given {text!r}", expected=f"a rising range with a positive step, of at most {_MOST}"
        )
    return list(range(first, last + 1, step))


def _read_varied(pairs: Sequence[str]) -> dict[str, list[Any]]:
    words = read_pairs(pairs, "--vary", "key=values, as in --vary layers=1:9:4")
    return {key: read_numbers(values, f"--vary {key}") for key, values in words.items()}
