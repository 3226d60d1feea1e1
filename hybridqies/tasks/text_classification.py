"""Text classification: texts, or pairs of texts, to one of K classes, through a sentence encoder."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from torch import Tensor, nn

from hybridqies.backends import Backend
from hybridqies.errors import InputError
from hybridqies.heads import Head
from hybridqies.tasks.base import OnProgress, Task
from hybridqies.tasks.building import build_head_of
from hybridqies.tasks.classification import ClassificationData
from hybridqies.tasks.metric import ACCURACY, MACRO_F1, Metric
from hybridqies.tasks.specs import DataOptions, ModelSpec
from hybridqies.tasks.text_model import TextModel
from hybridqies.text import Dataset, EmbeddingCache, Encoder, Entry, Examples, embed_entries, load_dataset
from hybridqies.text.pairs import row_width, tokenise_entries, warn_of_cuts
from hybridqies.training import Labelled


class TextData(ClassificationData):
    """A data set and the encoder that reads it.

    Models whose encoder is trained get tokens instead of embeddings; the cache is not used for them.
    """

    def __init__(
        self,
        dataset: Dataset,
        options: DataOptions,
        encoder: Encoder,
        cache: EmbeddingCache | None = None,
        device: str = "cpu",
    ) -> None:
        super().__init__(dataset, options, device)
        self.encoder = encoder
        self.cache = cache
        self._is_warned = False

    @property
    def name(self) -> str:
        """The data set's name, and that it holds pairs."""
        return f"{self.dataset.name} (pairs of texts)" if self.paired else self.dataset.name

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Of the data and the encoder."""
        return {"data": self.dataset.fingerprint, "encoder": self.encoder.fingerprint}

    @property
    def n_inputs(self) -> int:
        """Width of a row: D for a text, 4 D for a pair."""
        return row_width(self.encoder.dimension, paired=self.paired)

    @property
    def paired(self) -> bool:
        """Whether entries are pairs of texts."""
        return self.dataset.has_pairs

    def rows(self, part: Examples, spec: ModelSpec, on_progress: OnProgress | None = None) -> Labelled:
        """Embeddings (B, D), or tokens where the encoder is trained, with class indices (B,)."""
        if spec.trainable_layers:
            self._warn_of_cuts()
            tokens = tokenise_entries(self.encoder, part.texts, paired=self.paired)
            return Labelled(tokens, self.label_indices(part.labels))
        return super().rows(part, spec, on_progress)

    def build(self, spec: ModelSpec, backend: Backend, seed: int) -> nn.Module:
        """A head, or with trained layers the encoder and the head in one module."""
        head = build_head_of(spec, self.n_inputs, len(self.classes), backend, seed)
        return with_encoder(head, spec, self.encoder, paired=self.paired).to(self.device)

    @property
    def facts(self) -> dict[str, Any]:
        """The encoder's name, and whether entries are pairs."""
        return {"encoder": self.encoder.name, "pairs": self.paired}

    def _warn_of_cuts(self) -> None:
        """Warns once of all the data, of which `rows` is given a part at a time."""
        if not self._is_warned:
            self._is_warned = True
            warn_of_cuts(self.encoder, list(self._index), paired=self.paired)

    def _compute(self, entries: list[Entry], on_progress: OnProgress | None) -> Tensor:
        return embed_entries(self.encoder, entries, self.cache, on_progress, paired=self.paired)


class TextClassification(Task):
    """Texts with labels, embedded by a sentence encoder; accuracy and macro-F1."""

    name: ClassVar[str] = "text-classification"
    metrics: ClassVar[tuple[Metric, ...]] = (ACCURACY, MACRO_F1)
    saver: ClassVar[str] = "hybridqies.saved_model:save_trained"

    def load(self, options: DataOptions, encoder: str, device: str, *, cached: bool = True) -> TextData:
        """The data set and the encoder; the encoder's weights are loaded when first needed."""
        dataset = read_dataset(options)
        # After the data, which is checked sooner than an encoder can be found.
        made = Encoder.load(encoder, device)
        return TextData(dataset, options, made, EmbeddingCache() if cached else None, device)


def read_dataset(options: DataOptions) -> Dataset:
    """The data set that `options` name, as `load_dataset` reads it."""
    return load_dataset(
        options.source,
        options.text_column,
        options.label_column,
        pair_column=options.pair_column,
        drop_empty=options.drop_empty,
    )


def with_encoder(head: Head, spec: ModelSpec, encoder: Encoder, *, paired: bool = False) -> nn.Module:
    """The head alone where the encoder stays as it is, else both in one module, for texts or for pairs.

    Raises
    ------
    InputError: a head with a solver of its own, through which no gradients reach the encoder.
    """
    if not spec.trainable_layers:
        return head
    if head.is_solved:
        raise InputError(
            f"trainable_layers={spec.trainable_layers} was given with head {spec.head!r}, which is solved",
            expected="a head that is trained by gradients",
        )
    return TextModel(encoder.trainable_module(spec.trainable_layers), head, paired=paired)
