"""Compression of the weights of torch models: factors and matrix-product operators, beside their controls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridqies.compression.methods import METHODS, CircuitOptions, approximate
from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.compression.circuits import export_circuits, plan_circuits
    from hybridqies.compression.encoders import (
        Accuracy,
        EncoderConfig,
        TaskData,
        measure_accuracy,
        shrink_encoder,
    )
    from hybridqies.compression.healing import EncoderHealing, Healing, heal, heal_encoder
    from hybridqies.compression.loading import load_causal_model
    from hybridqies.compression.model import (
        Compressed,
        collect_covariances,
        compress,
        find_layers,
        restore,
        to_dense,
    )
    from hybridqies.compression.perplexity import Perplexity, cut_windows, measure_perplexity
    from hybridqies.compression.saving import keep_factors, load_compressed, save_compressed
    from hybridqies.compression.sensitivity import Sensitivity, profile, spare_sensitive
    from hybridqies.compression.workflow import CompressionConfig, shrink
    from hybridqies.factorised.layer import CompressedLinear

__all__ = [
    "METHODS",
    "Accuracy",
    "CircuitOptions",
    "Compressed",
    "CompressedLinear",
    "CompressionConfig",
    "EncoderConfig",
    "EncoderHealing",
    "Healing",
    "Perplexity",
    "Sensitivity",
    "TaskData",
    "approximate",
    "collect_covariances",
    "compress",
    "cut_windows",
    "export_circuits",
    "find_layers",
    "heal",
    "heal_encoder",
    "keep_factors",
    "load_causal_model",
    "load_compressed",
    "measure_accuracy",
    "measure_perplexity",
    "plan_circuits",
    "profile",
    "restore",
    "save_compressed",
    "shrink",
    "shrink_encoder",
    "spare_sensitive",
    "to_dense",
]

# The table of methods needs no torch.
_MODULES = [
    "model",
    "perplexity",
    "healing",
    "loading",
    "saving",
    "sensitivity",
    "workflow",
    "circuits",
    "encoders",
]
__getattr__, __dir__ = import_lazily("hybridqies.compression", __all__, _MODULES)
