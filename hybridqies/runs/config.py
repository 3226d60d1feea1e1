"""What a run is, as one frozen configuration: everything its numbers depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hybridqies.backends.registry import DEFAULT_BACKEND
from hybridqies.heads import DEFAULT_HEAD
from hybridqies.training import TrainingConfig


@dataclass(frozen=True, slots=True)
class DataOptions:
    """Which texts: a path, a built-in name or a hub name, and how they are split.

    With `per_class` all splits are pooled and that many of each class are drawn
    for training and validation; without it missing splits are drawn from the
    training texts.
    """

    source: str = "sms_spam"
    text_column: str = "text"
    label_column: str = "label"
    per_class: int | None = None
    validation_fraction: float = 0.15
    test_fraction: float = 0.2


@dataclass(frozen=True, slots=True)
class RunConfig:
    """One head, the heads it is compared with, and the one protocol for all of them."""

    data: DataOptions = field(default_factory=DataOptions)
    encoder: str = "all-MiniLM-L6-v2"
    head: str = DEFAULT_HEAD
    circuit: str | None = None
    n_qubits: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    compare: tuple[str, ...] = ("logistic", "svc", "mlp", "matched-mlp")
    backend: str = DEFAULT_BACKEND
    training: TrainingConfig = field(default_factory=TrainingConfig)
    device: str = "cpu"
