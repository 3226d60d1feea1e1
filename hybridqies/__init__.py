"""Hybrid quantum-classical fine-tuning: frozen sentence embeddings feed trainable quantum circuit heads.

Nothing is imported until it is used, so that `import hybridqies` costs
milliseconds and never loads torch, PennyLane, Qiskit or sentence-transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridqies.lazily import import_lazily

__version__ = "0.1.0"

if TYPE_CHECKING:
    from hybridqies.backends import QuantumLayer, load_backend
    from hybridqies.circuit import Circuit, list_circuits, load_circuit
    from hybridqies.classifier import HybridClassifier
    from hybridqies.language_model import LanguageModel
    from hybridqies.quantum_head_classifier import QuantumHeadClassifier

__all__ = [
    "Circuit",
    "HybridClassifier",
    "LanguageModel",
    "QuantumHeadClassifier",
    "QuantumLayer",
    "__version__",
    "list_circuits",
    "load_backend",
    "load_circuit",
]

__getattr__, __dir__ = import_lazily(
    __name__, __all__, ("circuit", "backends", "quantum_head_classifier", "classifier", "language_model")
)
