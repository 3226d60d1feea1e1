"""Which data and which model, before either is loaded or built. Light, because commands read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hybridqies import defaults
from hybridqies.tuning.spec import FROZEN, Tuning

if TYPE_CHECKING:
    from hybridqies.circuit import Circuit


@dataclass(frozen=True, slots=True)
class DataOptions:
    """Which data: a path, a built-in name or a hub name, and how it is split.

    For a task that makes its data `source` is the task's name, with options as in
    `sparse-parity:n_tasks=5,n_bits=12`.

    `pair_column` holds the second texts of pairs. "auto" is a column `text_pair` where there is one, and
    "none" reads single texts. With `per_class` all splits are pooled and that many rows of each class are
    drawn for training and validation; without it missing splits are drawn from the training rows.
    """

    source: str = defaults.DATA
    text_column: str = "text"
    label_column: str = "label"
    pair_column: str = defaults.PAIR_COLUMN
    per_class: int | None = None
    validation_fraction: float = 0.15
    test_fraction: float = 0.2
    drop_empty: bool = False


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a model is made of, before it meets data.

    `settings` are the head's options as users write them, or `options` as its config holds them.
    `circuits` replaces what recipes would build, by role. `frozen` names parts of the head that are not
    trained. `tuning` says how the encoder is changed.
    """

    head: str = defaults.HEAD
    circuit: str | Circuit | None = None
    n_qubits: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] | None = None
    circuits: Mapping[str, Circuit] | None = None
    frozen: tuple[str, ...] = ()
    tuning: Tuning = FROZEN
