"""Data sets of the Hugging Face hub, through the package `datasets` of the extra `data`."""

from __future__ import annotations

import importlib
import re
from typing import Any

from hybridqies.errors import DataError, MissingExtraError
from hybridqies.text.grids import Grid
from hybridqies.text.readers import Columns, Rows, rows_of

HUB_NAMES = {
    "ag_news": "SetFit/ag_news",
    "emotion": "SetFit/emotion",
    "enron_spam": "SetFit/enron_spam",
    "imdb": "SetFit/imdb",
    "sst2": "SetFit/sst2",
    "sst5": "SetFit/sst5",
    "subj": "SetFit/subj",
}
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def is_hub_id(name: str) -> bool:
    """Whether `name` has the form `owner/name`."""
    return _HUB_ID.fullmatch(name) is not None


def read_hub(hub_id: str, columns: Columns) -> dict[str, Rows]:
    """The splits of a hub data set, under the names the hub gives them.

    Raises
    ------
    MissingExtraError: `datasets` is not installed.
    DataError: not on the hub, hub out of reach, or columns, texts or labels that can't be used.
    """
    try:
        library = importlib.import_module("datasets")
    except ImportError:
        what = f"{hub_id!r} is no file here, and reading it as a Hugging Face data set"
        raise MissingExtraError(what, "data") from None
    try:
        loaded = library.load_dataset(hub_id)
    except Exception as error:  # the library raises errors of its HTTP, cache and parser layers alike
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"the Hugging Face data set {hub_id!r} cannot be loaded: {reason}",
            expected="a name on the hub and a network, or an earlier download",
            todo="check the name and the connection, or give a path",
        ) from error
    return {split: _rows(table, f"{hub_id}, {split}", columns) for split, table in loaded.items()}


def _rows(table: Any, where: str, columns: Columns) -> Rows:
    names = list(table.column_names)
    found = {name: list(table[name]) for name in columns.wanted.choose(names)}
    length = len(next(iter(found.values()), ()))
    return rows_of(Grid(where, "row", names, found, range(1, length + 1)), columns)
