"""Data sets of labelled texts: from a file, a folder of splits, the package itself, or the hub."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hybridqies import defaults
from hybridqies.errors import DataError, UnknownNameError, nearest, suggest
from hybridqies.files import expand_home
from hybridqies.text.builtin import BUILT_IN, read_builtin
from hybridqies.text.checks import fault_of_label, unify_labels, warn_of_twins
from hybridqies.text.entries import Entry, are_pairs, check_entries, name_kind
from hybridqies.text.formats import FORMATS, ending_of, stem_of
from hybridqies.text.hub import HUB_NAMES, is_hub_id, read_hub
from hybridqies.text.readers import Columns, Label, Rows, read_file

SPLIT_FILES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
# Eighteen digits always fit into 64 bits; a longer one is an identifier, and stays text.
_INTEGER = re.compile(r"-?[1-9][0-9]{0,17}|0")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+")


@dataclass(frozen=True)
class Examples:
    """Texts, or pairs of texts, with labels: all strings, all integers, all decimals or all booleans."""

    texts: tuple[Entry, ...]
    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        if len(self.texts) != len(self.labels):
            raise DataError(
                f"{len(self.texts)} texts and {len(self.labels)} labels",
                expected="as many of one as of the other",
            )
        check_entries(self.texts)

    def __len__(self) -> int:
        return len(self.texts)

    @classmethod
    def of(cls, texts: Iterable[Entry], labels: Iterable[Any]) -> Examples:
        """From any two sequences; NumPy's values become Python's.

        Raises
        ------
        DataError: a label that is no string, number or boolean, or labels of two kinds.
        """
        plain = [label.item() if hasattr(label, "item") else label for label in labels]
        for number, label in enumerate(plain, start=1):
            fault = fault_of_label(label)
            if fault:
                raise DataError(
                    f"label {number} of {len(plain)}: {fault}",
                    expected="strings, integers, decimals or booleans",
                )
        return cls(tuple(texts), tuple(unify_labels(plain, "the labels")))

    @property
    def are_pairs(self) -> bool:
        """Whether each example is a pair of texts."""
        return are_pairs(self.texts)

    def take(self, positions: Iterable[int]) -> Examples:
        """The examples at `positions`, in that order."""
        chosen = list(positions)
        return Examples(tuple(self.texts[i] for i in chosen), tuple(self.labels[i] for i in chosen))


@dataclass(frozen=True)
class Dataset:
    """Up to three splits and the sorted classes of the training one.

    Raises DataError when training has fewer than two classes, or another split a class that training has
    not, or pairs of texts where training has single ones.
    """

    name: str
    train: Examples
    validation: Examples | None
    test: Examples | None
    classes: tuple[Label, ...]

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            only = f"only the label {self.classes[0]!r}" if self.classes else "no rows"
            raise DataError(
                f"the training data of {self.name} has {only}",
                expected="at least two different labels",
                todo="check the label column",
            )
        for split, examples in self.splits().items():
            if len(examples) and examples.are_pairs != self.has_pairs:
                raise DataError(
                    f"the {split} data of {self.name} has {name_kind(examples.are_pairs)}, the training data"
                    f" {name_kind(self.has_pairs)}",
                    expected="one kind in all splits",
                    todo="add or remove the column of second texts",
                )
            strange = set(examples.labels).difference(self.classes)
            if strange:
                raise _unseen(f"the {split} data of {self.name}", next(iter(strange)), self.classes)

    @classmethod
    def of(
        cls, name: str, train: Examples, validation: Examples | None = None, test: Examples | None = None
    ) -> Dataset:
        """From its splits; the classes are the sorted labels of `train`.

        Labels that differ by spaces or case only are warned of (`DataWarning`).
        """
        unify_labels(train.labels, f"the labels of {name}")
        classes = tuple(sorted(set(train.labels)))
        warn_of_twins(classes, name)
        return cls(name, train, validation, test, classes)

    @property
    def has_pairs(self) -> bool:
        """Whether every example is a pair of texts."""
        return self.train.are_pairs

    @property
    def fingerprint(self) -> str:
        """SHA-256 over every text and label of every split, in order."""
        content = {split: [examples.texts, examples.labels] for split, examples in self.splits().items()}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def splits(self) -> dict[str, Examples]:
        """The splits there are, by name."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: examples for name, examples in named.items() if examples is not None}

    def describe(self) -> dict[str, Any]:
        """Name, fingerprint, kind of texts, classes and counts, as JSON values for a run's record."""
        counts = {split: Counter(examples.labels) for split, examples in self.splits().items()}
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "pairs": self.has_pairs,
            "classes": list(self.classes),
            "rows": {split: counter.total() for split, counter in counts.items()},
            "per_class": {
                split: {str(label): counter[label] for label in self.classes}
                for split, counter in counts.items()
            },
        }


def load_dataset(
    source: str | Path,
    text_column: str = "text",
    label_column: str = "label",
    *,
    pair_column: str = defaults.PAIR_COLUMN,
    drop_empty: bool = False,
) -> Dataset:
    """The data set at a path, or of that name.

    A path wins: one CSV, TSV, JSONL, JSON, Parquet or XLSX file, gzipped or not (all of it is the training
    split), or a folder of `train`, `validation` (or `valid`, `val`, `dev`) and `test` files of one of these
    formats. Then the built-in names, then those of the Hugging Face hub: short ones such as `sst2`, or in
    full as `SetFit/sst2`. Labels of a CSV or TSV become integers, decimals or booleans when every one of
    them is written as Python writes these.

    With a column `pair_column` of second texts every example is a pair. "auto" is a column `text_pair` where
    there is one, and "none" reads single texts. With `drop_empty` rows without a text, or without one
    of two, are left out; a warning says how many.

    Raises
    ------
    DataError: nothing there, or nothing usable; one line with the file and the row.
    UnknownNameError: neither a path nor a known name; the nearest one is offered.
    MissingExtraError: Parquet, XLSX or a hub data set without the extra `data`.
    """
    columns = Columns(text_column, label_column, pair_column, drop_empty)
    path, name = expand_home(source), str(source)
    if path.is_dir():
        files = _split_files(path)
        return _assemble(
            path.resolve().name, {split: read_file(file, columns) for split, file in files.items()}
        )
    if path.exists():
        return _assemble(stem_of(path), {"train": read_file(path, columns)})
    if isinstance(source, Path) or _is_path(name):
        raise DataError(
            f"no file or folder {name!r}", expected="a path that exists", todo="check its spelling"
        )
    if name in BUILT_IN:
        return _assemble(name, read_builtin(name, columns))
    if name in HUB_NAMES or is_hub_id(name):
        hub_id = HUB_NAMES.get(name, name)
        return _assemble(hub_id, _by_split(read_hub(hub_id, columns), hub_id))
    raise UnknownNameError(
        "data set", name, [*BUILT_IN, *HUB_NAMES], todo="or give the path of a file or folder"
    )


def _is_path(name: str) -> bool:
    return (
        ending_of(Path(name)) in FORMATS
        or name.startswith((".", "~", os.sep))
        or name.count("/") > 1
        or "\\" in name
    )


def _split_files(folder: Path) -> dict[str, Path]:
    files = sorted(file for file in folder.iterdir() if ending_of(file) in FORMATS and file.is_file())
    found: dict[str, Path] = {}
    for split, stems in SPLIT_FILES.items():
        matching = [file for file in files if stem_of(file).lower() in stems]
        if len(matching) > 1:
            names = ", ".join(file.name for file in matching)
            raise DataError(
                f"{folder} has several {split} files: {names}", expected="one", todo="move the others away"
            )
        if matching:
            found[split] = matching[0]
    if "train" not in found:
        names = ", ".join(file.name for file in files) or "no data files"
        raise DataError(
            f"{folder} has no training file but {names}",
            expected=f"train with one of the extensions {', '.join(FORMATS)}",
            todo="rename the file or give its path",
        )
    if len({ending_of(file) for file in found.values()}) > 1:
        names = ", ".join(file.name for file in found.values())
        raise DataError(f"{folder} mixes formats: {names}", expected="all splits in one format")
    return found


def _by_split(named: Mapping[str, Rows], hub_id: str) -> dict[str, Rows]:
    found = {
        split: rows
        for split, stems in SPLIT_FILES.items()
        for name, rows in named.items()
        if name.lower() in stems
    }
    if "train" not in found:
        raise DataError(f"{hub_id} has the splits {', '.join(named) or 'none'}", expected="one named train")
    return found


def _assemble(name: str, splits: Mapping[str, Rows]) -> Dataset:
    splits = _with_one_kind(splits)
    classes = sorted(set(splits["train"].labels))
    for rows in splits.values():
        for position, label in enumerate(rows.labels):
            if label not in classes:
                raise _unseen(rows.place(position), label, classes)
    examples = {split: Examples(tuple(rows.texts), tuple(rows.labels)) for split, rows in splits.items()}
    return Dataset.of(name, examples["train"], examples.get("validation"), examples.get("test"))


def _with_one_kind(splits: Mapping[str, Rows]) -> dict[str, Rows]:
    """The splits with labels of one kind; all labels of all splits decide which."""
    for rows in splits.values():
        unify_labels(rows.labels, f"the labels of {rows.where}")
    labels: list[Any] = [label for rows in splits.values() for label in rows.labels]
    if all(rows.labels_are_text for rows in splits.values()):
        labels = _read_labels(labels)
    labels = unify_labels(labels, "the labels of the splits")
    parted = {}
    for name, rows in splits.items():
        parted[name] = replace(rows, labels=labels[: len(rows.labels)])
        labels = labels[len(rows.labels) :]
    return parted


def _read_labels(written: list[str]) -> list[Any]:
    """Labels of a format that has only text: numbers or booleans where all are written as Python does."""
    if all(map(_INTEGER.fullmatch, written)):
        return [int(label) for label in written]
    if all(_DECIMAL.fullmatch(label) and repr(float(label)) == label for label in written):
        return [float(label) for label in written]
    if set(written) <= {"True", "False"}:
        return [label == "True" for label in written]
    return written


def _unseen(place: str, label: Label, classes: Iterable[Label]) -> DataError:
    known = [str(name) for name in classes]
    close = nearest(str(label), known)
    shown = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    return DataError(
        f"{place}: the label {label!r} never occurs in the training data",
        expected=f"one of {shown or 'none'}",
        todo=suggest(close, "Correct it or add training examples of it"),
    )
