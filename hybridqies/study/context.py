"""What trials are run on: a data set, its embeddings, and the splits of each seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hybridqies.errors import InputError
from hybridqies.study.plan import Scaling
from hybridqies.study.seal import SealedTest
from hybridqies.tasks import DEFAULT_TASK, DataOptions, ModelSpec, load_task
from hybridqies.tasks.classification import ClassificationData
from hybridqies.tasks.feature_classification import FeatureData
from hybridqies.training import Labelled


@dataclass(frozen=True, slots=True)
class Scaler:
    """Subtracts `mean` (D,) and divides by `deviation` (D,)."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def fit(cls, scaling: Scaling, embeddings: Tensor) -> Scaler:
        """Fitted to the training embeddings (B, D); a column that never changes is only centred."""
        if scaling is Scaling.NONE:
            return cls(torch.zeros(embeddings.shape[1]), torch.ones(embeddings.shape[1]))
        deviation = embeddings.std(dim=0, correction=0)
        return cls(embeddings.mean(dim=0), torch.where(deviation > 0, deviation, torch.ones(())))

    def __call__(self, embeddings: Tensor) -> Tensor:
        """Scaled embeddings (B, D)."""
        return (embeddings - self.mean) / self.deviation


@dataclass(frozen=True, slots=True)
class Splits:
    """One seed's parts; the test part is sealed."""

    train: Labelled
    validation: Labelled
    test: SealedTest


@dataclass(frozen=True)
class TrialContext:
    """The data of a task, loaded and embedded once for all trials."""

    data: ClassificationData

    @classmethod
    def load(
        cls,
        options: DataOptions,
        encoder: str,
        on_text: Callable[[int, int], None] | None = None,
        *,
        task: str = DEFAULT_TASK,
    ) -> TrialContext:
        """Reads the data and embeds every text of it once; embeddings are cached.

        Raises
        ------
        DataError: it cannot be read.
        """
        data = load_task(task).load(options, encoder, "cpu")
        assert isinstance(data, ClassificationData)
        data.embed(on_text)
        return cls(data)

    @classmethod
    def of_arrays(
        cls, name: str, features: Tensor, labels: Sequence[int], options: DataOptions
    ) -> TrialContext:
        """Rows of numbers (N, D) in the place of embedded texts."""
        return cls(FeatureData(name, features, labels, options))

    @property
    def name(self) -> str:
        """The data's name."""
        return self.data.name

    @property
    def classes(self) -> tuple[Any, ...]:
        """The labels, in the order of a model's outputs."""
        return self.data.classes

    @property
    def data_fingerprint(self) -> str:
        """A digest of the data."""
        return self.data.fingerprints["data"]

    @property
    def encoder_fingerprint(self) -> str:
        """A digest of what turns the data into numbers."""
        return self.data.fingerprints["encoder"]

    def splits(self, seed: int) -> Splits:
        """The parts that `seed` draws; the same for every arm.

        Raises
        ------
        DataError: too few rows, or no rows for validation or test.
        """
        parts = self.data.draw(seed).map(lambda part: self.data.rows(part, ModelSpec()))
        return Splits(parts.train, parts.validation, SealedTest(parts.test))

    def test_rows(self, seed: int) -> list[int]:
        """Where the rows of the test part of `seed` stand in the data, in their order."""
        return self.data.places(self.data.draw(seed).test)

    def check_is(self, data_fingerprint: str, encoder_fingerprint: str) -> None:
        """Refuses to stand in for other data or another encoder.

        Raises
        ------
        InputError: naming which of them is not the one that was recorded.
        """
        given = {"data": data_fingerprint, "encoder": encoder_fingerprint}
        own = {"data": self.data_fingerprint, "encoder": self.encoder_fingerprint}
        for name, fingerprint in given.items():
            if own[name] != fingerprint:
                raise InputError(
                    f"the {name} is not what the study began with",
                    expected=f"fingerprint {fingerprint[:12]}, found {own[name][:12]}",
                    todo="put it back as it was, or begin another study with another --out",
                )
