"""Compression of the weights of torch models: factors and matrix-product operators, beside their controls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridqies.compression.methods import METHODS, approximate
from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.compression.layer import CompressedLinear
    from hybridqies.compression.model import (
        Compressed,
        collect_covariances,
        compress,
        find_layers,
        restore,
        to_dense,
    )

__all__ = [
    "METHODS",
    "Compressed",
    "CompressedLinear",
    "approximate",
    "collect_covariances",
    "compress",
    "find_layers",
    "restore",
    "to_dense",
]

# The table of methods needs no torch.
__getattr__, __dir__ = import_lazily("hybridqies.compression", __all__, ["layer", "model"])
