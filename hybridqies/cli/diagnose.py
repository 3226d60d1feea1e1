"""`hybridqies diagnose`: whether a circuit can be trained, before a sweep is paid for."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import complain, read_pairs, read_settings, say, say_json, show, steps
from hybridqies.errors import InputError
from hybridqies.options import parse_word, read_whole, to_mapping

_MAY_NOT_WRITE = {errno.EACCES, errno.EPERM, errno.EROFS}


def command(
    context: typer.Context,
    circuit: Annotated[
        str, typer.Argument(help="A recipe's name, a .toml or .qasm file, or the folder of a run.")
    ],
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
    samples: Annotated[
        int, typer.Option(help="Random draws of all angles for each size; of a run 200 unless it is given.")
    ] = 1000,
    readout: Annotated[int, typer.Option(help="The observable whose gradients are measured, from 0.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
    picture: Annotated[
        Path | None, typer.Option(help="Also draw the curves to this .png, .svg or .pdf file.")
    ] = None,
    json: flags.AsJson = False,
) -> None:
    """Measure a circuit with random angles: variance of gradients, expressibility, entanglement.

    Of a run: how entangled its circuits are on its own texts, and how large their gradients, before and after
    training. It is recorded in the folder of the run, where `report` finds it.

    Example: `hybridqies diagnose strongly-entangling --qubits 2:10:2 --vary layers=1,4 --picture plateau.png`
    """
    from hybridqies.circuit import load_recipe
    from hybridqies.diagnostics import Survey, diagnose_all, plan_sizes
    from hybridqies.figures import check_picture, save
    from hybridqies.report.diagnoses import diagnosis_notes, diagnosis_table, draw_diagnosis

    if Path(circuit).is_dir():
        _diagnose_run(context, Path(circuit), samples, seed, as_json=json)
        return
    if picture is not None:
        check_picture(picture)
    survey, varied = Survey(samples, readout, seed), _read_varied(vary or [])
    sizes = read_whole(qubits, "--qubits")
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


def _diagnose_run(context: typer.Context, folder: Path, samples: int, seed: int, *, as_json: bool) -> None:
    from hybridqies.diagnostics import Survey
    from hybridqies.ownership import FolderLock
    from hybridqies.report.run_diagnoses import run_diagnosis_notes, run_diagnosis_tables
    from hybridqies.runs.diagnosis import DRAWS, diagnose_training, write_diagnosis
    from hybridqies.runs.folder import DIAGNOSTICS

    typed = flags.typed(context)
    for name in sorted(typed - {"circuit", "samples", "seed", "json"}):
        raise InputError(
            f"--{name.rstrip('_')} was given with the folder of a run",
            expected="--samples, --seed or --json: the run says what its circuits are",
        )
    survey = Survey(samples if "samples" in typed else DRAWS, seed=seed)
    with FolderLock(folder):
        diagnosis = diagnose_training(folder, survey)
        record = {"run": str(folder), **diagnosis}
        if as_json:
            say_json(record)
        else:
            show(*run_diagnosis_tables(record))
            for note in run_diagnosis_notes(record):
                say(note)
        try:
            write_diagnosis(folder, diagnosis)
        except OSError as error:
            if error.errno not in _MAY_NOT_WRITE:
                raise
            # Looking at somebody else's run is no error; only its report will lack these sections.
            complain(f"not recorded, {str(folder)!r} cannot be written to: {error.strerror}")
        else:
            if not as_json:
                say(f"Recorded in {folder / DIAGNOSTICS}; hybridqies report shows it.")


def _read_varied(pairs: Sequence[str]) -> dict[str, list[Any]]:
    words = read_pairs(pairs, "--vary", "key=values, as in --vary layers=1:9:4")
    return {key: _read_values(values, f"--vary {key}") for key, values in words.items()}


def _read_values(text: str, what: str) -> list[Any]:
    """A range of whole numbers, or words of any kind with commas."""
    return list(read_whole(text, what)) if ":" in text else [parse_word(word) for word in text.split(",")]
