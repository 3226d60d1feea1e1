"""Classification, whatever the inputs are: how splits are drawn, labels, and the loss."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hybridqies.backends import Backend
from hybridqies.errors import DataError, InputError
from hybridqies.tasks.base import OnProgress, Splits, TaskData
from hybridqies.tasks.building import build_head_of
from hybridqies.tasks.specs import DataOptions, ModelSpec
from hybridqies.text import Dataset, Entry, Examples, few_shot, split
from hybridqies.training import CrossEntropy, Labelled, Rows, TrainingConfig


class ClassificationData(TaskData):
    """A data set, and one row of numbers (D,) for each different entry of it, computed when first needed."""

    unit: ClassVar[str] = "texts"

    def __init__(self, dataset: Dataset, options: DataOptions, device: str = "cpu") -> None:
        self.dataset = dataset
        self.options = options
        self.device = device
        self._embeddings: Tensor | None = None

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.dataset.name

    @property
    def classes(self) -> tuple[Any, ...]:
        """The labels of the training part, sorted."""
        return self.dataset.classes

    @property
    @abstractmethod
    def n_inputs(self) -> int:
        """Numbers in a row, D."""

    @abstractmethod
    def _compute(self, entries: list[Entry], on_progress: OnProgress | None) -> Tensor:
        """The rows (N, D) of N different entries."""

    def draw(self, seed: int) -> Splits[Examples]:
        """Training, validation and test examples.

        Raises
        ------
        DataError: too few examples, or a part that is left without any.
        """
        options = self.options
        if options.per_class is not None:
            data = few_shot(self.dataset, options.per_class, options.validation_fraction, seed)
        else:
            data = split(self.dataset, options.validation_fraction, options.test_fraction, seed)
        parts = data.splits()
        for name, purpose in (("validation", "choose the epoch on"), ("test", "measure on")):
            if not len(parts.get(name, ())):
                raise DataError(
                    f"{data.name} leaves no {name} {self.unit}",
                    expected=f"some {self.unit} to {purpose}",
                    todo=f"give a {name} file or a {name} fraction above 0",
                )
        return Splits(parts["train"], parts["validation"], parts["test"])

    def describe(self, drawn: Splits[Any]) -> dict[str, Any]:
        """As `Dataset.describe` for what was drawn."""
        return Dataset(self.name, drawn.train, drawn.validation, drawn.test, self.classes).describe()

    def places(self, part: Examples) -> list[int]:
        """Numbers of the part's entries among all different ones."""
        return [self._index[text] for text in part.texts]

    def rows(
        self,
        part: Examples,
        spec: ModelSpec,  # noqa: ARG002
        on_progress: OnProgress | None = None,
    ) -> Labelled:
        """Rows of numbers (B, D) with class indices (B,)."""
        places = torch.tensor(self.places(part), dtype=torch.int64, device=self.device)
        return Labelled(self.embed(on_progress)[places], self.label_indices(part.labels))

    def embed(self, on_progress: OnProgress | None = None) -> Tensor:
        """The rows (N, D) of all different entries."""
        if self._embeddings is None:
            self._embeddings = self._compute(list(self._index), on_progress).to(self.device)
        return self._embeddings

    def label_indices(self, labels: Sequence[Any]) -> Tensor:
        """Class indices (B,) of labels."""
        index = {label: at for at, label in enumerate(self.classes)}
        return torch.tensor([index[label] for label in labels], dtype=torch.int64, device=self.device)

    def build(self, spec: ModelSpec, backend: Backend, seed: int) -> nn.Module:
        """A head on rows (B, D).

        Raises
        ------
        InputError: an encoder was to be tuned, and there is none.
        """
        if spec.tuning:
            raise InputError(
                f"tuning by {spec.tuning.method!r} was given for {self.name!r}, which is not embedded",
                expected="texts, and an encoder",
            )
        return build_head_of(spec, self.n_inputs, len(self.classes), backend, seed).to(self.device)

    def objective(self, config: TrainingConfig, training: Rows) -> CrossEntropy:
        """Cross-entropy, weighted by the classes of the training part where `config` says so."""
        assert isinstance(training, Labelled)
        return CrossEntropy.of(config, training, len(self.classes))

    @cached_property
    def _index(self) -> dict[Entry, int]:
        """Every different entry of the data, in order of appearance, with its number."""
        entries = (text for part in self.dataset.splits().values() for text in part.texts)
        return {entry: at for at, entry in enumerate(dict.fromkeys(entries))}
