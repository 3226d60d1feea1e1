"""The weights of a trained model, and what its configuration says of head, circuits and training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from hybridqies.backends import Backend
from hybridqies.files import sha256_of
from hybridqies.heads import Head
from hybridqies.options import to_mapping
from hybridqies.saved_model.files import WEIGHTS
from hybridqies.tensors import check_finite, save_tensors
from hybridqies.training import TrainingConfig


def save_weights(
    folder: Path,
    weights: Mapping[str, Tensor],
    name: str,
    head: Head,
    classes: Sequence[Any],
    backend: Backend,
    training: TrainingConfig,
) -> dict[str, Any]:
    """Writes the weights of a model with that head into `folder`; returns the entries of its configuration.

    Raises
    ------
    InputError: a weight is not finite.
    """
    check_finite(weights, folder / WEIGHTS)
    save_tensors(folder / WEIGHTS, weights, {"head": name})
    return {
        "head": name,
        "options": to_mapping(head.config),
        "circuits": {role: circuit.to_mapping() for role, circuit in head.circuits().items()},
        "classes": list(classes),
        "n_inputs": head.n_inputs,
        "backend": backend.spec,
        "training": to_mapping(training),
        "weights_sha256": sha256_of(folder / WEIGHTS),
    }
