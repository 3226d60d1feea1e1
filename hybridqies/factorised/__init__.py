"""Layers that hold factors of a weight instead of it, and models of transformers that have such layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.factorised.files import WEIGHTS, load_compressed, save_compressed
    from hybridqies.factorised.layer import CompressedLinear, Forward, check_forward, replace_module
    from hybridqies.factorised.sentences import is_compressed, keep_factors, load_sentence_model

__all__ = [
    "WEIGHTS",
    "CompressedLinear",
    "Forward",
    "check_forward",
    "is_compressed",
    "keep_factors",
    "load_compressed",
    "load_sentence_model",
    "replace_module",
    "save_compressed",
]

__getattr__, __dir__ = import_lazily(__name__, __all__, ("layer", "files", "sentences"))
