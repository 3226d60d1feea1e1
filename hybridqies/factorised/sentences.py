"""Sentence encoders from their folders, and compressed ones on the way there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hybridqies.folder_checks import COMPRESSED_MODULE, read_json


def load_sentence_model(folder: Path, device: str) -> Any:
    """The sentence-transformers model in a folder that was checked, plain or compressed."""
    from sentence_transformers import SentenceTransformer

    options = {"device": device, "local_files_only": True, "trust_remote_code": False}
    if not is_compressed(folder):
        return SentenceTransformer(str(folder), **options)
    from hybridqies.factorised.transformer import CompressedTransformer

    # The class is given, not looked up by the name in the folder, which could lead to other code.
    classes = {COMPRESSED_MODULE: CompressedTransformer}
    return SentenceTransformer._load_with_module_classes(str(folder), classes, **options)


def is_compressed(folder: Path) -> bool:
    """Whether an encoder folder holds factors."""
    return any(module["type"] == COMPRESSED_MODULE for module in read_json(folder / "modules.json"))


def keep_factors(model: Any) -> None:
    """Lets a sentence-transformers model with compressed layers save their factors, in place."""
    from sentence_transformers.models import Transformer

    from hybridqies.factorised.transformer import CompressedTransformer

    for name, module in list(model.named_children()):
        if isinstance(module, Transformer) and not isinstance(module, CompressedTransformer):
            setattr(model, name, CompressedTransformer.adopt(module))
