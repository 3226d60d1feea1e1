"""How tables and pictures write heads and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def head_label(result: Mapping[str, Any]) -> str:
    """The head, with its circuit and qubits where it has them."""
    if result["circuit"] is None:
        return str(result["head"])
    return f"{result['head']} ({result['circuit']}, {result['n_qubits']} qubits)"


def tuning_label(result: Mapping[str, Any]) -> str:
    """How the encoder was changed, and by what."""
    tuning = result.get("tuning")
    if not tuning:
        return "frozen"
    return f"{tuning['method']}, with it" if tuning["by"] == "head" else f"{tuning['method']}, {tuning['by']}"


def percent(value: float) -> str:
    """A fraction as a percentage with two decimals."""
    return f"{100 * value:.2f} %"


def encode(text: str) -> bytes:
    """UTF-8; halves of surrogate pairs, which names of folders can have, are written as escapes."""
    return text.encode("utf-8", "backslashreplace")
