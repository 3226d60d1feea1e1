"""Results for cards, and what the Hub reads of a card."""

from __future__ import annotations

from typing import Any


def record(head: str, accuracy: float, **more: Any) -> dict[str, Any]:
    """A result as a run records it."""
    return {
        "head": head,
        "circuit": None,
        "n_parameters": 100,
        "parameters": "4 * 25 = 100",
        "accuracy": accuracy,
        "macro_f1": accuracy,
        "n_test": 500,
        "n_train": 1000,
        "data": "reviews",
        "data_fingerprint": "0123456789abcdef",
        "seed": 3,
        "seconds": 1.5,
        "best_epoch": 2,
        "hybridqies": "0.1.0",
        **more,
    }


def metadata_of(card: str) -> dict[str, Any]:
    from huggingface_hub import ModelCard

    return ModelCard(card, ignore_metadata_errors=False).data.to_dict()
