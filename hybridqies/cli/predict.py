"""`hybridqies predict`: labels and probabilities for texts."""

from __future__ import annotations

import csv
import enum
import io
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import escape_formula, progress, say_data, to_json
from hybridqies.cli.planning import check_backend, show_plan
from hybridqies.errors import InputError

if TYPE_CHECKING:
    from hybridqies.text import Table

Classes = tuple[str | int | float | bool, ...]


class Format(enum.Enum):
    """How predictions are written."""

    CSV = "csv"
    JSONL = "jsonl"


def command(
    run: flags.Run,
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts. Without texts and --file, the lines of stdin.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="A .txt file with one text per line, or a data file with a text column."),
    ] = None,
    text_column: flags.KnownTextColumn = None,
    drop_empty: flags.DropEmpty = False,
    format_: Annotated[Format, typer.Option("--format", help="csv or jsonl.")] = Format.CSV,
    json: Annotated[bool, typer.Option("--json", help="The same as --format jsonl.")] = False,
    spreadsheet_safe: Annotated[
        bool,
        typer.Option(
            "--spreadsheet-safe",
            help="Put an apostrophe before CSV cells that a spreadsheet program would read as formulas.",
        ),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of stdout.")] = None,
    backend: flags.OtherBackend = None,
    dry_run: flags.DryRun = False,
    rates: flags.RatesFile = None,
    max_shots: flags.MaxShots = None,
    max_jobs: flags.MaxJobs = None,
    journal: flags.JournalFile = None,
    device: flags.Device = "cpu",
    no_cache: flags.NoCache = False,
) -> None:
    """Print a label and the probability of every class for each text.

    Example: `hybridqies predict runs/demo "You have won a prize" --format jsonl`

    Every row of --file gives one row: its own columns, then those of the prediction. A column of the
    file that has the name of one of these, such as `label`, is renamed to `given_label`.

    Jobs at a remote service are recorded in the run's folder, as for `evaluate`.
    """
    from hybridqies.backends.jobs import Limits
    from hybridqies.files import write_text
    from hybridqies.runs import plan_prediction, predict_run, recorded_columns

    as_json = json or format_ is Format.JSONL
    column = text_column or recorded_columns(run).get("text_column", "text")
    table = _table(texts or [], file, column, drop_empty)
    given = table.texts
    limits = Limits(max_shots, max_jobs)
    check_backend(run, backend)
    if show_plan(
        lambda figures: plan_prediction(run, len(given), backend=backend, limits=limits, rates=figures),
        dry_run=dry_run,
        rates=rates,
        limits=limits,
        journal=journal,
        as_json=as_json,
    ):
        return
    with progress(quiet=False) as hooks:
        classes, probabilities = predict_run(
            run,
            given,
            backend=backend,
            device=device,
            limits=limits,
            journal=journal,
            hooks=hooks,
            cached=not no_cache,
        )
    rows = [_row(text, row, classes) for text, row in zip(given, probabilities, strict=True)]
    others = _rename(table.others, classes)
    written = _jsonl(rows, others) if as_json else _csv(rows, others, classes, spreadsheet_safe)
    if out is None:
        say_data(written)
    else:
        write_text(out, written)


def _table(texts: list[str], file: Path | None, column: str, drop_empty: bool) -> Table:
    from hybridqies.text import Table, read_lines, read_table

    if texts and file is not None:
        raise InputError("both texts and --file were given", expected="one of them")
    if file is not None:
        return read_table(file, column, drop_empty)
    if not texts:
        if sys.stdin.isatty():
            raise InputError(
                "no text was given",
                expected="texts, --file, or lines on stdin",
                todo='as in: predict RUN "a text"',
            )
        return Table(read_lines(sys.stdin.buffer.read(), "stdin", drop_empty))
    return Table(tuple(texts))


def _rename(others: Mapping[str, Sequence[Any]], classes: Classes) -> dict[str, Sequence[Any]]:
    """The file's other columns, under names that the prediction's columns do not have."""
    taken = {"text", "label", "probabilities", *(f"p_{label}" for label in classes)}
    renamed: dict[str, Sequence[Any]] = {}
    for name, values in others.items():
        while name in taken:
            name = f"given_{name}"
        taken.add(name)
        renamed[name] = values
    return renamed


def _row(text: str, probabilities: Any, classes: Classes) -> dict[str, Any]:
    best = int(probabilities.argmax())
    return {
        "text": text,
        "label": classes[best],
        "probabilities": {
            str(label): round(float(p), 6) for label, p in zip(classes, probabilities, strict=True)
        },
    }


def _jsonl(rows: list[dict[str, Any]], others: Mapping[str, Sequence[Any]]) -> str:
    lines = [
        {name: _as_json(values[at]) for name, values in others.items()} | row for at, row in enumerate(rows)
    ]
    return "".join(to_json(line) + "\n" for line in lines)


def _csv(
    rows: list[dict[str, Any]],
    others: Mapping[str, Sequence[Any]],
    classes: Classes,
    spreadsheet_safe: bool,
) -> str:
    safe = escape_formula if spreadsheet_safe else _as_it_is
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*map(safe, others), "text", "label", *(safe(f"p_{label}") for label in classes)])
    for at, row in enumerate(rows):
        named = [*(values[at] for values in others.values()), row["text"], row["label"]]
        writer.writerow([*map(safe, named), *row["probabilities"].values()])
    return stream.getvalue()


def _as_it_is(cell: Any) -> Any:
    return cell


def _as_json(value: Any) -> Any:
    """A value of a file as JSON has it; dates and other kinds as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | list | dict | None) else str(value)
