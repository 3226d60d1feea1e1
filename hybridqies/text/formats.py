"""The formats of data files, known by the ending alone: delimited text, JSON, Parquet, spreadsheets, gzip."""

from __future__ import annotations

import gzip
import importlib
import io
import json
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hybridqies.errors import DataError, MissingExtraError
from hybridqies.text.delimited import decode, parse_csv, parse_tsv
from hybridqies.text.grids import Grid, Parser, Wanted

_COMPRESSED = ".gz"
# What small files may unpack to: bytes, times their own size, and rows.
_ROOM, _RATIO, _ROWS = 64 * 2**20, 20, 10_000_000


def ending_of(path: Path) -> str:
    """The part of a file's name that names its format, in small letters: ".csv", or ".csv.gz"."""
    last = path.suffix.lower()
    return Path(path.stem).suffix.lower() + last if last == _COMPRESSED else last


def stem_of(path: Path) -> str:
    """A file's name without its ending."""
    return path.name[: len(path.name) - len(ending_of(path))]


def parse(content: bytes, path: Path, wanted: Wanted) -> Grid:
    """The grid of a file's bytes; the ending of `path` has to be one of `FORMATS`.

    Raises
    ------
    DataError: damaged, not UTF-8, malformed, or far larger than its compressed form lets expect.
    MissingExtraError: a format whose package is not installed.
    """
    ending, where = ending_of(path), str(path)
    if ending.endswith(_COMPRESSED):
        content = _unpack(content, where) if content else content
    return FORMATS[ending](content, where, wanted) if content else Grid(where)


def parse_jsonl(content: bytes, where: str, wanted: Wanted) -> Grid:
    """One JSON object a line."""
    numbers, records = [], []
    for number, line in enumerate(decode(content, where).split("\n"), start=1):
        if line.strip():
            numbers.append(number)
            record = _load_json(line, f"{where}, line {number}", "one JSON object a line")
            records.append(_as_object(record, f"{where}, line {number}", "one JSON object a line"))
    return _from_objects(records, where, "line", numbers, wanted)


def parse_json(content: bytes, where: str, wanted: Wanted) -> Grid:
    """One JSON list of objects, or an object that has such a list as "data"."""
    expected = 'a list of JSON objects, or {"data": [...]}'
    whole = _load_json(decode(content, where), where, expected)
    if isinstance(whole, dict) and isinstance(whole.get("data"), list):
        whole = whole["data"]
    if not isinstance(whole, list):
        keys = ", ".join(map(repr, list(whole)[:4])) if isinstance(whole, dict) else ""
        seen = f"a JSON object with {keys}" if keys else f"a JSON {type(whole).__name__}"
        raise DataError(
            f"{where} holds {seen}", expected=expected, todo="write one JSON object a line as .jsonl"
        )
    records = [
        _as_object(record, f"{where}, row {number}", expected) for number, record in enumerate(whole, start=1)
    ]
    return _from_objects(records, where, "row", range(1, len(records) + 1), wanted)


def parse_parquet(content: bytes, where: str, wanted: Wanted) -> Grid:
    """The wanted columns of a Parquet file; needs pyarrow, from the extra `data`."""
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise MissingExtraError(f"reading the Parquet file {where}", "data") from None
    try:
        file = parquet.ParquetFile(io.BytesIO(content))
        _check_claims(file.metadata, len(content))
        names = list(file.schema_arrow.names)
        chosen = wanted.choose(names)
        table = file.read(columns=chosen)
        columns = {name: table.column(name).to_pylist() for name in chosen if names.count(name) == 1}
    except Exception as error:  # a damaged file is an ArrowException, an OSError, a UnicodeError and more
        raise _damaged(where, "Parquet file", error) from error
    return Grid(where, "row", names, columns, range(1, table.num_rows + 1))


def _check_claims(metadata: Any, size: int) -> None:
    """Refuses a footer that claims what the file cannot hold: Arrow reserves memory by it, and fills it."""
    groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
    rows = [group.num_rows for group in groups]
    values = [group.column(at).num_values for group in groups for at in range(group.num_columns)]
    claims = [metadata.num_rows, *rows, *values]
    if not 0 <= min(claims) <= max(claims) <= max(_ROWS, size):
        raise ValueError(f"it claims {max(claims, key=abs):,} rows in {size:,} bytes")
    if sum(rows) != metadata.num_rows:
        raise ValueError(f"its parts do not have {metadata.num_rows:,} rows together")


def parse_xlsx(content: bytes, where: str, wanted: Wanted) -> Grid:
    """The first sheet of a workbook, whose first row names the columns; needs openpyxl, from `data`."""
    try:
        library = importlib.import_module("openpyxl")
    except ImportError:
        raise MissingExtraError(f"reading the spreadsheet {where}", "data") from None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(each.file_size for each in archive.infolist())
        _check_size(size, len(content), where)
        with warnings.catch_warnings():
            # The library warns of styles and extensions, which say nothing about the cells.
            warnings.simplefilter("ignore")
            book = library.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
            rows = [list(row) for row in book.worksheets[0].iter_rows(values_only=True)]
    except DataError:
        raise
    except Exception as error:  # a damaged file is an error of its ZIP, XML or workbook layer
        raise _damaged(where, "spreadsheet", error) from error
    return _from_sheet(rows, where, wanted)


def _from_sheet(rows: Sequence[Sequence[Any]], where: str, wanted: Wanted) -> Grid:
    filled = [
        (number, row) for number, row in enumerate(rows, start=1) if any(cell is not None for cell in row)
    ]
    if not filled:
        return Grid(where)
    header = ["" if cell is None else str(cell) for cell in filled.pop(0)[1]]
    width = max((at for at, name in enumerate(header, start=1) if name), default=0)
    names = header[:width]
    columns = {}
    for name in wanted.choose([name for name in names if name]):
        at = names.index(name)
        columns[name] = [row[at] if at < len(row) else None for _, row in filled]
    return Grid(where, "row", names, columns, [number for number, _ in filled])


def _from_objects(
    records: Sequence[dict[str, Any]], where: str, unit: str, numbers: Sequence[int], wanted: Wanted
) -> Grid:
    names = list(dict.fromkeys(name for record in records for name in record))
    columns = {name: [record.get(name) for record in records] for name in wanted.choose(names)}
    return Grid(where, unit, names, columns, numbers)


def _load_json(text: str, place: str, expected: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{place}: not JSON ({error})", expected=expected) from error
    except RecursionError as error:
        raise DataError(f"{place}: JSON that is nested too deeply", expected=expected) from error
    except ValueError as error:
        # Python refuses to read integers of thousands of digits.
        raise DataError(
            f"{place}: an integer of thousands of digits",
            expected="numbers of 64 bits",
            todo="write it as a string",
        ) from error


def _as_object(record: Any, place: str, expected: str) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise DataError(f"{place}: a JSON {type(record).__name__}", expected=expected)
    return record


def _unpack(content: bytes, where: str) -> bytes:
    limit = _limit(len(content))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            unpacked = stream.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(where, "gzip file", error) from error
    _check_size(len(unpacked), len(content), where)
    return unpacked


def _limit(compressed: int) -> int:
    """Bytes that a compressed file may unpack to; texts shrink to a tenth at most."""
    return max(_ROOM, _RATIO * compressed)


def _check_size(size: int, compressed: int, where: str) -> None:
    limit = _limit(compressed)
    if size > limit:
        raise DataError(
            f"{where} unpacks to more than {limit:,} bytes",
            expected=f"at most {_ROOM:,}, or {_RATIO} times its own size",
            todo="unpack it yourself if it is what it should be",
        )


def _damaged(where: str, what: str, error: Exception) -> DataError:
    reason: Iterable[str] = str(error).strip().splitlines()
    return DataError(
        f"{where} is not a readable {what}: {next(iter(reason), type(error).__name__)}", todo="write it again"
    )


FORMATS: dict[str, Parser] = {
    ".csv": parse_csv,
    ".tsv": parse_tsv,
    ".jsonl": parse_jsonl,
    ".json": parse_json,
    ".parquet": parse_parquet,
    ".xlsx": parse_xlsx,
    ".csv.gz": parse_csv,
    ".tsv.gz": parse_tsv,
    ".jsonl.gz": parse_jsonl,
    ".json.gz": parse_json,
}
