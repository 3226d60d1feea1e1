"""Files of texts and labels: CSV, TSV, JSONL and Parquet, the format told by the extension alone."""

from __future__ import annotations

import csv
import importlib
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridqies.errors import DataError, MissingExtraError, nearest
from hybridqies.text.checks import fault_of

Label = str | int


@dataclass(frozen=True)
class Columns:
    """The names of the columns that are read; all others are left alone. Without `label` only texts are."""

    text: str = "text"
    label: str | None = "label"

    @property
    def enough(self) -> str:
        """What a file has to hold at least."""
        return "at least one text" if self.label is None else "at least one row for each of two labels"

    def check(self, present: Iterable[str], where: str) -> None:
        """Raises DataError when a column isn't there, or when both names are the same."""
        names = list(present)
        if self.text == self.label:
            raise DataError(
                f"{self.text!r} was given as text and as label column", expected="two different columns"
            )
        for role, wanted in (("text", self.text), ("label", self.label)):
            if wanted is None:
                continue
            if names.count(wanted) > 1:
                raise DataError(f"{where} has {names.count(wanted)} columns named {wanted!r}", expected="one")
            if wanted not in names:
                close = nearest(wanted, names)
                raise DataError(
                    f"{where} has no column {wanted!r}",
                    expected=f"a {role} column out of: {', '.join(map(repr, names)) or 'none'}",
                    todo=(f"did you mean {close!r}? " if close else "")
                    + f"give the name of its {role} column",
                )


@dataclass(frozen=True)
class Rows:
    """Texts and labels as they stand in one source, with the place of each for messages.

    There are as many labels as texts, or none where only texts were asked for.
    `labels_are_text` says that the format has no integers (CSV), so that
    labels which all read as integers may become integers.
    """

    where: str
    unit: str
    numbers: Sequence[int]
    texts: Sequence[str]
    labels: Sequence[Label]
    labels_are_text: bool = False

    def place(self, position: int) -> str:
        """The row at `position` in words, as in "train.csv, line 7"."""
        return f"{self.where}, {self.unit} {self.numbers[position]}"


def read_file(path: Path, columns: Columns, *, also: str = "") -> Rows:
    """The rows of one file; `also` names an extension that the caller reads itself, for the message.

    Raises
    ------
    DataError: unknown extension, not UTF-8, malformed, empty, no such column, a row without text or label.
    MissingExtraError: a Parquet file without pyarrow.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"{path} has the extension {path.suffix!r}",
            expected=f"one of {', '.join([*READERS, *filter(None, [also])])}",
            todo="rename or convert the file",
        )
    return reader(_content(path), str(path), columns)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def read_texts(path: str | Path, column: str = "text") -> tuple[str, ...]:
    """The texts of one file without labels: the lines of a .txt, or the column `column` of any other format.

    Blank lines of a .txt are passed over.

    Raises
    ------
    DataError: unknown extension, not UTF-8, malformed, empty, no such column, a row without text.
    MissingExtraError: a Parquet file without pyarrow.
    """
    file = Path(path).expanduser()
    if file.suffix.lower() != ".txt":
        return tuple(read_file(file, Columns(column, None), also=".txt").texts)
    return read_lines(_content(file), str(file))


def read_lines(content: bytes, where: str) -> tuple[str, ...]:
    """One text a line, blank lines left out.

    Raises
    ------
    DataError: not UTF-8, or nothing but blank lines.
    """
    lines = (line.removesuffix("\r") for line in _decode(content, where).split("\n"))
    texts = tuple(line for line in lines if line.strip())
    if not texts:
        raise DataError(f"{where} is empty", expected="at least one text")
    return texts


def read_csv(content: bytes, where: str, columns: Columns) -> Rows:
    """RFC 4180 with a header line: quoted fields may hold commas, quotes and line breaks."""
    return _read_delimited(content, where, columns, ",")


def read_tsv(content: bytes, where: str, columns: Columns) -> Rows:
    """As CSV with tabs; a field that starts with a quote is a quoted field."""
    return _read_delimited(content, where, columns, "\t")


def read_jsonl(content: bytes, where: str, columns: Columns) -> Rows:
    """One JSON object a line; labels are strings or integers as written."""
    numbers, records = [], []
    for number, line in enumerate(_decode(content, where).split("\n"), start=1):
        if line.strip():
            numbers.append(number)
            records.append(_json_object(line, f"{where}, line {number}"))
    if not records:
        raise _empty(where, columns)
    columns.check(dict.fromkeys(name for record in records for name in record), where)
    texts = [record.get(columns.text, "") for record in records]
    labels = [] if columns.label is None else [record.get(columns.label) for record in records]
    return checked(Rows(where, "line", numbers, texts, labels))  # type: ignore[arg-type]


def read_parquet(content: bytes, where: str, columns: Columns) -> Rows:
    """The two columns of a Parquet file; needs pyarrow, from the extra `data`."""
    try:
        parquet = importlib.import_module("pyarrow.parquet")
        arrow = importlib.import_module("pyarrow")
    except ImportError:
        raise MissingExtraError(f"reading the Parquet file {where}", "data") from None
    if not content:
        raise _empty(where, columns)
    wanted = [columns.text] if columns.label is None else [columns.text, columns.label]
    try:
        file = parquet.ParquetFile(io.BytesIO(content))
        columns.check(file.schema_arrow.names, where)
        table = file.read(columns=wanted)
    except arrow.ArrowException as error:
        raise DataError(f"{where} is not a readable Parquet file: {error}", todo="write it again") from error
    if not table.num_rows:
        raise _empty(where, columns)
    texts, *others = (table.column(name).to_pylist() for name in wanted)
    return checked(Rows(where, "row", range(1, len(texts) + 1), texts, others[0] if others else []))


READERS: dict[str, Callable[[bytes, str, Columns], Rows]] = {
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".jsonl": read_jsonl,
    ".parquet": read_parquet,
}


def checked(rows: Rows) -> Rows:
    """`rows` when every text and label is usable, else DataError with the place of the first that isn't."""
    for position, text in enumerate(rows.texts):
        fault = fault_of("" if text is None else text)
        if not fault and rows.labels:
            fault = _label_fault(rows.labels[position])
        if fault:
            with_label = " and a label (a string or an integer)" if rows.labels else ""
            raise DataError(
                f"{rows.place(position)}: {fault}",
                expected=f"a text{with_label} in every row",
                todo="fill it in or remove the row",
            )
    return rows


def _label_fault(label: object) -> str | None:
    if label is None or (isinstance(label, str) and not label.strip()):
        return "the label is missing"
    if isinstance(label, bool) or not isinstance(label, str | int):
        return f"the label is {type(label).__name__} {label!r}"
    return None


def _read_delimited(content: bytes, where: str, columns: Columns, delimiter: str) -> Rows:
    records = _records(_decode(content, where), where, delimiter)
    if not records:
        raise _empty(where, columns)
    _, header = records.pop(0)
    columns.check(header, where)
    if not records:
        raise DataError(f"{where} has a header and no rows", expected=columns.enough)
    for number, record in records:
        if len(record) != len(header):
            raise DataError(
                f"{where}, line {number}: {len(record)} fields",
                expected=f"{len(header)} as in the header",
                todo="put fields that hold the separator in double quotes",
            )
    text = header.index(columns.text)
    label = None if columns.label is None else header.index(columns.label)
    return checked(
        Rows(
            where,
            "line",
            [number for number, _ in records],
            [record[text] for _, record in records],
            [] if label is None else [record[label] for _, record in records],
            labels_are_text=True,
        )
    )


def _records(text: str, where: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Every record that isn't a blank line, with the line it starts on."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    records, start = [], 1
    try:
        for record in reader:
            if record:
                records.append((start, record))
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{where}, line {start}: {error}",
            expected="quoted fields to be closed and quotes inside them doubled",
            todo="correct the line",
        ) from error
    return records


def _decode(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{where}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8",
            expected="a UTF-8 file",
            todo="save it as UTF-8",
        ) from error


def _json_object(line: str, place: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{place}: not JSON ({error})", expected="one JSON object a line") from error
    if not isinstance(record, dict):
        raise DataError(f"{place}: a JSON {type(record).__name__}", expected="one JSON object a line")
    return record


def _empty(where: str, columns: Columns) -> DataError:
    return DataError(f"{where} is empty", expected=columns.enough)
