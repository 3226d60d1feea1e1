"""Models on the Hugging Face Hub: what is published of a model, its card, and the way there and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.hub.card import write_card
    from hybridqies.hub.publication import CARD, publish, stage
    from hybridqies.hub.repository import download, is_repository, upload

__all__ = ["CARD", "download", "is_repository", "publish", "stage", "upload", "write_card"]

__getattr__, __dir__ = import_lazily(__name__, __all__, ("repository", "card", "publication"))
