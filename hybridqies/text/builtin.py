"""Data sets that come with the package, compressed; each folder in `data/` names its source and licence."""

from __future__ import annotations

import lzma
from importlib import resources

from hybridqies.text.delimited import parse_csv
from hybridqies.text.readers import Columns, Rows, rows_of

BUILT_IN = {"sms_spam": ("train", "validation", "test")}


def read_builtin(name: str, columns: Columns) -> dict[str, Rows]:
    """The splits of the built-in data set `name`, a key of `BUILT_IN`."""
    folder = resources.files("hybridqies.text").joinpath("data", name)
    splits = {}
    for split in BUILT_IN[name]:
        content = lzma.decompress(folder.joinpath(f"{split}.csv.xz").read_bytes())
        splits[split] = rows_of(parse_csv(content, f"{name}/{split}.csv", columns.wanted), columns)
    return splits
