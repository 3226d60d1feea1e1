"""Pairs of texts: read from every format, checked in both texts, and combined into one row."""

from __future__ import annotations

import gzip
import json
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hybridqies.errors import DataError
from hybridqies.text import (
    Dataset,
    EmbeddingCache,
    Encoder,
    Examples,
    combine,
    embed_entries,
    few_shot,
    load_dataset,
    read_table,
    split,
)
from hybridqies.text.checks import DataWarning
from hybridqies.text.entries import as_entries, check_entries
from hybridqies.text.pairs import row_width, tokenise_entries

ROWS = [("a", "b", "x"), ("c", "d", "y")]
EXPECTED = Examples((("a", "b"), ("c", "d")), ("x", "y"))
NAMES = ("text", "text_pair", "label")


def delimited(separator: str, names: Sequence[str] = NAMES, rows: Sequence[Sequence[str]] = ROWS) -> bytes:
    return "".join(separator.join(row) + "\n" for row in (names, *rows)).encode()


def objects() -> list[dict[str, str]]:
    return [dict(zip(NAMES, row, strict=True)) for row in ROWS]


def parquet() -> bytes:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as library

    sink = arrow.BufferOutputStream()
    library.write_table(arrow.Table.from_pylist(objects()), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def spreadsheet() -> bytes:
    import io

    library = pytest.importorskip("openpyxl")
    book, stream = library.Workbook(), io.BytesIO()
    for row in (NAMES, *ROWS):
        book.active.append(row)
    book.save(stream)
    return stream.getvalue()


CONTENTS: dict[str, Callable[[], bytes]] = {
    "a.csv": lambda: delimited(","),
    "semicolons.csv": lambda: delimited(";"),
    "a.tsv": lambda: delimited("\t"),
    "a.csv.gz": lambda: gzip.compress(delimited(",")),
    "a.jsonl": lambda: "".join(json.dumps(each) + "\n" for each in objects()).encode(),
    "a.json": lambda: json.dumps({"data": objects()}).encode(),
    "a.parquet": parquet,
    "a.xlsx": spreadsheet,
}


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


class TestFiles:
    @pytest.mark.parametrize("name", CONTENTS)
    def test_every_format(self, name: str, tmp_path: Path) -> None:
        file = write(tmp_path / name, CONTENTS[name]())
        dataset = load_dataset(file)
        assert dataset.train == EXPECTED
        assert dataset.describe()["pairs"] is True
        table = read_table(file)
        assert table.texts == EXPECTED.texts
        assert table.others == {"label": ("x", "y")}

    def test_a_folder(self, tmp_path: Path) -> None:
        for name in ("train", "test"):
            write(tmp_path / f"{name}.csv", delimited(","))
        assert load_dataset(tmp_path).test == EXPECTED

    def test_the_hub(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Table(dict[str, list[str]]):
            @property
            def column_names(self) -> list[str]:
                return list(self)

        columns = Table(zip(NAMES, map(list, zip(*ROWS, strict=True)), strict=True))
        library = types.ModuleType("datasets")
        library.load_dataset = lambda _: {"train": columns}  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "datasets", library)
        assert load_dataset("me/pairs").train == EXPECTED

    def test_a_named_column(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.csv", delimited(",", ("s1", "s2", "label")))
        assert load_dataset(file, "s1", pair_column="s2").train == EXPECTED
        with pytest.raises(DataError, match=r"no column 's3'; expected a pair column out of: 's1', 's2'"):
            load_dataset(file, "s1", pair_column="s3")
        with pytest.raises(DataError, match="'s1' was given as text and as pair column"):
            load_dataset(file, "s1", pair_column="s1")

    def test_a_named_column_has_to_be_there_by_any_name(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.csv", "text,label\na,x\nb,y\n")
        assert load_dataset(file).train.texts == ("a", "b")
        with pytest.raises(DataError, match="no column 'text_pair'"):
            load_dataset(file, pair_column="text_pair")

    def test_second_texts_may_be_left_out(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.csv", delimited(","))
        assert load_dataset(file, pair_column="none").train.texts == ("a", "c")
        assert read_table(file, pair_column="none").others == {"text_pair": ("b", "d"), "label": ("x", "y")}

    def test_the_column_may_be_the_text_itself(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.csv", delimited(","))
        assert load_dataset(file, "text_pair").train.texts == ("b", "d")

    def test_the_column_twice(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.csv", "text,text_pair,text_pair,label\na,b,c,x\nd,e,f,y\n")
        with pytest.raises(DataError, match="has 2 columns named 'text_pair'"):
            load_dataset(file)

    def test_lines_have_no_columns(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="lines and no columns"):
            read_table(write(tmp_path / "a.txt", "a\n"), pair_column="other")

    def test_one_split_with_pairs_and_one_without(self, tmp_path: Path) -> None:
        write(tmp_path / "train.csv", delimited(","))
        write(tmp_path / "test.csv", "text,label\na,x\n")
        with pytest.raises(DataError, match=r"test data of .* has single texts, the training data pairs"):
            load_dataset(tmp_path)


class TestChecks:
    @pytest.mark.parametrize(
        ("first", "second", "said"),
        [
            ("", '"b"', "line 1: the first text is empty"),
            ('" "', '"b"', "line 1: the first text is empty"),
            ('"a"', "null", "line 1: the second text is empty"),
            ('"a"', "3", "line 1: the second text is int 3, not a string"),
            ('"a"', r'"\ud800"', "line 1: the second text holds half of a surrogate pair"),
        ],
    )
    def test_both_texts_of_a_file(self, first: str, second: str, said: str, tmp_path: Path) -> None:
        bad = f'{{"text": {first or "null"}, "text_pair": {second}, "label": "x"}}\n'
        good = '{"text": "c", "text_pair": "d", "label": "y"}\n'
        with pytest.raises(DataError, match=said) as caught:
            load_dataset(write(tmp_path / "a.jsonl", bad + good))
        assert "expected two texts and a label" in str(caught.value)
        assert ("--drop-empty" in str(caught.value)) == ("empty" in said)

    def test_rows_without_both_are_dropped(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.csv", "text,text_pair,label\na,b,x\n,b,x\nc, ,y\nc,d,y\n")
        with pytest.warns(DataWarning, match="2 rows without two texts left out"):
            assert load_dataset(file, drop_empty=True).train == EXPECTED

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ([("a", "b"), ("c", "")], "pair 2 of 2: the second text is empty"),
            ([("a", "b"), ("c",)], "pair 2 of 2: it has 1 text, not two"),
            ([("a", "b", "c")], "pair 1 of 1: it has 3 texts, not two"),
            ([("a", "b"), "c"], "pair 2 of 2: it is str 'c', not a pair"),
            (["a", ("b", "c")], "text 2 of 2: the text is tuple"),
            ([("a", 3)], "pair 1 of 1: the second text is int 3, not a string"),
            ([("a", "\ud800")], "pair 1 of 1: the second text holds half of a surrogate pair"),
        ],
    )
    def test_pairs_of_python(self, given: Any, said: str) -> None:
        with pytest.raises(DataError, match=said):
            check_entries(given)

    def test_order_counts_in_the_fingerprint(self) -> None:
        train = Examples((("a", "b"), ("c", "d")), ("x", "y"))
        turned = Examples((("b", "a"), ("c", "d")), ("x", "y"))
        assert Dataset.of("d", train).fingerprint != Dataset.of("d", turned).fingerprint

    def test_draws_keep_pairs_together(self) -> None:
        pairs = tuple((f"first {at}", f"second {at}") for at in range(40))
        dataset = Dataset.of("d", Examples(pairs, tuple(at % 2 for at in range(40))))
        for drawn in (few_shot(dataset, 8, 0.25, 0), split(dataset, 0.2, 0.2, 0)):
            kept = [pair for part in drawn.splits().values() for pair in part.texts]
            assert sorted(kept) == sorted(pairs)


class TestContainers:
    @pytest.mark.parametrize("given", [list(EXPECTED.texts), [["a", "b"], ["c", "d"]]])
    def test_sequences_and_arrays(self, given: Any) -> None:
        for made in (given, np.array(given), np.array(given, dtype=object)):
            found = as_entries(made)
            assert found == EXPECTED.texts
            assert {type(text) for pair in found for text in pair} == {str}

    def test_tables(self) -> None:
        pandas = pytest.importorskip("pandas")
        table = pandas.DataFrame({"text_pair": ["b", "d"], "text": ["a", "c"]}, index=[7, 3])
        assert as_entries(table) == EXPECTED.texts
        assert as_entries(table.apply(lambda row: (row["text"], row["text_pair"]), axis=1)) == EXPECTED.texts
        with pytest.raises(DataError, match="a table of text and text_pair alone"):
            as_entries(table.assign(label=[0, 1]))

    def test_arrow(self) -> None:
        arrow = pytest.importorskip("pyarrow")
        table = arrow.table({"text": ["a", "c"], "text_pair": ["b", "d"]})
        assert as_entries(table) == EXPECTED.texts
        with pytest.raises(DataError, match="give one of its columns: 'text', 'other'"):
            as_entries(table.rename_columns(["text", "other"]))

    @pytest.mark.parametrize("shape", [(2, 1), (2, 3), (1, 2, 2)])
    def test_other_shapes(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(DataError, match=r"expected one dimension, or \(N, 2\) for pairs"):
            as_entries(np.full(shape, "a"))


class TestRows:
    def test_by_hand(self) -> None:
        first, second = torch.tensor([[1.0, -2.0], [0.5, 3.0]]), torch.tensor([[3.0, 4.0], [0.5, -1.0]])
        expected = [[1, -2, 3, 4, 2, 6, 3, -8], [0.5, 3, 0.5, -1, 0, 4, 0.25, -3]]
        assert combine(first, second).tolist() == expected

    def test_each_text_is_embedded_once_and_cached_alone(self, tiny_encoder: Path, tmp_path: Path) -> None:
        encoder, cache = Encoder.load(tiny_encoder), EmbeddingCache(tmp_path)
        pairs = [("a lovely film", "the sea"), ("the sea", "a lovely film"), ("the sea", "two old friends")]
        counts: list[tuple[int, int]] = []
        rows = embed_entries(
            encoder, pairs, cache, lambda done, total: counts.append((done, total)), paired=True
        )
        assert counts[-1] == (3, 3)
        firsts, seconds = (encoder.encode([pair[at] for pair in pairs]) for at in (0, 1))
        assert torch.equal(rows, combine(firsts, seconds))
        assert rows.shape == (3, row_width(encoder.dimension, paired=True)) == (3, 128)
        again: list[tuple[int, int]] = []
        embed_entries(
            encoder, ["the sea"], cache, lambda done, total: again.append((done, total)), paired=False
        )
        assert again == [(1, 1)]

    def test_no_pairs(self, tiny_encoder: Path) -> None:
        encoder = Encoder.load(tiny_encoder)
        assert embed_entries(encoder, [], None, paired=True).shape == (0, 128)
        assert len(tokenise_entries(encoder, [], paired=True)) == 0

    def test_tokens_of_a_batch(self, tiny_encoder: Path) -> None:
        encoder = Encoder.load(tiny_encoder)
        pairs = [("the sea", "two old friends"), ("a film", "the sea"), ("winter", "a long film")]
        tokens = tokenise_entries(encoder, pairs, paired=True)
        assert len(tokens) == 3
        chosen = tokens[torch.tensor([2, 0])]["input_ids"]
        texts = ["winter", "the sea", "a long film", "two old friends"]
        assert torch.equal(chosen, encoder.tokenise(texts)[torch.arange(4)]["input_ids"])
        assert torch.equal(tokens[slice(0, 2)]["input_ids"], tokens[torch.tensor([0, 1])]["input_ids"])
