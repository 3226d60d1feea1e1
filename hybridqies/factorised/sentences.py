"""Sentence encoders from their folders, and compressed ones on the way there."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from hybridqies.errors import InputError
from hybridqies.folder_checks import COMPRESSED_MODULE, read_json


def load_sentence_model(folder: Path, device: str) -> Any:
    """The sentence-transformers model in a folder that was checked, plain or compressed."""
    from sentence_transformers import SentenceTransformer

    options = {"device": device, "local_files_only": True, "trust_remote_code": False}
    if not is_compressed(folder):
        return SentenceTransformer(str(folder), **options)
    # The class is given, not looked up by the name in the folder, which could lead to other code.
    classes = {COMPRESSED_MODULE: _compressed_transformer()}
    return SentenceTransformer._load_with_module_classes(str(folder), classes, **options)


def is_compressed(folder: Path) -> bool:
    """Whether an encoder folder holds factors."""
    return any(module["type"] == COMPRESSED_MODULE for module in read_json(folder / "modules.json"))


def keep_factors(model: Any) -> None:
    """Lets a sentence-transformers model with compressed layers save their factors, in place.

    Raises
    ------
    InputError: sentence-transformers is older than version 6.
    """
    own = _compressed_transformer()
    for name, module in list(model.named_children()):
        if type(module) is own.__base__:
            setattr(model, name, own.adopt(module))


def _compressed_transformer() -> Any:
    """The class, whose base only version 6 of sentence-transformers has in this place."""
    try:
        return importlib.import_module("hybridqies.factorised.transformer").CompressedTransformer
    except ImportError as error:
        raise InputError(
            f"an encoder with factors cannot be used here ({error})",
            expected="sentence-transformers 6",
            todo="update it, or export the encoder dense",
        ) from error
