"""Hybrid quantum-classical fine-tuning: frozen sentence embeddings feed trainable quantum circuit heads.

Nothing is imported until it is used, so that `import hybridqies` costs
milliseconds and never loads torch, PennyLane, Qiskit or sentence-transformers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from hybridqies.backends import QuantumLayer, load_backend
    from hybridqies.circuit import Circuit, list_circuits, load_circuit
    from hybridqies.classifier import HybridClassifier
    from hybridqies.quantum_head_classifier import QuantumHeadClassifier

_HOME = {
    "Circuit": "hybridqies.circuit",
    "HybridClassifier": "hybridqies.classifier",
    "QuantumHeadClassifier": "hybridqies.quantum_head_classifier",
    "QuantumLayer": "hybridqies.backends",
    "list_circuits": "hybridqies.circuit",
    "load_backend": "hybridqies.backends",
    "load_circuit": "hybridqies.circuit",
}

__all__ = [
    "Circuit",
    "HybridClassifier",
    "QuantumHeadClassifier",
    "QuantumLayer",
    "__version__",
    "list_circuits",
    "load_backend",
    "load_circuit",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
