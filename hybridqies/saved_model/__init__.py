"""A trained model with all it takes to use it, and the folder that it is saved in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.saved_model.files import (
        CONFIG,
        TRAINED_ON,
        WEIGHTS,
        check_weights,
        read_config,
        write_config,
    )
    from hybridqies.saved_model.model import SavedModel, hash_text, load_model, save_trained

__all__ = [
    "CONFIG",
    "TRAINED_ON",
    "WEIGHTS",
    "SavedModel",
    "check_weights",
    "hash_text",
    "load_model",
    "read_config",
    "save_trained",
    "write_config",
]

__getattr__, __dir__ = import_lazily(__name__, __all__, ("files", "model"))
