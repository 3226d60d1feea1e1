"""`LanguageModel`: a small language model that is trained from nothing, with the verbs of Hugging Face."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hybridqies import __version__
from hybridqies.compression.perplexity import Interval, Perplexity
from hybridqies.devices import check_device
from hybridqies.errors import DataError, InputError, ModelFolderError
from hybridqies.files import sha256_of
from hybridqies.lm import (
    ARMS,
    Decoder,
    DecoderConfig,
    Mixing,
    Tokens,
    config_of_arm,
    generate_ids,
    make_tokens,
    read_size,
    read_tokens,
)
from hybridqies.options import from_mapping, to_mapping, within
from hybridqies.records import Needed, read_record, write_record
from hybridqies.saved_model.files import CONFIG, LANGUAGE_MODEL, WEIGHTS
from hybridqies.tasks.language_modelling import JointNextToken
from hybridqies.tensors import load_state, load_tensors, save_tensors
from hybridqies.training import Outcome, TokenStream, TrainingConfig, Windows, fit, token_losses
from hybridqies.training.prediction import evaluating

FORMAT = 1
TRAINING = TrainingConfig(epochs=10, batch_size=8, learning_rate=0.005, warmup=0.05, clip_norm=1.0)
_NEEDED: Needed = {"kind": str, "format": int, "options": dict, "decoder": dict | None, "run": dict | None}
_NEEDED_WHEN_FINISHED: Needed = {"decoder": dict, "tokens": dict, "weights_sha256": str}

OnEpoch = Callable[[dict[str, Any]], None]
OnStep = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class LanguageModelConfig:
    """An arm and size, its vocabulary, the weights of its objective, and how it is trained.

    `size` is the number of parameters of a plain decoder, such as 65k; the arm has a few more or fewer.
    `tokens` is the kind of tokens, characters or bpe, and `vocabulary` the number of byte pairs.
    `settings` are options of `DecoderConfig`. `n_tokens` are trained on in `training.epochs` parts, after
    each of which the model is validated and a checkpoint is written. `validation_fraction` of the end of
    a text is set apart where no other text is given to validate on.

    Raises
    ------
    InputError: a value out of its range, or a weight of an entanglement that the arm does not have.
    """

    arm: str = "entangled"
    size: str = "65k"
    context: int = 128
    tokens: str = "characters"
    vocabulary: int = 512
    settings: Mapping[str, Any] = field(default_factory=dict)
    local_weight: float = 0.0
    entanglement_weight: float = 0.0
    n_tokens: int = 1_000_000
    validation_fraction: float = 0.1
    training: TrainingConfig = TRAINING
    device: str = "cpu"

    def __post_init__(self) -> None:
        what = "language model option"
        within(self, what, local_weight=(0, 1e6), entanglement_weight=(-1e6, 1e6), n_tokens=(1, 1e13))
        within(self, what, validation_fraction=(0.001, 0.9), context=(2, 1e6))
        if self.arm not in ARMS:
            # The table's own error names the nearest arm.
            config_of_arm(self.arm, 1, 1, 2)
        mixing = ARMS[self.arm].mixing
        if self.entanglement_weight and mixing is not Mixing.ENTANGLED:
            raise InputError(
                f"entanglement_weight={self.entanglement_weight} was given with arm {self.arm!r}",
                expected="an arm with entanglement layers",
            )
        if self.local_weight and mixing is Mixing.NONE:
            raise InputError(
                f"local_weight={self.local_weight} was given with arm {self.arm!r}",
                expected="an arm with mixing layers, which the local loss leaves out",
            )
        read_size(self.size)


@dataclass(frozen=True, slots=True)
class TextScore:
    """How well a text is predicted: nats for each token, perplexity with a 95 % interval, bits for each byte.

    The interval is over windows of the text and is missing where there is only one. The first token of
    each window is not scored.
    """

    loss: float
    perplexity: float
    interval: tuple[float, float] | None
    bits_per_byte: float
    n_tokens: int
    tokens_per_second: float


class LanguageModel:
    """A decoder with its vocabulary. Options are those of `LanguageModelConfig`.

    `decoder` and `tokens` are there once it has been fitted or loaded.
    """

    def __init__(self, config: LanguageModelConfig | None = None, **options: Any) -> None:
        if config is not None and options:
            raise InputError("a configuration was given together with options", expected="one of them")
        self.config = config or from_mapping(LanguageModelConfig, options, what="language model option")
        check_device(self.config.device)
        self._decoder: Decoder | None = None
        self._tokens: Tokens | None = None
        self._is_untrained = False
        self.outcome: Outcome | None = None

    @property
    def decoder(self) -> Decoder:
        """The torch module."""
        if self._decoder is None:
            raise InputError(
                "the language model has not been fitted", expected="fit or from_pretrained first"
            )
        return self._decoder

    @property
    def tokens(self) -> Tokens:
        """The vocabulary."""
        if self._tokens is None:
            raise InputError(
                "the language model has not been fitted", expected="fit or from_pretrained first"
            )
        return self._tokens

    def prepare(self, text: str, also: str = "") -> Decoder:
        """Makes the vocabulary of `text` and a new decoder for it, without training it.

        `also` is what is validated or measured on: its characters are known, and no byte pairs are learnt
        from it.
        """
        config = self.config
        self._tokens = make_tokens(config.tokens, text, config.vocabulary, also=also)
        shape = config_of_arm(
            config.arm, read_size(config.size), self._tokens.size, config.context, config.settings
        )
        self._decoder = Decoder(shape, config.training.seed).to(config.device).eval()
        self._is_untrained = True
        return self._decoder

    def fit(
        self,
        text: str,
        validation: str | None = None,
        *,
        folder: Path | None = None,
        resume: bool = False,
        compiled: bool = False,
        on_epoch: OnEpoch | None = None,
        on_step: OnStep | None = None,
    ) -> LanguageModel:
        """Trains a new decoder on `text` and keeps its best state on `validation`.

        A model that `prepare` has made ready and that was not trained since is trained as it is. One that
        was loaded, or whose training failed, begins anew.
        `folder`, `resume`, `compiled`, `on_epoch` and `on_step` are those of `hybridqies.training.fit`.

        Raises
        ------
        DataError: a text that is too short, or a character that the vocabulary does not have.
        InputError: options that do not fit each other, a precision that the device lacks, or a step that
            cannot be compiled.
        """
        if validation is None:
            cut = len(text) - round(len(text) * self.config.validation_fraction)
            text, validation = text[:cut], text[cut:]
        if not self._is_untrained:
            self.prepare(text, validation)
        config, context = self.config, self.config.context
        training = config.training.for_rows(1)
        stream = TokenStream(
            self._encode(text, "to train on", context),
            context,
            _windows_of_epoch(config),
        )
        windows = Windows(self.windows(validation, "to validate on"))
        self._is_untrained, self.outcome = False, None
        self.outcome = fit(
            self.decoder,
            stream,
            windows,
            JointNextToken(config.local_weight, config.entanglement_weight),
            training,
            folder=folder,
            resume=resume,
            compiled=compiled,
            on_epoch=on_epoch,
            on_step=on_step,
        )
        return self

    def score(self, text: str, batch_size: int = 32) -> TextScore:
        """Loss, perplexity and bits per byte on a text, in windows of the context that are read alone.

        Raises
        ------
        DataError: it has fewer than two tokens, or a character that the vocabulary does not have.
        """
        windows = self.windows(text, "to score", shortest=2)
        start = time.perf_counter()
        with evaluating(self.decoder):
            parts = [
                token_losses(self.decoder, part.to(self.config.device)).double().mean(1).cpu()
                for part in windows.split(batch_size)
            ]
        losses = tuple(torch.cat(parts).tolist())
        speed = windows.numel() / (time.perf_counter() - start)
        loss = math.fsum(losses) / len(losses)
        interval: Interval | None = Perplexity(losses, speed).interval if len(losses) > 1 else None
        n_tokens, n_bytes = len(self.tokens.encode(text)), len(text.encode("utf-8"))
        return TextScore(
            loss,
            math.exp(min(loss, 700.0)),
            None if interval is None else (interval.low, interval.high),
            loss / math.log(2) * n_tokens / n_bytes,
            windows.shape[0] * (windows.shape[1] - 1),
            speed,
        )

    def perplexity(self, text: str) -> float:
        """The exponential of the mean loss of a token; `score` says more."""
        return self.score(text).perplexity

    def generate(self, prompt: str, n_tokens: int = 200, *, temperature: float = 1.0, seed: int = 0) -> str:
        """What the model writes behind `prompt`.

        Raises
        ------
        InputError: an empty prompt, a character that the vocabulary does not have, or a temperature below 0.
        """
        ids = generate_ids(
            self.decoder, self.tokens.encode(prompt), n_tokens, temperature=temperature, seed=seed
        )
        return self.tokens.decode(ids)

    def save_pretrained(self, folder: str | Path, run: Mapping[str, Any] | None = None) -> None:
        """Writes `model.safetensors` and `config.json`; `run` is the configuration of a run that made it."""
        path = Path(folder)
        save_tensors(path / WEIGHTS, self.decoder.state_dict(), {"kind": LANGUAGE_MODEL})
        finished = {
            "decoder": to_mapping(self.decoder.config),
            "tokens": self.tokens.to_mapping(),
            "weights_sha256": sha256_of(path / WEIGHTS),
        }
        write_model_config(path, self.config, run, finished)

    @classmethod
    def from_pretrained(cls, folder: str | Path, device: str = "cpu") -> LanguageModel:
        """The model that `save_pretrained` or `hybridqies lm train` wrote.

        Raises
        ------
        InputError: a device that is not there.
        ModelFolderError: the folder holds none, or one that is unfinished, damaged or altered.
        """
        check_device(device)
        path = Path(folder)
        record = read_model_config(path)
        if not (path / WEIGHTS).is_file() or sha256_of(path / WEIGHTS) != record["weights_sha256"]:
            raise ModelFolderError(
                f"{str(path / WEIGHTS)!r} is missing or was altered",
                expected=f"the file that {CONFIG} names",
                todo="restore the folder or train again",
            )
        options = from_mapping(LanguageModelConfig, record["options"], what="language model option")
        model = cls(replace(options, device=device))
        model._tokens = read_tokens(record["tokens"])
        shape = from_mapping(DecoderConfig, record["decoder"], what="decoder option")
        decoder = Decoder(shape)
        load_state(decoder, load_tensors(path / WEIGHTS)[0], path / WEIGHTS)
        model._decoder = decoder.to(device).eval()
        return model

    def windows(self, text: str, purpose: str = "to read", shortest: int | None = None) -> Tensor:
        """Consecutive windows (N, context) of a text; what is left over at its end is not read.

        A text shorter than one is one window, if it has `shortest` tokens.

        Raises
        ------
        DataError: it has fewer, or a character that the vocabulary does not have.
        """
        ids = self._encode(text, purpose, shortest or self.config.context)
        width = min(self.config.context, len(ids))
        return ids[: len(ids) // width * width].reshape(-1, width)

    def _encode(self, text: str, purpose: str, fewest: int) -> Tensor:
        ids = self.tokens.encode(text)
        if len(ids) < fewest:
            raise DataError(
                f"the text {purpose} has {len(ids)} tokens",
                expected=f"at least {fewest}",
                todo="give a longer text, or a shorter context",
            )
        return torch.tensor(ids)


def count_tokens(config: LanguageModelConfig) -> int:
    """How many tokens are trained on: `n_tokens` in whole windows, as many in each part."""
    return _epochs(config) * tokens_of_epoch(config)


def tokens_of_epoch(config: LanguageModelConfig) -> int:
    """How many tokens each part of the training has."""
    return config.context * _windows_of_epoch(config)


def _windows_of_epoch(config: LanguageModelConfig) -> int:
    return max(1, round(config.n_tokens / config.context / _epochs(config)))


def _epochs(config: LanguageModelConfig) -> int:
    epochs = config.training.for_rows(1).epochs
    assert epochs is not None
    return epochs


def write_model_config(
    folder: Path,
    config: LanguageModelConfig,
    run: Mapping[str, Any] | None,
    finished: Mapping[str, Any] | None = None,
) -> None:
    """Writes `config.json`; without what is known when it is `finished` it is that of a run that is not."""
    content = {
        "format": FORMAT,
        "kind": LANGUAGE_MODEL,
        "hybridqies": __version__,
        "options": to_mapping(config),
    }
    write_record(folder / CONFIG, {**content, "run": run, "decoder": None, **(finished or {})})


def read_model_config(folder: Path, *, finished: bool = True) -> dict[str, Any]:
    """The checked `config.json` of a language model; with `finished` False also of an unfinished run.

    Raises
    ------
    ModelFolderError: missing, damaged, unfinished, of another kind or of another format.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ModelFolderError(
            f"{str(folder)!r} holds no {CONFIG}",
            expected="a folder written by save_pretrained or `hybridqies lm train`",
        )
    record = read_record(path, what="model configuration")
    if record.get("kind") != LANGUAGE_MODEL:
        raise ModelFolderError(f"{str(folder)!r} holds no language model", expected="a folder of lm train")
    if record.get("format") != FORMAT:
        raise ModelFolderError(
            f"{str(path)!r} has format {record.get('format')}", expected=f"format {FORMAT}"
        )
    record = read_record(path, needed=_NEEDED, what="model configuration")
    if finished and record["decoder"] is None:
        raise ModelFolderError(
            f"the run in {str(folder)!r} has not finished",
            todo=f"continue with: hybridqies lm train --resume --out {folder}",
        )
    return read_record(path, needed=_NEEDED_WHEN_FINISHED, what="model configuration") if finished else record
