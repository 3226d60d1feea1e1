"""Formats beside plain CSV: other separators, no header, gzip, JSON lists, spreadsheets, damaged files."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hybridqies.errors import DataError, MissingExtraError
from hybridqies.text.checks import DataWarning, as_labels
from hybridqies.text.dataset import Examples, load_dataset
from hybridqies.text.entries import as_entries
from hybridqies.text.readers import read_lines, read_table

EXPECTED = Examples(("fine, really", "bad"), ("pos", "neg"))
OBJECTS = [{"text": "fine, really", "label": "pos"}, {"text": "bad", "label": "neg"}]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def delimited(separator: str) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=separator)
    writer.writerows([("text", "label"), *((each["text"], each["label"]) for each in OBJECTS)])
    return stream.getvalue()


def sheet(path: Path, rows: list[list[Any]]) -> Path:
    library = pytest.importorskip("openpyxl")
    book = library.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


class TestSeparators:
    @pytest.mark.parametrize("ending", [".csv", ".tsv"])
    @pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
    def test_are_recognised_by_the_wanted_names(self, tmp_path: Path, separator: str, ending: str) -> None:
        assert load_dataset(write(tmp_path / f"a{ending}", delimited(separator))).train == EXPECTED

    def test_other_names_are_shown_one_by_one(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.csv", "review;mood\na, b;x\nc;y\n")
        with pytest.raises(DataError, match=r"'review', 'mood'.*read as separated by semicolons"):
            load_dataset(file)

    @pytest.mark.parametrize(
        "content",
        [
            "a fine film,pos\nno good,neg\nbetter,pos\n",
            "1,a fine film,pos\n2,no good,neg\n",
            f"{'very ' * 20}long,pos\nshort,neg\n",
        ],
    )
    def test_no_header(self, tmp_path: Path, content: str) -> None:
        with pytest.raises(DataError, match=r"no column 'text'.*first line looks like data: add a line"):
            load_dataset(write(tmp_path / "a.csv", content))

    def test_fields_of_any_length(self, tmp_path: Path) -> None:
        limit = csv.field_size_limit()
        file = write(tmp_path / "a.csv", f"text,label\n{'word ' * 60_000},a\nb,b\n")
        assert len(load_dataset(file).train.texts[0]) == 300_000
        assert csv.field_size_limit() == limit


class TestCompressed:
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("a.csv.gz", delimited(",")),
            ("a.TSV.GZ", delimited("\t")),
            ("a.jsonl.gz", "".join(json.dumps(each) + "\n" for each in OBJECTS)),
            ("a.json.gz", json.dumps(OBJECTS)),
        ],
    )
    def test_gzip(self, tmp_path: Path, name: str, content: str) -> None:
        dataset = load_dataset(write(tmp_path / name, gzip.compress(content.encode())))
        assert (dataset.name, dataset.train) == ("a", EXPECTED)

    def test_a_folder_of_them(self, tmp_path: Path) -> None:
        for name in ("train", "test"):
            write(tmp_path / f"{name}.csv.gz", gzip.compress(delimited(",").encode()))
        assert load_dataset(tmp_path).test == EXPECTED

    @pytest.mark.parametrize("damage", [slice(0, 12), slice(3, None), slice(0, -6)])
    def test_damaged(self, tmp_path: Path, damage: slice) -> None:
        file = write(tmp_path / "a.csv.gz", gzip.compress(delimited(",").encode())[damage])
        with pytest.raises(DataError, match=r"a\.csv\.gz is not a readable gzip file"):
            load_dataset(file)

    def test_a_bomb_is_not_unpacked(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.csv.gz", gzip.compress(b"text,label\n" + bytes(80 * 2**20)))
        with pytest.raises(DataError, match="unpacks to more than 67,108,864 bytes"):
            load_dataset(file)


class TestJson:
    @pytest.mark.parametrize("whole", [OBJECTS, {"data": OBJECTS, "version": 1}])
    def test_list_of_objects(self, tmp_path: Path, whole: object) -> None:
        assert load_dataset(write(tmp_path / "a.json", json.dumps(whole))).train == EXPECTED

    @pytest.mark.parametrize(
        ("content", "seen"),
        [
            ('{"text": {"0": "a"}}', "holds a JSON object with 'text'"),
            ("3", "holds a JSON int"),
            ("[3]", "row 1: a JSON int"),
            ("[{]", "not JSON"),
            ("[]", "is empty"),
            ("[" * 100_000, "nested too deeply"),
        ],
    )
    def test_anything_else_is_named(self, tmp_path: Path, content: str, seen: str) -> None:
        with pytest.raises(DataError, match=rf"a\.json.*{seen}"):
            load_dataset(write(tmp_path / "a.json", content))


class TestSpreadsheets:
    def test_first_sheet(self, tmp_path: Path) -> None:
        rows: list[list[Any]] = [
            ["id", "text", "label", None],
            [1, "fine, really", "pos"],
            [],
            [2, "bad", "neg"],
        ]
        assert load_dataset(sheet(tmp_path / "a.xlsx", rows)).train == EXPECTED

    def test_rows_are_numbered_as_the_program_shows_them(self, tmp_path: Path) -> None:
        file = sheet(tmp_path / "a.xlsx", [["text", "label"], ["fine", 1], [], [None, 2]])
        with pytest.raises(DataError, match=r"a\.xlsx, row 4: the text is empty"):
            load_dataset(file)

    @pytest.mark.parametrize("length", [100, 2000])
    def test_damaged(self, tmp_path: Path, length: int) -> None:
        whole = sheet(tmp_path / "whole.xlsx", [["text", "label"], ["fine", "pos"]]).read_bytes()
        with pytest.raises(DataError, match=r"a\.xlsx is not a readable spreadsheet"):
            load_dataset(write(tmp_path / "a.xlsx", whole[:length]))

    def test_a_bomb_is_not_unpacked(self, tmp_path: Path) -> None:
        pytest.importorskip("openpyxl")
        with zipfile.ZipFile(tmp_path / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("xl/workbook.xml", bytes(80 * 2**20))
        with pytest.raises(DataError, match="unpacks to more than"):
            load_dataset(tmp_path / "a.xlsx")

    def test_without_the_extra(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "openpyxl", None)
        with pytest.raises(MissingExtraError, match=r"a\.xlsx.*hybridqies\[data\]"):
            load_dataset(write(tmp_path / "a.xlsx", b"PK"))


class TestDamagedParquet:
    @pytest.fixture
    def whole(self, tmp_path: Path) -> bytes:
        arrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        table = arrow.table({"text": ["lovely film"] * 40, "label": ["x", "y"] * 20})
        parquet.write_table(table, tmp_path / "whole.parquet", compression="none", use_dictionary=False)
        return (tmp_path / "whole.parquet").read_bytes()

    def test_every_flipped_byte_is_read_or_named(self, whole: bytes, tmp_path: Path) -> None:
        refusals = []
        for at in range(0, len(whole), 23):
            damaged = bytearray(whole)
            damaged[at] ^= 0xFF
            try:
                load_dataset(write(tmp_path / "a.parquet", bytes(damaged)))
            except DataError as error:
                refusals.append(str(error))
        assert refusals
        assert all("a.parquet" in each or "training data of a" in each for each in refusals)

    @pytest.mark.parametrize("claim", [b"\xfc\xd9\xf7\xe9\x1b", b"\xff\xff\xff\xff\x1b", b"\x52"])
    def test_a_footer_that_claims_other_rows(self, whole: bytes, claim: bytes, tmp_path: Path) -> None:
        # The last number (0x16) of 40 rows, written as 80, is that of the only group of rows; the footer's
        # length stands before the last four bytes.
        from pyarrow.parquet import ParquetFile

        at = whole.rindex(b"\x16\x50") + 1
        footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
        length = (len(whole) - 8 - footer + len(claim) - 1).to_bytes(4, "little")
        path = write(tmp_path / "a.parquet", whole[:at] + claim + whole[at + 1 : -8] + length + b"PAR1")
        assert ParquetFile(path).metadata.row_group(0).num_rows != 40
        with pytest.raises(DataError, match=r"a\.parquet is not a readable Parquet file: it"):
            load_dataset(path)

    def test_text_that_is_not_unicode(self, whole: bytes, tmp_path: Path) -> None:
        damaged = whole.replace(b"lovely film", b"l\xffvely film")
        with pytest.raises(DataError, match=r"a\.parquet is not a readable Parquet file"):
            load_dataset(write(tmp_path / "a.parquet", damaged))

    def test_a_broken_page(self, whole: bytes, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"a\.parquet is not a readable Parquet file") as caught:
            load_dataset(write(tmp_path / "a.parquet", whole[:4] + b"\xff" * 12 + whole[16:]))
        assert "\n" not in str(caught.value)


class TestEmptyTexts:
    def test_are_left_out_when_asked(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.csv", "text,label\na,x\n ,y\nb,y\n,x\n")
        with pytest.raises(DataError, match=r"line 3: the text is empty.*--drop-empty"):
            load_dataset(file)
        with pytest.warns(DataWarning, match=r"a\.csv: 2 rows without a text left out"):
            assert load_dataset(file, drop_empty=True).train == Examples(("a", "b"), ("x", "y"))

    def test_a_missing_label_is_refused_all_the_same(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.jsonl", '{"text":"a","label":1}\n{"text":null,"label":1}\n{"text":"b"}\n')
        with pytest.warns(DataWarning), pytest.raises(DataError, match="line 3: the label is missing"):
            load_dataset(file, drop_empty=True)

    def test_nothing_is_left(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no row with a text"):
            load_dataset(write(tmp_path / "a.csv", "text,label\n,x\n,y\n"), drop_empty=True)

    def test_blank_lines_are_texts_that_are_empty(self) -> None:
        assert read_lines(b"a\r\nb\n\n\n", "stdin") == ("a", "b")
        with pytest.raises(DataError, match="stdin, line 2: the text is empty"):
            read_lines(b"a\n\nb\n", "stdin")
        with pytest.warns(DataWarning, match="stdin: 1 row without a text left out"):
            assert read_lines(b"a\n\nb\n", "stdin", drop_empty=True) == ("a", "b")


class TestTable:
    def test_other_columns_stay_beside_their_texts(self, tmp_path: Path) -> None:
        table = read_table(write(tmp_path / "a.csv", "id;text;note\n7;fine;\n8;bad;x\n"))
        assert table.texts == ("fine", "bad")
        assert table.others == {"id": ("7", "8"), "note": ("", "x")}

    def test_rows_that_are_left_out_take_their_columns_along(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.jsonl", '{"text":"a","id":1}\n{"id":2}\n{"text":"b","id":3,"more":true}\n')
        with pytest.warns(DataWarning):
            table = read_table(file, drop_empty=True)
        assert table.texts == ("a", "b")
        assert table.others == {"id": (1, 3), "more": (None, True)}

    def test_one_name_twice(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="several columns named 'id'"):
            read_table(write(tmp_path / "a.csv", "id,text,id\n1,a,2\n"))


class TestColumnsOfLibraries:
    def test_pandas(self) -> None:
        pandas = pytest.importorskip("pandas")
        assert as_entries(pandas.Series(["a", "b"], index=[5, 3])) == ("a", "b")
        assert as_labels(pandas.Series([True, False])) == (True, False)
        assert as_labels(pandas.Series(["x", "y"], dtype="category")) == ("x", "y")
        assert as_labels(pandas.Series([1, 2], dtype="Int64")) == (1, 2)

    def test_arrow(self) -> None:
        arrow = pytest.importorskip("pyarrow")
        assert as_entries(arrow.array(["a", "b"])) == ("a", "b")
        assert as_labels(arrow.chunked_array([[1.5], [2.5]])) == (1.5, 2.5)

    def test_numpy(self) -> None:
        assert as_labels(np.array([1.5, 2.5], dtype=np.float32)) == (1.5, 2.5)
        assert all(type(label) is bool for label in as_labels(np.array([True, False])))
