"""Classification of rows of numbers, where there is no text to embed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

from torch import Tensor

from hybridqies.tasks.base import OnProgress
from hybridqies.tasks.classification import ClassificationData
from hybridqies.tasks.specs import DataOptions
from hybridqies.text import Dataset, Entry, Examples


class FeatureData(ClassificationData):
    """Rows of numbers (N, D) with their labels, called `name`.

    `entries` are what a list of mistakes calls each row; no two are the same.
    """

    unit: ClassVar[str] = "rows"
    stage: ClassVar[str] = "reading rows"

    def __init__(
        self,
        name: str,
        features: Tensor,
        labels: Sequence[int | str],
        options: DataOptions,
        *,
        entries: Sequence[str] | None = None,
        device: str = "cpu",
    ) -> None:
        named = [f"row {at}" for at in range(len(labels))] if entries is None else entries
        super().__init__(Dataset.of(name, Examples(tuple(named), tuple(labels))), options, device)
        self.features = features

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Of the labels and their order, and of the numbers in the place of an encoder."""
        digest = hashlib.sha256(self.features.contiguous().numpy().tobytes()).hexdigest()
        return {"data": self.dataset.fingerprint, "encoder": digest}

    @property
    def n_inputs(self) -> int:
        """Numbers in a row, D."""
        return int(self.features.shape[1])

    def _compute(self, entries: list[Entry], on_progress: OnProgress | None) -> Tensor:  # noqa: ARG002
        return self.features
