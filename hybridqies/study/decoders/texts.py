"""The texts that trials of language models read: to train on, to choose by, and to measure on at the end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from hybridqies.devices import check_device
from hybridqies.errors import DataError, InputError
from hybridqies.language_model import LanguageModelConfig
from hybridqies.lm import DecoderConfig, Tokens, config_of_arm, make_tokens, read_size
from hybridqies.lm.texts import read_text
from hybridqies.options import from_mapping, to_mapping
from hybridqies.study.decoders.split import TextSource, TextSplit
from hybridqies.study.decoders.trial import DecoderTrial


@dataclass(frozen=True, slots=True)
class TextParts:
    """The parts of a text."""

    train: str
    validation: str
    test: str

    @property
    def held_out(self) -> str:
        """What is not trained on, and what a vocabulary has to hold all the same."""
        return self.validation + self.test

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the parts."""
        parts = (self.train, self.validation, self.test)
        digests = [hashlib.sha256(part.encode()).hexdigest() for part in parts]
        return hashlib.sha256("\0".join(digests).encode()).hexdigest()


def split_text(source: TextSource, split: TextSplit) -> TextParts:
    """Reads a text and splits it.

    Raises
    ------
    DataError: it cannot be read, or is too short to be split.
    """
    known = read_text(source.train)
    if source.test is None:
        cut = len(known) - round(len(known) * split.test_fraction)
        known, test = known[:cut], known[cut:]
    else:
        test = read_text(source.test)
    cut = len(known) - round(len(known) * split.validation_fraction)
    parts = TextParts(known[:cut], known[cut:], test[: split.test_characters])
    if not (parts.train and parts.validation and parts.test):
        raise DataError(f"text {source.train!r} has too few characters to be split", expected="a longer text")
    return parts


@dataclass(frozen=True, slots=True)
class DecoderSource:
    """What every trial of a study reads: texts by name, how they are split, and the device it runs on."""

    kind: ClassVar[str] = "decoder"

    texts: Mapping[str, Mapping[str, Any]]
    split: TextSplit = field(default_factory=TextSplit)
    device: str = "cpu"

    def to_mapping(self) -> dict[str, Any]:
        """As JSON values."""
        return to_mapping(self)

    @classmethod
    def from_mapping(cls, values: Any) -> DecoderSource:
        """What `to_mapping` gave."""
        return from_mapping(cls, values, what="source of trials")

    def on(self, device: str) -> DecoderSource:
        """The same on another device."""
        return replace(self, device=device)

    def load(self) -> DecoderContext:
        """Reads and splits the texts.

        Raises
        ------
        InputError: the device is not there.
        DataError: a text cannot be read, or is too short.
        """
        device = check_device(self.device)
        sources = {
            name: from_mapping(TextSource, each, what=f"text {name!r}: option")
            for name, each in self.texts.items()
        }
        return DecoderContext({name: split_text(each, self.split) for name, each in sources.items()}, device)


@dataclass(frozen=True)
class DecoderContext:
    """The parts of each text, by name; `vocabularies` keeps the sizes that were found, by text and tokens."""

    kind: ClassVar[str] = "decoder"

    parts: Mapping[str, TextParts]
    device: str = "cpu"
    vocabularies: dict[tuple[str, str, int, int], int] = field(default_factory=dict, repr=False)

    def compute_rows(self, seed: int, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Nothing: texts are read when they are loaded."""

    def describe(self, seeds: Sequence[int]) -> dict[str, Any]:  # noqa: ARG002
        """Fingerprints and lengths of the texts."""
        return {
            "texts": {
                name: {
                    "fingerprint": each.fingerprint,
                    "characters": {
                        part: len(getattr(each, part)) for part in ("train", "validation", "test")
                    },
                }
                for name, each in self.parts.items()
            }
        }

    def check(self, trial: DecoderTrial) -> None:
        """Refuses a trial that was planned on another text.

        Raises
        ------
        InputError: naming the text.
        """
        found = self.parts[trial.text].fingerprint if trial.text in self.parts else ""
        if found != trial.text_fingerprint:
            raise InputError(
                f"text {trial.text!r} is not what the study began with",
                expected=f"fingerprint {trial.text_fingerprint[:12]}, found {found[:12]}",
                todo="restore it, or start another study with another --out",
            )

    def shape(self, text: str, model: LanguageModelConfig) -> DecoderConfig:
        """The decoder of a model that is trained on the named text.

        Raises
        ------
        InputError: options that do not exist or fit.
        DataError: a part of the text that is too short for them.
        """
        key = (text, model.tokens, model.vocabulary, model.context)
        if key not in self.vocabularies:
            parts = self.parts[text]
            tokens = make_tokens(model.tokens, parts.train, model.vocabulary, also=parts.held_out)
            _check_lengths(text, parts, tokens, model.context)
            self.vocabularies[key] = tokens.size
        return config_of_arm(
            model.arm, read_size(model.size), self.vocabularies[key], model.context, model.settings
        )


def _check_lengths(text: str, parts: TextParts, tokens: Tokens, context: int) -> None:
    """Refuses a part that no trial could be trained, validated or tested on."""
    for name, fewest in (("train", context), ("validation", context), ("test", 2)):
        count = len(tokens.encode(getattr(parts, name)))
        if count < fewest:
            raise DataError(
                f"the {name} part of text {text!r} has {count} tokens",
                expected=f"at least {fewest}",
                todo="give a longer text, or change split or context in the plan",
            )
