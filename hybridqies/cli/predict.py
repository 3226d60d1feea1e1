"""`hybridqies predict`: labels and probabilities for texts."""

from __future__ import annotations

import csv
import enum
import io
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import escape_formula, progress, say_data, to_json
from hybridqies.cli.planning import check_backend, show_plan
from hybridqies.errors import InputError


class Format(enum.Enum):
    """How predictions are written."""

    CSV = "csv"
    JSONL = "jsonl"


def command(
    run: flags.Run,
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts; stdin's lines when there is neither text nor file.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help="A .txt of one text a line, or a CSV, TSV, JSONL or Parquet file with a text column."
        ),
    ] = None,
    text_column: flags.KnownTextColumn = None,
    format_: Annotated[Format, typer.Option("--format", help="csv or jsonl.")] = Format.CSV,
    json: Annotated[bool, typer.Option("--json", help="The same as --format jsonl.")] = False,
    spreadsheet_safe: Annotated[
        bool,
        typer.Option(
            "--spreadsheet-safe",
            help="Put an apostrophe before CSV cells that a spreadsheet program would take for formulas.",
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
) -> None:
    """Print a label and the probability of every class for each text.

    Example: `hybridqies predict runs/demo "You have won a prize" --format jsonl`

    Jobs at a remote service are journalled in the run's folder, as those of `evaluate`.
    """
    from hybridqies.backends.jobs import Limits
    from hybridqies.files import write_text
    from hybridqies.runs import plan_prediction, predict_run, recorded_columns

    as_json = json or format_ is Format.JSONL
    column = text_column or recorded_columns(run).get("text_column", "text")
    given = _texts(texts or [], file, column)
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
            run, given, backend=backend, device=device, limits=limits, journal=journal, hooks=hooks
        )
    rows = [_row(text, row, classes) for text, row in zip(given, probabilities, strict=True)]
    written = _jsonl(rows) if as_json else _csv(rows, classes, spreadsheet_safe)
    if out is None:
        say_data(written)
    else:
        write_text(out, written)


def _texts(texts: list[str], file: Path | None, column: str) -> list[str]:
    from hybridqies.text import read_lines, read_texts

    if texts and file is not None:
        raise InputError("both texts and --file were given", expected="one of them")
    if file is not None:
        return list(read_texts(file, column))
    if not texts:
        if sys.stdin.isatty():
            raise InputError(
                "no text was given",
                expected="texts, --file, or lines on stdin",
                todo='as in: predict RUN "a text"',
            )
        return list(read_lines(sys.stdin.buffer.read(), "stdin"))
    return texts


def _row(text: str, probabilities: Any, classes: tuple[str | int, ...]) -> dict[str, Any]:
    best = int(probabilities.argmax())
    return {
        "text": text,
        "label": classes[best],
        "probabilities": {
            str(label): round(float(p), 6) for label, p in zip(classes, probabilities, strict=True)
        },
    }


def _jsonl(rows: list[dict[str, Any]]) -> str:
    return "".join(to_json(row) + "\n" for row in rows)


def _csv(rows: list[dict[str, Any]], classes: tuple[str | int, ...], spreadsheet_safe: bool) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["text", "label", *(f"p_{label}" for label in classes)])
    for row in rows:
        named = [row["text"], row["label"]]
        cells = map(escape_formula, named) if spreadsheet_safe else named
        writer.writerow([*cells, *row["probabilities"].values()])
    return stream.getvalue()
