"""Text classification: texts to one of K classes, through a sentence encoder."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

from torch import Tensor, nn

from hybridqies.backends import Backend
from hybridqies.errors import InputError
from hybridqies.heads import Head
from hybridqies.tasks.base import OnProgress, Task
from hybridqies.tasks.building import build_head_of
from hybridqies.tasks.classification import ClassificationData
from hybridqies.tasks.specs import DataOptions, ModelSpec
from hybridqies.tasks.text_model import TextModel
from hybridqies.text import Dataset, EmbeddingCache, Encoder, Examples, embed, load_dataset
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

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Of the data and the encoder."""
        return {"data": self.dataset.fingerprint, "encoder": self.encoder.fingerprint}

    @property
    def n_inputs(self) -> int:
        """Width D of an embedding."""
        return self.encoder.dimension

    def rows(self, part: Examples, spec: ModelSpec, on_progress: OnProgress | None = None) -> Labelled:
        """Embeddings (B, D), or tokens where the encoder is trained, with class indices (B,)."""
        if spec.trainable_layers:
            return Labelled(self.encoder.tokenise(part.texts), self.label_indices(part.labels))
        return super().rows(part, spec, on_progress)

    def build(self, spec: ModelSpec, backend: Backend, seed: int) -> nn.Module:
        """A head, or with trained layers the encoder and the head in one module."""
        head = build_head_of(spec, self.n_inputs, len(self.classes), backend, seed)
        return with_encoder(head, spec, self.encoder).to(self.device)

    def _compute(self, entries: list[str], on_progress: OnProgress | None) -> Tensor:
        return embed(self.encoder, entries, self.cache, on_progress)


class TextClassification(Task):
    """Texts with labels, embedded by a sentence encoder; accuracy and macro-F1."""

    name: ClassVar[str] = "text-classification"

    def load(self, options: DataOptions, encoder: str, device: str, *, cached: bool = True) -> TextData:
        """The data set and the encoder; the encoder's weights are loaded when first needed."""
        dataset = load_dataset(
            options.source, options.text_column, options.label_column, drop_empty=options.drop_empty
        )
        # After the data, which is checked sooner than an encoder can be found.
        made = Encoder.load(encoder, device)
        return TextData(dataset, options, made, EmbeddingCache() if cached else None, device)


def with_encoder(head: Head, spec: ModelSpec, encoder: Encoder) -> nn.Module:
    """The head alone where the encoder stays as it is, else both in one module.

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
    return TextModel(encoder.trainable_module(spec.trainable_layers), head)
