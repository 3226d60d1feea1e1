"""Data sets from files, folders, the package and the hub; every bad input one clear line."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from hybridqies.errors import DataError, MissingExtraError, UnknownNameError
from hybridqies.text.checks import DataWarning
from hybridqies.text.dataset import Dataset, Examples, load_dataset

GOOD = "text,label\nfine,pos\nbad,neg\n"


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def parquet(path: Path, columns: dict[str, list[object]]) -> Path:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as library

    library.write_table(arrow.table(columns), path)
    return path


class TestFormats:
    def test_csv_keeps_quotes_commas_and_line_breaks(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.csv", 'id,text,label\r\n1,"one, ""two""\nthree",x\r\n\r\n2,four,y\r\n')
        dataset = load_dataset(file)
        assert dataset.train.texts == ('one, "two"\nthree', "four")
        assert dataset.train.labels == ("x", "y")
        assert dataset.classes == ("x", "y")
        assert dataset.name == "a"
        assert dataset.validation is None
        assert dataset.test is None

    def test_tsv(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.TSV", "label\ttext\nb\tone, two\na\tthree\n")
        assert load_dataset(file).train == Examples(("one, two", "three"), ("b", "a"))

    def test_jsonl_keeps_kinds_and_odd_line_separators(self, tmp_path: Path) -> None:
        lines = [{"text": "one\u2028two", "label": 10}, {"text": "ü", "label": 9}]
        content = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\n\n"
        dataset = load_dataset(write(tmp_path / "a.jsonl", content))
        assert dataset.train == Examples(("one\u2028two", "ü"), (10, 9))
        assert dataset.classes == (9, 10)

    def test_jsonl_strings_that_look_like_integers_stay_strings(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.jsonl", '{"text":"a","label":"0"}\n{"text":"b","label":"1"}\n')
        assert load_dataset(file).classes == ("0", "1")

    def test_parquet(self, tmp_path: Path) -> None:
        file = parquet(tmp_path / "a.parquet", {"s": ["one", "two"], "y": [1, 0], "z": [None, None]})
        assert load_dataset(file, "s", "y").train == Examples(("one", "two"), (1, 0))

    def test_parquet_without_its_library(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = write(tmp_path / "a.parquet", b"PAR1")
        monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
        with pytest.raises(MissingExtraError, match=r"hybridqies\[data\]"):
            load_dataset(file)

    def test_byte_order_mark_is_no_part_of_the_header(self, tmp_path: Path) -> None:
        assert load_dataset(write(tmp_path / "a.csv", "\ufeff" + GOOD)).train.texts == ("fine", "bad")


class TestLabels:
    @pytest.mark.parametrize(
        ("labels", "classes"),
        [
            (["10", "9", "-1"], (-1, 9, 10)),
            (["10", "9", "x"], ("10", "9", "x")),
            (["1", "01", "2"], ("01", "1", "2")),
            (["1.0", "2.0", "3"], ("1.0", "2.0", "3")),
            (["1.0", "-2.5"], (-2.5, 1.0)),
            (["1.0", "2.50"], ("1.0", "2.50")),
            (["True", "False"], (False, True)),
            (["true", "false"], ("false", "true")),
            (["12345678901234567890", "2"], ("12345678901234567890", "2")),
        ],
    )
    def test_csv_labels_are_numbers_only_when_all_are(
        self, tmp_path: Path, labels: list[str], classes: tuple[str | int, ...]
    ) -> None:
        rows = "".join(f"some text,{label}\n" for label in labels)
        assert load_dataset(write(tmp_path / "a.csv", "text,label\n" + rows)).classes == classes

    def test_all_splits_decide_together(self, tmp_path: Path) -> None:
        write(tmp_path / "train.csv", "text,label\na,0\nb,1\n")
        write(tmp_path / "test.csv", "text,label\nc,1\n")
        dataset = load_dataset(tmp_path)
        assert dataset.classes == (0, 1)
        assert dataset.test == Examples(("c",), (1,))

    def test_examples_from_numpy(self) -> None:
        examples = Examples.of(np.array(["a", "b"]), np.array([3, 4]))
        assert examples == Examples(("a", "b"), (3, 4))
        assert {type(label) for label in examples.labels} == {int}

    @pytest.mark.parametrize(
        ("labels", "fault"),
        [
            ([None, 1], "the label is missing"),
            (["\ud800", "x"], "the label holds half of a surrogate pair"),
            ([10**5000, 1], "the label is an integer of more than 64 bits"),
            ([float("nan"), 1.0], "the label is float nan"),
            ([(1, 2), 1], r"the label is tuple \(1, 2\)"),
            (["x" * 1001, "y"], "the label has 1,001 characters"),
        ],
    )
    def test_examples_refuse_what_is_no_label(self, labels: list[object], fault: str) -> None:
        with pytest.raises(DataError, match=f"label 1 of 2: {fault}"):
            Examples.of(["a", "b"], labels)

    @pytest.mark.parametrize("labels", [[1.5, 2.0], [True, False], [2**63 - 1, -(2**63)]])
    def test_examples_keep_decimals_booleans_and_large_integers(self, labels: list[object]) -> None:
        assert Examples.of(["a", "b"], np.array(labels)).labels == tuple(labels)

    def test_integers_beside_decimals_become_decimals(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.jsonl", '{"text":"a","label":1}\n{"text":"b","label":1.5}\n')
        assert load_dataset(file).train.labels == (1.0, 1.5)
        assert all(type(label) is float for label in load_dataset(file).classes)

    def test_labels_that_differ_by_spaces_or_case_are_named(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.csv", "text,label\na,Spam\nb,spam \nc,ham\n")
        with pytest.warns(DataWarning, match=r"labels of a differ by spaces or case only.*'Spam', 'spam '"):
            assert load_dataset(file).classes == ("Spam", "ham", "spam ")

    def test_examples_refuse_a_mixture(self) -> None:
        with pytest.raises(DataError, match="mix strings and integers"):
            Examples.of(["a", "b"], ["x", 1])

    def test_examples_refuse_unequal_lengths(self) -> None:
        with pytest.raises(DataError, match="2 texts and 1 labels"):
            Examples.of(["a", "b"], ["x"])

    def test_one_string_is_not_a_list_of_texts(self) -> None:
        with pytest.raises(DataError, match="one string was given"):
            Examples("ab", ("x", "y"))  # type: ignore[arg-type]


class TestFolder:
    @pytest.mark.parametrize("alias", ["validation", "valid", "val", "dev", "Dev"])
    def test_aliases(self, tmp_path: Path, alias: str) -> None:
        write(tmp_path / "train.csv", GOOD)
        write(tmp_path / f"{alias}.csv", "text,label\nv,pos\n")
        write(tmp_path / "README.md", "not data")
        dataset = load_dataset(tmp_path)
        assert dataset.validation == Examples(("v",), ("pos",))
        assert dataset.name == tmp_path.name
        assert list(dataset.splits()) == ["train", "validation"]

    def test_two_files_for_one_split(self, tmp_path: Path) -> None:
        for name in ("train.csv", "dev.csv", "valid.csv"):
            write(tmp_path / name, GOOD)
        with pytest.raises(DataError, match=r"several validation files: dev\.csv, valid\.csv"):
            load_dataset(tmp_path)

    def test_mixed_formats(self, tmp_path: Path) -> None:
        write(tmp_path / "train.csv", GOOD)
        write(tmp_path / "test.tsv", GOOD.replace(",", "\t"))
        with pytest.raises(DataError, match=r"mixes formats: train\.csv, test\.tsv"):
            load_dataset(tmp_path)

    def test_no_training_file(self, tmp_path: Path) -> None:
        write(tmp_path / "test.csv", GOOD)
        with pytest.raises(DataError, match=r"no training file but test\.csv"):
            load_dataset(tmp_path)

    def test_label_never_seen_in_training(self, tmp_path: Path) -> None:
        write(tmp_path / "train.csv", GOOD)
        write(tmp_path / "test.csv", "text,label\nc,pos\nd,postive\n")
        with pytest.raises(
            DataError, match=r"test\.csv, line 3: the label 'postive' never.*did you mean 'pos'"
        ):
            load_dataset(tmp_path)


BAD_FILES: dict[str, tuple[str | bytes, str]] = {
    "nothing.csv": ("", "is empty"),
    "nothing.jsonl": ("\n\n", "is empty"),
    "nothing.parquet": ("", "is empty"),
    "header.csv": ("text,label\n", "a header and no rows"),
    "one_class.csv": ("text,label\na,x\nb,x\n", "only the label 'x'"),
    "empty_text.csv": ("text,label\na,x\n \t,y\n", "line 3: the text is empty"),
    "after_break.csv": ('text,label\n"a\nb",x\n,y\n', "line 4: the text is empty"),
    "no_label.csv": ("text,label\na,x\nb,\n", "line 3: the label is missing"),
    "ragged.csv": ("text,label\na,x\nb,c,y\n", "line 3: 3 fields; expected 2"),
    "short.csv": ("text,label\na,x\nb\n", "line 3: 1 fields; expected 2"),
    "open_quote.csv": ('text,label\na,x\n"b,y\nc,x\n', "line 3: unexpected end of data"),
    "stray_quote.csv": ('text,label\n"a"b,x\n', "line 2: ',' expected after"),
    "no_column.csv": ("txt,label\na,x\n", "no column 'text'.*'txt', 'label'; did you mean 'txt'"),
    "no_label_column.csv": ("text,target\na,x\n", "no column 'label'.*'text', 'target'"),
    "twice.csv": ("text,text,label\na,b,x\n", "2 columns named 'text'"),
    "latin.csv": ("text,label\na,x\nü,y\n".encode("latin-1"), "line 3: byte 0xfc is not UTF-8"),
    "utf16.csv": (GOOD.encode("utf-16"), "line 1: byte 0xff is not UTF-8"),
    "bad.jsonl": ('{"text":"a","label":0}\n{"text":\n', "line 2: not JSON"),
    "list.jsonl": ('["a", 0]\n', "line 1: a JSON list"),
    "no_column.jsonl": ('{"texts":"a","label":0}\n', "no column 'text'.*did you mean 'texts'"),
    "absent.jsonl": ('{"text":"a","label":0}\n{"text":"b"}\n', "line 2: the label is missing"),
    "null.jsonl": ('{"text":"a","label":0}\n{"text":null,"label":1}\n', "line 2: the text is empty"),
    "number.jsonl": ('{"text":7,"label":0}\n', "line 1: the text is int 7"),
    "nan.jsonl": ('{"text":"a","label":NaN}\n', "line 1: the label is float nan"),
    "nested.jsonl": ('{"text":"a","label":[1]}\n', r"line 1: the label is list \[1\]"),
    "label.jsonl": ('{"text":"a","label":"\\ud83d"}\n', "line 1: the label holds half of a surrogate"),
    "digits.csv": (f"text,label\na,{'1' * 5000}\nb,2\n", "line 2: the label has 5,000 characters"),
    "digits.jsonl": (f'{{"text":"a","label":{"1" * 5000}}}\n', "line 1: an integer of thousands of digits"),
    "text_digits.jsonl": (f'{{"text":{"1" * 5000}}}\n', "line 1: an integer of thousands of digits"),
    "wide.jsonl": (
        '{"text":"a","label":' + "1" * 30 + "}\n",
        "line 1: the label is an integer of more than 64",
    ),
    "deep.jsonl": ('{"text":' + "[" * 100_000 + "\n", "line 1: JSON that is nested too deeply"),
    "mixed.jsonl": ('{"text":"a","label":0}\n{"text":"b","label":"x"}\n', "mix strings and integers"),
    "surrogate.jsonl": ('{"text":"\\ud83d","label":0}\n', "line 1: the text holds half of a surrogate"),
    "bad.parquet": ("no parquet at all", "not a readable Parquet file"),
    "a.xls": (
        "whatever",
        r"extension '\.xls'; expected one of \.csv, \.tsv, \.jsonl, \.json",
    ),
    "none": (GOOD, "extension ''"),
}


class TestBadInput:
    @pytest.mark.parametrize("name", BAD_FILES)
    def test_bad_file_is_one_clear_line(self, tmp_path: Path, name: str) -> None:
        content, message = BAD_FILES[name]
        if name.endswith(".parquet"):
            pytest.importorskip("pyarrow")
        with pytest.raises(DataError, match=message) as caught:
            load_dataset(write(tmp_path / name, content))
        assert "\n" not in str(caught.value)
        if name != "a.xls":
            assert Path(name).stem in str(caught.value)

    def test_parquet_rows_are_counted_from_one(self, tmp_path: Path) -> None:
        file = parquet(tmp_path / "a.parquet", {"text": ["one", None], "label": ["x", "y"]})
        with pytest.raises(DataError, match=r"a\.parquet, row 2: the text is empty"):
            load_dataset(file)

    def test_same_column_twice(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="given as text and as label column"):
            load_dataset(write(tmp_path / "a.csv", GOOD), "text", "text")

    @pytest.mark.parametrize("source", ["nowhere.csv", "./nowhere", "a/b/c", "~/nowhere-at-all"])
    def test_path_that_is_not_there(self, source: str) -> None:
        with pytest.raises(DataError, match="no file or folder"):
            load_dataset(source)

    def test_unreadable_path(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no file or folder"):
            load_dataset(tmp_path / "absent")

    @pytest.mark.parametrize(("given", "offered"), [("sms-spam", "sms_spam"), ("sst-2", "sst2")])
    def test_unknown_name_offers_the_nearest(self, given: str, offered: str) -> None:
        with pytest.raises(UnknownNameError) as caught:
            load_dataset(given)
        assert caught.value.nearest == offered

    def test_a_split_with_an_unknown_class_cannot_be_built(self) -> None:
        train = Examples(("a", "b"), ("x", "y"))
        with pytest.raises(DataError, match="the test data of d: the label 'z'"):
            Dataset.of("d", train, test=Examples(("c",), ("z",)))

    def test_no_rows_cannot_be_built(self) -> None:
        with pytest.raises(DataError, match="has no rows"):
            Dataset.of("d", Examples((), ()))


class TestBuiltIn:
    def test_counts(self) -> None:
        dataset = load_dataset("sms_spam")
        assert dataset.classes == ("ham", "spam")
        assert dataset.describe() == {
            "name": "sms_spam",
            "fingerprint": "aba642c7d6d381dd7bcd36ec43beda8fb5d02b8e519e48e789b39a2c5c8cf181",
            "pairs": False,
            "classes": ["ham", "spam"],
            "rows": {"train": 4460, "validation": 558, "test": 556},
            "per_class": {
                "train": {"ham": 3862, "spam": 598},
                "validation": {"ham": 483, "spam": 75},
                "test": {"ham": 482, "spam": 74},
            },
        }

    def test_attribution_and_licence_are_beside_it(self) -> None:
        from importlib import resources

        notice = (
            resources.files("hybridqies.text").joinpath("data", "sms_spam", "README.md").read_text("utf-8")
        )
        assert "Almeida" in notice
        assert "CC BY 4.0" in notice

    def test_a_path_of_that_name_wins(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(tmp_path / "sms_spam" / "train.csv", GOOD)
        monkeypatch.chdir(tmp_path)
        assert load_dataset("sms_spam").train.texts == ("fine", "bad")

    def test_other_columns_are_refused(self) -> None:
        with pytest.raises(DataError, match="no column 'message'"):
            load_dataset("sms_spam", text_column="message")


class Table(dict[str, list[object]]):
    @property
    def column_names(self) -> list[str]:
        return list(self)


class TestHub:
    @pytest.fixture
    def hub(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Table]]:
        """Stands for the hub: what `datasets.load_dataset` finds, by name."""
        content: dict[str, dict[str, Table]] = {}

        def load(name: str) -> dict[str, Table]:
            if name not in content:
                raise ConnectionError(f"Couldn't reach {name!r} on the Hub\nsecond line")
            return content[name]

        library = types.ModuleType("datasets")
        library.load_dataset = load  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "datasets", library)
        return content

    def test_short_and_full_name(self, hub: dict[str, dict[str, Table]]) -> None:
        hub["SetFit/sst2"] = {
            "train": Table(text=["a", "b"], label=[0, 1], label_text=["n", "p"]),
            "dev": Table(text=["c"], label=[1]),
        }
        short, full = load_dataset("sst2"), load_dataset("SetFit/sst2")
        assert short == full
        assert short.name == "SetFit/sst2"
        assert short.validation == Examples(("c",), (1,))

    def test_no_training_split(self, hub: dict[str, dict[str, Table]]) -> None:
        hub["me/data"] = {"all": Table(text=["a"], label=[0])}
        with pytest.raises(DataError, match="splits all; expected one named train"):
            load_dataset("me/data")

    def test_empty_text_names_split_and_row(self, hub: dict[str, dict[str, Table]]) -> None:
        hub["me/data"] = {"train": Table(text=["a", ""], label=[0, 1])}
        with pytest.raises(DataError, match="me/data, train, row 2: the text is empty"):
            load_dataset("me/data")

    def test_out_of_reach_is_one_line(self, hub: dict[str, dict[str, Table]]) -> None:
        with pytest.raises(DataError, match="'me/nothing' cannot be loaded: Couldn't reach") as caught:
            load_dataset("me/nothing")
        assert "second line" not in str(caught.value)

    def test_without_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "datasets", None)
        with pytest.raises(MissingExtraError, match=r"'SetFit/sst2' is no file here.*hybridqies\[data\]"):
            load_dataset("sst2")


def test_data_sets_need_no_torch() -> None:
    code = (
        "import sys, hybridqies.text as t; t.load_dataset; t.few_shot; "
        "print(sorted({'torch', 'sentence_transformers', 'datasets', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
