"""Text classification: texts, or pairs of texts, to one of K classes, through a sentence encoder."""

from __future__ import annotations

import warnings
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from hybridqies.backends import Backend
from hybridqies.tasks.base import OnEpoch, OnProgress, Task
from hybridqies.tasks.building import build_head_of, tuning_of
from hybridqies.tasks.classification import ClassificationData
from hybridqies.tasks.metric import ACCURACY, MACRO_F1, Metric
from hybridqies.tasks.specs import DataOptions, ModelSpec
from hybridqies.text import (
    Dataset,
    DataWarning,
    EmbeddingCache,
    Encoder,
    Entry,
    Examples,
    embed_entries,
    load_dataset,
)
from hybridqies.text.pairs import row_width, tokenise_entries, warn_of_cuts
from hybridqies.training import Labelled, TrainingConfig
from hybridqies.tuning import EncoderChange, TextModel, TunedEncoder, Tuning, change_encoder, tune_encoder
from hybridqies.tuning.phase import check_tuning
from hybridqies.tuning.store import TuningStore
from hybridqies.tuning.tunable import TunableEncoder


class TextData(ClassificationData):
    """A data set and the encoder that reads it.

    A model whose encoder is trained with its head gets tokens instead of embeddings. What tuning makes of
    the encoder is kept in `tunings`, where one is given.
    """

    def __init__(
        self,
        dataset: Dataset,
        options: DataOptions,
        encoder: Encoder,
        cache: EmbeddingCache | None = None,
        device: str = "cpu",
        tunings: TuningStore | None = None,
    ) -> None:
        super().__init__(dataset, options, device)
        self.encoder = encoder
        self.cache = cache
        self.tunings = tunings
        self._is_warned = False
        self._tunable: set[str] = set()

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
        """Embeddings (B, D), or tokens where the encoder is to be trained, with class indices (B,)."""
        if isinstance(self.encoder, TunedEncoder) or not tuning_of(spec):
            return super().rows(part, spec, on_progress)
        return self._tokens(part)

    def build(self, spec: ModelSpec, backend: Backend, seed: int) -> nn.Module:
        """A head, or where the encoder is trained with it both in one module.

        Raises
        ------
        InputError: as `build_head_of`, or an encoder that cannot be tuned that way.
        """
        tuning = tuning_of(spec)
        head = build_head_of(spec, self.n_inputs, len(self.classes), backend, seed).to(self.device)
        if not tuning or isinstance(self.encoder, TunedEncoder):
            return head
        if tuning.is_first:
            self._check_tuning(tuning)
            return head
        tunable = TunableEncoder(self.encoder, tuning, seed)
        return TextModel(tunable, head, paired=self.paired).to(self.device)

    def tune(
        self,
        spec: ModelSpec,
        training: Examples,
        validation: Examples | None,
        config: TrainingConfig,
        *,
        folder: Path | None = None,
        resume: bool = False,
        on_epoch: OnEpoch | None = None,
    ) -> TextData:
        """The data with the encoder that is tuned before the head of `spec` is; itself for any other."""
        tuning = tuning_of(spec)
        if not tuning.is_first:
            return self
        rows = self._tokens(training)
        held_out = None if validation is None else self._tokens(validation)
        make = partial(
            tune_encoder,
            self.encoder,
            tuning,
            rows,
            held_out,
            len(self.classes),
            config,
            paired=self.paired,
            folder=folder,
            resume=resume,
            on_epoch=on_epoch,
        )
        # A run keeps every epoch in its folder, and makes its own.
        if self.tunings is None or folder is not None:
            return self._changed(make())
        key = self.tunings.key(self.encoder, tuning, rows, held_out, config)
        return self._changed(self.tunings.find(key, self.encoder, tuning, make))

    def tuned_by(self, model: nn.Module) -> TextData:
        """The data with the encoder of a trained `TextModel`; itself for any other model."""
        if not isinstance(model, TextModel):
            return self
        # A copy: the model is trained or asked further.
        return self._changed(change_encoder(self.encoder, EncoderChange.of(model.encoder)))

    @property
    def n_tuned(self) -> int:
        """How many values of the encoder were trained."""
        return self.encoder.change.n_parameters if isinstance(self.encoder, TunedEncoder) else 0

    @property
    def saved_seconds(self) -> float:
        """The time that tuning took, where what it made was kept."""
        change = self.encoder.change if isinstance(self.encoder, TunedEncoder) else None
        return change.seconds if change is not None and change.is_kept else 0.0

    @property
    def facts(self) -> dict[str, Any]:
        """The encoder's name and what tuning has made of it, and whether entries are pairs."""
        change = self.encoder.change.describe() if isinstance(self.encoder, TunedEncoder) else None
        return {"encoder": self.encoder.name, "tuning": change, "pairs": self.paired}

    def _check_tuning(self, tuning: Tuning) -> None:
        """Refuses before anything is trained what cannot be tuned; a copy of the encoder shows it, once."""
        check_tuning(tuning, TrainingConfig(), paired=self.paired)
        if tuning.key not in self._tunable:
            TunableEncoder(self.encoder, tuning, 0)
            self._tunable.add(tuning.key)

    def _changed(self, encoder: TunedEncoder) -> TextData:
        return TextData(self.dataset, self.options, encoder, self.cache, self.device)

    def _tokens(self, part: Examples) -> Labelled:
        if not self._is_warned:
            # Once, of all the data, of which this is given a part at a time.
            self._is_warned = True
            warn_of_cuts(self.encoder, list(self._index), paired=self.paired)
        tokens = tokenise_entries(self.encoder, part.texts, paired=self.paired)
        return Labelled(tokens, self.label_indices(part.labels))

    def _compute(self, entries: list[Entry], on_progress: OnProgress | None) -> Tensor:
        with warnings.catch_warnings():
            if isinstance(self.encoder, TunedEncoder):
                # Of texts that are cut was warned when they were tokenised.
                warnings.simplefilter("ignore", DataWarning)
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
        cache, tunings = (EmbeddingCache(), TuningStore()) if cached else (None, None)
        return TextData(dataset, options, made, cache, device, tunings)


def read_dataset(options: DataOptions) -> Dataset:
    """The data set that `options` name, as `load_dataset` reads it."""
    return load_dataset(
        options.source,
        options.text_column,
        options.label_column,
        pair_column=options.pair_column,
        drop_empty=options.drop_empty,
    )
