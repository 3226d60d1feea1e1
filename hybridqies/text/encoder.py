"""The frozen sentence encoder: texts in, one float32 vector a text out."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from hybridqies import defaults
from hybridqies.devices import check_device
from hybridqies.errors import InputError
from hybridqies.factorised import load_sentence_model
from hybridqies.files import expand_home
from hybridqies.quiet import quiet_transformers
from hybridqies.text import encoding
from hybridqies.text.checks import DataWarning, check_texts
from hybridqies.text.model_folder import KNOWN, PACKAGED, ModelFolder, find_model
from hybridqies.text.tokens import Tokens, tokenise

__all__ = ["DEFAULT_ENCODER", "KNOWN", "PACKAGED", "Encoder", "Progress"]

DEFAULT_ENCODER = defaults.ENCODER
Progress = Callable[[int, int], None]
"""Called with how many texts are done and how many there are."""

# Tokens in a full batch, by kind of device.
_BATCH_TOKENS = {"cpu": 512, "cuda": 16384}
_ADDED_TOKENS = 8


class Encoder:
    """A sentence-transformers model that is never trained; its weights are loaded at the first encoding.

    On one machine and device an embedding depends on its text alone, bit for bit: not on the other texts,
    on torch's default type, or on the caller's autocast (see `hybridqies.text.encoding`).
    """

    def __init__(self, name: str, folder: ModelFolder, device: str = "cpu") -> None:
        self.name = name
        self.device = check_device(device)
        self.folder = folder
        self._full = _BATCH_TOKENS[torch.device(device).type]

    @classmethod
    def load(cls, name_or_folder: str | Path, device: str = "cpu") -> Encoder:
        """The encoder in a folder, in an installed package, or on the hub (downloaded once).

        Raises InputError, or UnknownNameError with the nearest known name, in one line:
        no such folder or name, hub out of reach, no model in the folder, no such device.
        """
        folder = find_model(str(name_or_folder))
        # A folder is recorded by its full path, so that a saved model finds it from anywhere.
        name = str(expand_home(name_or_folder).absolute()) if folder.is_given else str(name_or_folder)
        return cls(name, folder, device)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over weights, tokenizer and configuration; the same for every copy of the model."""
        return self.folder.fingerprint()

    @cached_property
    def dimension(self) -> int:
        """Width D of an embedding; taken from the configuration where it says so, without loading weights."""
        declared = self.folder.dimension()
        if declared is not None:
            return declared
        # Version 6 of sentence-transformers renamed the method.
        measure = getattr(self._model, "get_embedding_dimension", None)
        return int(measure() if measure else self._model.get_sentence_embedding_dimension())

    @cached_property
    def max_tokens(self) -> int | None:
        """Tokens after which a text is cut, or None when the model cuts nowhere."""
        declared = self.folder.max_tokens()
        return declared if declared is not None else self._model.max_seq_length

    def describe(self) -> dict[str, Any]:
        """What a run records of its encoder, as JSON values."""
        return {
            "name": self.name,
            "source": self.folder.source,
            "fingerprint": self.fingerprint,
            "dimension": self.dimension,
            "max_tokens": self.max_tokens,
        }

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> torch.Tensor:
        """The embeddings (B, D) of B texts in their order: a fresh float32 tensor on the CPU.

        Raises DataError with the number of the first text that is empty.
        """
        check_texts(texts)
        with torch.inference_mode(False), encoding.float32_default():
            result = torch.empty(len(texts), self.dimension, dtype=torch.float32, device="cpu")
            done = 0
            for positions, vectors in self._embed(texts) if len(texts) else ():
                result[positions] = vectors
                done += len(positions)
                if progress:
                    progress(done, len(texts))
        _check_finite(result, self.name)
        return result

    def count_cut(self, texts: Sequence[str]) -> int:
        """How many of the texts have more tokens than are read; 0 where that takes the model to know.

        No weights are loaded for it, and short texts are not looked at.
        """
        limit = self.folder.max_tokens()
        # Tokenizers make at most one token of a byte, and add a few around the text.
        long = [text for text in texts if limit and len(text.encode()) + _ADDED_TOKENS > limit]
        tokenizer = self.folder.tokenizer() if long else None
        if limit is None or tokenizer is None:
            return 0
        return sum(encoding.is_longer(tokenizer, text, limit) for text in long)

    def warn_of_cuts(self, texts: Sequence[str]) -> None:
        """Warns of texts that are longer than what is read, with how many of the different ones are."""
        different = set(texts)
        cut = self.count_cut(list(different))
        if cut:
            warnings.warn(
                f"{cut} of {len(different)} different texts have more than the {self.max_tokens} tokens that "
                f"encoder {self.name!r} reads; what follows in them is ignored",
                DataWarning,
                stacklevel=3,
            )

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        """The texts as tokens, for a copy of the model that is tuned.

        Raises
        ------
        DataError: an empty text, by its number.
        InputError: the encoder has no transformers tokenizer.
        """
        check_texts(texts)
        return tokenise(self._model, texts, self.name)

    def copy_model(self) -> torch.nn.Module:
        """A copy of the sentence-transformers model, which may be changed.

        Raises
        ------
        InputError: it cannot be loaded.
        """
        copied: torch.nn.Module = copy.deepcopy(self._model)
        return copied

    def __deepcopy__(self, memo: object) -> Encoder:
        """Itself: an encoder never changes, and scikit-learn copies the parameters of estimators."""
        return self

    @cached_property
    def _model(self) -> Any:
        try:
            with quiet_transformers(), encoding.float32_default():
                model = load_sentence_model(self.folder.path, self.device)
            _check_complete(model, self.folder)
        except Exception as error:  # damaged weights, unknown modules, memory: each with its own exception
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(
                f"encoder {self.name!r} ({self.folder.source}) cannot be loaded: {reason}",
                expected="a complete sentence-transformers model",
                todo="fetch or save it again",
            ) from error
        return model

    @cached_property
    def _least_tokens(self) -> int:
        """The fewest tokens of a batch; a GPU takes full ones, because it rounds by the shape of a batch."""
        if self._full != _BATCH_TOKENS["cpu"]:
            return self._full
        return encoding.find_least_tokens(self._model, self._full)

    def _embed(self, texts: Sequence[str]) -> Iterator[tuple[list[int], torch.Tensor]]:
        """Positions and their embeddings, batch by batch."""
        model = self._model
        if not _reads_tokens(model):
            return self._embed_by_library(texts)
        tokenizer, limit = model.tokenizer, model.max_seq_length
        texts = [encoding.cut_text(tokenizer, text, limit) for text in texts]
        counts = encoding.count_tokens(tokenizer, texts, limit)
        prompt = (model.prompts or {}).get(model.default_prompt_name)

        def prepare(batch: encoding.Batch) -> dict[str, Any]:
            positions, rows = batch
            some = [texts[position] for position in positions]
            features: dict[str, Any] = model.preprocess(some + some[:1] * (rows - len(some)), prompt=prompt)
            return features

        batches = encoding.plan_batches(counts, self._full, self._least_tokens)
        return encoding.run_batches(batches, prepare, partial(encoding.forward, model))

    def _embed_by_library(self, texts: Sequence[str]) -> Iterator[tuple[list[int], torch.Tensor]]:
        """The same for models that read no tokens, in full batches of texts of one length."""
        for positions, rows in encoding.plan_batches([len(text) for text in texts], self._full, self._full):
            some = [texts[position] for position in positions]
            with torch.autocast(torch.device(self.device).type, enabled=False):
                vectors = self._model.encode(
                    some + some[:1] * (rows - len(some)),
                    batch_size=rows,
                    convert_to_tensor=True,
                    show_progress_bar=False,
                )
            yield positions, torch.as_tensor(vectors[: len(some)]).to("cpu", torch.float32, copy=True)


def _reads_tokens(model: Any) -> bool:
    """Whether a model has a transformers tokenizer and takes tokenised batches (sentence-transformers 6)."""
    return callable(getattr(model, "tokenizer", None)) and hasattr(model, "preprocess")


def _check_complete(model: torch.nn.Module, folder: ModelFolder) -> None:
    """Raises ValueError when the files hold fewer numbers than the model."""
    # Weights missing in the files come out random; many models lack those of a pooler, which goes unused.
    held = folder.weight_count()
    needed = sum(weight.numel() for name, weight in model.named_parameters() if "pooler" not in name)
    if held is not None and held < needed:
        raise ValueError(f"the weight files hold {held:,} numbers where the model has {needed:,}")


def _check_finite(vectors: torch.Tensor, name: str) -> None:
    broken = (~torch.isfinite(vectors).all(dim=1)).nonzero()
    if len(broken):
        raise InputError(
            f"encoder {name!r} gave infinite or undefined numbers for text {int(broken[0]) + 1}",
            expected="finite embeddings",
            todo="use another encoder, or this one in float32",
        )
