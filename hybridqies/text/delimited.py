"""CSV and its relatives: RFC 4180 with a header line, separated by commas, semicolons, tabs or bars."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import threading
from collections.abc import Iterator, Sequence

from hybridqies.errors import DataError
from hybridqies.text.grids import Grid, Wanted

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_NUMBER = re.compile(r"[-+]?[0-9]+([.,][0-9]+)?")
_LIMIT = threading.Lock()

Record = tuple[int, list[str]]


def parse_csv(content: bytes, where: str, wanted: Wanted) -> Grid:
    """Separated by commas, or by what separates the wanted names in the first line."""
    return _parse(content, where, wanted, ",")


def parse_tsv(content: bytes, where: str, wanted: Wanted) -> Grid:
    """As CSV with tabs; a field that starts with a quote is a quoted field."""
    return _parse(content, where, wanted, "\t")


def decode(content: bytes, where: str) -> str:
    """UTF-8 text, with or without a byte order mark.

    Raises
    ------
    DataError: it is not UTF-8; names the line.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{where}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8",
            expected="a UTF-8 file",
            todo="save it as UTF-8",
        ) from error


def _parse(content: bytes, where: str, wanted: Wanted, usual: str) -> Grid:
    text = decode(content, where)
    separator = _separator(text, wanted, usual)
    records = _records(text, where, separator)
    if not records:
        return Grid(where)
    _, header = records.pop(0)
    complete = set(wanted.names) <= set(header)
    if complete or not _is_row(header, records):
        _check_widths(records, header, where)
    places = {name: header.index(name) for name in wanted.choose(header)}
    return Grid(
        where,
        "line",
        header,
        {name: [record[at] for _, record in records] for name, at in places.items()} if complete else {},
        [number for number, _ in records],
        all_text=True,
        remark="" if complete else _remark(header, records, separator, usual),
    )


def _separator(text: str, wanted: Wanted, usual: str) -> str:
    """The usual separator where it separates the wanted names, else the first that does.

    Where none does, it is the one that the first line has most of.
    """
    headers = {each: _first_record(text, each) for each in (usual, *SEPARATORS)}
    for each, header in headers.items():
        if set(wanted.names) <= set(header):
            return each
    return max(headers, key=lambda each: len(headers[each]))


def _first_record(text: str, separator: str) -> list[str]:
    with _unlimited(text), contextlib.suppress(csv.Error):
        for record in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True):
            if record:
                return record
    return []


def _records(text: str, where: str, separator: str) -> list[Record]:
    """Every record that isn't a blank line, with the line it starts on."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    records, start = [], 1
    try:
        with _unlimited(text):
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


@contextlib.contextmanager
def _unlimited(text: str) -> Iterator[None]:
    """Lets fields be as long as the text; Python's limit of 131,072 characters holds for a whole process."""
    with _LIMIT:
        limit = csv.field_size_limit()
        csv.field_size_limit(max(limit, min(len(text), 2**31 - 1)))
        try:
            yield
        finally:
            csv.field_size_limit(limit)


def _check_widths(records: Sequence[Record], header: Sequence[str], where: str) -> None:
    for number, record in records:
        if len(record) != len(header):
            raise DataError(
                f"{where}, line {number}: {len(record)} fields",
                expected=f"{len(header)} as in the header",
                todo="put fields that hold the separator in double quotes",
            )


def _remark(header: Sequence[str], records: Sequence[Record], separator: str, usual: str) -> str:
    if _is_row(header, records):
        return "its first line looks like data: add a line with the names of the columns before it"
    return "" if separator == usual else f"it was read as separated by {SEPARATORS[separator]}"


def _is_row(header: Sequence[str], records: Sequence[Record]) -> bool:
    """Whether a first line has what names of columns have not: numbers, blanks, long texts, or repetition."""
    if any(not name.strip() or len(name) > 60 or _NUMBER.fullmatch(name.strip()) for name in header):
        return True
    return any(name in record[at : at + 1] for _, record in records for at, name in enumerate(header))
