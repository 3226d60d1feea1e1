"""Floor 5: texts in, embeddings out. Data sets, the frozen encoder and the cache of its embeddings.

Names are imported when first used: data sets need neither torch nor an encoder.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybridqies.text.cache import EmbeddingCache, default_cache_folder, embed
    from hybridqies.text.checks import DataWarning
    from hybridqies.text.dataset import Dataset, Examples, load_dataset
    from hybridqies.text.encoder import DEFAULT_ENCODER, PACKAGED, Encoder
    from hybridqies.text.entries import Entry
    from hybridqies.text.pairs import combine, embed_entries
    from hybridqies.text.readers import Table, read_lines, read_table
    from hybridqies.text.sampling import few_shot, overlap, split

_HOME = {
    "DEFAULT_ENCODER": "encoder",
    "DataWarning": "checks",
    "Dataset": "dataset",
    "EmbeddingCache": "cache",
    "Encoder": "encoder",
    "Entry": "entries",
    "Examples": "dataset",
    "PACKAGED": "encoder",
    "Table": "readers",
    "combine": "pairs",
    "default_cache_folder": "cache",
    "embed": "cache",
    "embed_entries": "pairs",
    "few_shot": "sampling",
    "load_dataset": "dataset",
    "overlap": "sampling",
    "read_lines": "readers",
    "read_table": "readers",
    "split": "sampling",
}

__all__ = [
    "DEFAULT_ENCODER",
    "PACKAGED",
    "DataWarning",
    "Dataset",
    "EmbeddingCache",
    "Encoder",
    "Entry",
    "Examples",
    "Table",
    "combine",
    "default_cache_folder",
    "embed",
    "embed_entries",
    "few_shot",
    "load_dataset",
    "overlap",
    "read_lines",
    "read_table",
    "split",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
