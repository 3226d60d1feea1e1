"""What trials are run on: a data set, its embeddings, and the splits of each seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from hybridqies.errors import InputError
from hybridqies.runs.config import DataOptions
from hybridqies.runs.draws import drawn
from hybridqies.study.plan import Scaling
from hybridqies.study.seal import SealedTest
from hybridqies.text import Dataset, EmbeddingCache, Encoder, Examples, embed, load_dataset
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
    """A data set with the embeddings (N, D) of its different texts, in the order of `rows`."""

    dataset: Dataset
    options: DataOptions
    embeddings: Tensor
    encoder_fingerprint: str
    rows: dict[str, int] = field(repr=False)

    @classmethod
    def load(
        cls, options: DataOptions, encoder: str, on_text: Callable[[int, int], None] | None = None
    ) -> TrialContext:
        """Reads the data and embeds every text of it once; embeddings are cached.

        Raises
        ------
        DataError: it cannot be read, or leaves a split without texts.
        """
        dataset = load_dataset(options.source, options.text_column, options.label_column)
        texts = list(dict.fromkeys(text for part in dataset.splits().values() for text in part.texts))
        made = Encoder.load(encoder)
        vectors = embed(made, texts, EmbeddingCache(), on_text)
        return cls(dataset, options, vectors, made.fingerprint, {text: at for at, text in enumerate(texts)})

    @classmethod
    def of_arrays(
        cls, name: str, features: Tensor, labels: Sequence[int], options: DataOptions
    ) -> TrialContext:
        """Rows of numbers (N, D) in the place of embedded texts."""
        texts = tuple(f"row {at}" for at in range(len(labels)))
        digest = hashlib.sha256(features.contiguous().numpy().tobytes()).hexdigest()
        dataset = Dataset.of(name, Examples(texts, tuple(labels)), None, None)
        return cls(dataset, options, features, digest, {text: at for at, text in enumerate(texts)})

    @cached_property
    def data_fingerprint(self) -> str:
        """SHA-256 over the data set."""
        return self.dataset.fingerprint

    @property
    def n_inputs(self) -> int:
        """Width D of an embedding."""
        return int(self.embeddings.shape[1])

    @property
    def n_classes(self) -> int:
        """How many classes there are, K."""
        return len(self.dataset.classes)

    def splits(self, seed: int) -> Splits:
        """The parts that `seed` draws; the same for every arm.

        Raises
        ------
        DataError: too few rows, or no rows for validation or test.
        """
        labelled = {name: self._labelled(part) for name, part in self._drawn(seed).items()}
        return Splits(labelled["train"], labelled["validation"], SealedTest(labelled["test"]))

    def test_rows(self, seed: int) -> list[int]:
        """Which rows of `embeddings` the test part of `seed` has, in its order."""
        return [self.rows[text] for text in self._drawn(seed)["test"].texts]

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

    def _drawn(self, seed: int) -> dict[str, Examples]:
        return drawn(self.dataset, self.options, seed).splits()

    def _labelled(self, part: Examples) -> Labelled:
        index = {label: at for at, label in enumerate(self.dataset.classes)}
        rows = torch.tensor([self.rows[text] for text in part.texts])
        return Labelled(self.embeddings[rows], torch.tensor([index[label] for label in part.labels]))
