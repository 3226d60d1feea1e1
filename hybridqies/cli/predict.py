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
from hybridqies.cli.output import progress, say_data, to_json
from hybridqies.cli.planning import check_backend, show_plan
from hybridqies.errors import InputError
from hybridqies.text.entries import PAIR_COLUMN

if TYPE_CHECKING:
    from hybridqies.text import Entry, Table

Classes = tuple[str | int | float | bool, ...]


class Format(enum.Enum):
    """How predictions are written."""

    CSV = "csv"
    JSONL = "jsonl"


Texts = Annotated[
    list[str] | None, typer.Argument(help="Texts. Without texts and --file, lines are read from stdin.")
]
File = Annotated[
    Path | None, typer.Option(help="A .txt file with one text per line, or a data file with a text column.")
]
Pair = Annotated[list[str] | None, typer.Option(help="The second text of a pair; once for each text.")]
FormatName = Annotated[Format, typer.Option("--format", help="csv or jsonl.")]
AsJsonLines = Annotated[bool, typer.Option("--json", help="The same as --format jsonl.")]
SpreadsheetSafe = Annotated[
    bool,
    typer.Option(
        "--spreadsheet-safe",
        help="Put an apostrophe before CSV cells that a spreadsheet program would read as formulas.",
    ),
]
Out = Annotated[Path | None, typer.Option(help="Write to this file instead of stdout.")]


def command(
    run: flags.Run,
    texts: Texts = None,
    file: File = None,
    pair: Pair = None,
    text_column: flags.KnownTextColumn = None,
    pair_column: flags.KnownPairColumn = None,
    drop_empty: flags.DropEmpty = False,
    format_: FormatName = Format.CSV,
    json: AsJsonLines = False,
    spreadsheet_safe: SpreadsheetSafe = False,
    out: Out = None,
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

    A model of pairs takes `"First text" --pair "Second text"`, or a --file with both columns. The output
    has one row for each row of --file: the columns of the file, then those of the prediction. If both have
    a column of one name, such as `label`, the file's becomes `given_label`.

    Jobs at a remote service are recorded in the run's folder, as for `evaluate`.
    """
    from hybridqies.backends.jobs import Limits
    from hybridqies.runs import plan_prediction, predict_run

    as_json = json or format_ is Format.JSONL
    columns = {"text_column": text_column, "pair_column": pair_column}
    table = _read(run, texts or [], pair or [], file, columns, drop_empty)
    limits = Limits(max_shots, max_jobs)
    check_backend(run, backend)
    if show_plan(
        lambda figures: plan_prediction(run, table.texts, backend=backend, limits=limits, rates=figures),
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
            table.texts,
            backend=backend,
            device=device,
            limits=limits,
            journal=journal,
            hooks=hooks,
            cached=not no_cache,
        )
    _write(_format(table, classes, probabilities, as_json, spreadsheet_safe), out)


def _read(
    run: Path,
    texts: list[str],
    seconds: list[str],
    file: Path | None,
    columns: Mapping[str, str | None],
    drop_empty: bool,
) -> Table:
    """The texts to predict for, from one of the places where they can be given."""
    named = {name: column for name, column in columns.items() if column is not None}
    if file is None:
        return _read_words(texts, seconds, named, drop_empty)
    if texts or seconds:
        raise InputError("both texts and --file were given", expected="one of them")
    return _read_file(run, file, named, drop_empty)


def _read_words(texts: list[str], seconds: list[str], named: Mapping[str, str], drop_empty: bool) -> Table:
    """The texts of the command line, each with its second one where there are such, or the lines of stdin."""
    from hybridqies.text import Table, read_lines

    for name in named:
        raise InputError(
            f"--{name.replace('_', '-')} was given without --file", expected="a file that has columns"
        )
    if seconds and len(seconds) != len(texts):
        raise InputError(
            f"{len(texts)} texts and {len(seconds)} second texts (--pair) were given",
            expected="as many of one as of the other",
            todo='as in: predict RUN "a text" --pair "its second text"',
        )
    if texts:
        return Table(tuple(zip(texts, seconds, strict=True)) if seconds else tuple(texts))
    if sys.stdin.isatty():
        raise InputError(
            "no text was given",
            expected="texts, --file, or lines on stdin",
            todo='as in: predict RUN "a text"',
        )
    return Table(read_lines(sys.stdin.buffer.read(), "stdin", drop_empty))


def _read_file(run: Path, file: Path, named: Mapping[str, str], drop_empty: bool) -> Table:
    """The texts of a file; columns that are not named are those of training."""
    from hybridqies.runs import recorded_columns
    from hybridqies.text import read_table

    columns = {**recorded_columns(run), **named}
    text, pair = columns["text_column"], columns["pair_column"]
    return read_table(file, text, pair_column=pair, drop_empty=drop_empty)


def _write(content: str, out: Path | None) -> None:
    from hybridqies.files import write_text

    if out is None:
        say_data(content)
    else:
        write_text(out, content)


def _format(table: Table, classes: Classes, probabilities: Any, as_json: bool, spreadsheet_safe: bool) -> str:
    """The rows of the table with what is predicted for them, as lines of JSON or as CSV."""
    rows = [_row(text, row, classes) for text, row in zip(table.texts, probabilities, strict=True)]
    others = _rename(table.others, {*rows[0], *(f"p_{label}" for label in classes)})
    return _jsonl(rows, others) if as_json else _csv(rows, others, classes, spreadsheet_safe)


def _rename(others: Mapping[str, Sequence[Any]], taken: set[str]) -> dict[str, Sequence[Any]]:
    """The file's other columns, under names that the prediction's columns, `taken`, do not have."""
    renamed: dict[str, Sequence[Any]] = {}
    for name, values in others.items():
        while name in taken:
            name = f"given_{name}"
        taken = taken | {name}
        renamed[name] = values
    return renamed


def _row(text: Entry, probabilities: Any, classes: Classes) -> dict[str, Any]:
    best = int(probabilities.argmax())
    texts = {"text": text[0], PAIR_COLUMN: text[1]} if isinstance(text, tuple) else {"text": text}
    return {
        **texts,
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
    from hybridqies.report.spreadsheets import escape_formula

    safe = escape_formula if spreadsheet_safe else _as_it_is
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    plain = [name for name in rows[0] if name != "probabilities"]
    writer.writerow([*map(safe, others), *plain, *(safe(f"p_{label}") for label in classes)])
    for at, row in enumerate(rows):
        named = [*(values[at] for values in others.values()), *(row[name] for name in plain)]
        writer.writerow([*map(safe, named), *row["probabilities"].values()])
    return stream.getvalue()


def _as_it_is(cell: Any) -> Any:
    return cell


def _as_json(value: Any) -> Any:
    """A value of a file as JSON has it; dates and other kinds as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | list | dict | None) else str(value)
