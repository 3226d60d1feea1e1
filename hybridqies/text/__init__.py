"""Floor 5: texts in, embeddings out. Data sets, the frozen encoder and the cache of its embeddings.

Names are imported when first used: data sets need neither torch nor an encoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.text.cache import EmbeddingCache, embed
    from hybridqies.text.checks import DataWarning
    from hybridqies.text.dataset import Dataset, Examples, load_dataset
    from hybridqies.text.encoder import DEFAULT_ENCODER, PACKAGED, Encoder
    from hybridqies.text.entries import Entry
    from hybridqies.text.pairs import combine, embed_entries
    from hybridqies.text.readers import Table, read_lines, read_table
    from hybridqies.text.sampling import few_shot, split
    from hybridqies.text.tokens import Tokens

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
    "Tokens",
    "combine",
    "embed",
    "embed_entries",
    "few_shot",
    "load_dataset",
    "read_lines",
    "read_table",
    "split",
]

# Those before the cache need neither torch nor an encoder.
__getattr__, __dir__ = import_lazily(
    __name__,
    __all__,
    ("entries", "checks", "dataset", "readers", "sampling", "cache", "encoder", "pairs", "tokens"),
)
