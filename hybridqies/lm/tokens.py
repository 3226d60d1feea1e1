"""From texts to token ids and back: characters, or byte-level byte-pair encoding."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from hybridqies.errors import DataError, InputError, ModelFolderError, UnknownNameError

_FEWEST = 257
"""The bytes, and one merge."""


class Tokens(ABC):
    """A vocabulary: encodes texts as ids and decodes them, and is saved as JSON values."""

    kind: ClassVar[str]

    @property
    @abstractmethod
    def size(self) -> int:
        """How many tokens there are, V."""

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """The ids of a text.

        Raises
        ------
        DataError: it holds something that the vocabulary does not.
        """

    @abstractmethod
    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids."""

    @abstractmethod
    def to_mapping(self) -> dict[str, Any]:
        """As JSON values; `read_tokens` gives it back."""


class Characters(Tokens):
    """One token for each different character."""

    kind = "characters"

    def __init__(self, characters: str) -> None:
        self.characters = characters
        self._ids = {character: at for at, character in enumerate(characters)}

    @property
    def size(self) -> int:
        """Different characters."""
        return len(self.characters)

    def encode(self, text: str) -> list[int]:
        """One id for each character."""
        try:
            return [self._ids[character] for character in text]
        except KeyError as error:
            raise DataError(
                f"the text holds the character {error.args[0]!r}",
                expected="the characters that the model was trained on",
                todo="leave it out, or train with tokens of kind bpe",
            ) from None

    def decode(self, ids: Iterable[int]) -> str:
        """One character for each id."""
        return "".join(self.characters[each] for each in ids)

    def to_mapping(self) -> dict[str, Any]:
        """The characters in the order of their ids."""
        return {"kind": self.kind, "characters": self.characters}


class BytePairs(Tokens):
    """Byte-level byte-pair encoding of the `tokenizers` library; it can encode every text."""

    kind = "bpe"

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    @property
    def size(self) -> int:
        """Bytes and merges."""
        return int(self._tokenizer.get_vocab_size())

    def encode(self, text: str) -> list[int]:
        """Ids of the longest merges."""
        _check_characters(text)
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Bytes that are no UTF-8 become �."""
        return str(self._tokenizer.decode(list(ids)))

    def to_mapping(self) -> dict[str, Any]:
        """The library's own description."""
        return {"kind": self.kind, "tokenizer": self._tokenizer.to_str()}


KINDS = (Characters.kind, BytePairs.kind)


def make_tokens(kind: str, text: str, size: int = 512, *, also: str = "") -> Tokens:
    """The vocabulary of a text; `size` is that of byte pairs.

    Characters of `also`, a text that is measured on, are known, too. Byte pairs are learnt from `text` alone.

    Raises
    ------
    UnknownNameError: no kind has that name.
    DataError: an empty text, or one with half a surrogate pair.
    InputError: a size that does not hold the bytes.
    """
    if kind not in KINDS:
        raise UnknownNameError("kind of tokens", kind, KINDS)
    if not text:
        raise DataError("the text is empty", expected="some text to train on")
    _check_characters(text + also)
    if kind == Characters.kind:
        return Characters("".join(sorted(set(text) | set(also))))
    if size < _FEWEST:
        raise InputError(f"a vocabulary of {size} was given", expected=f"at least {_FEWEST}: all bytes")
    return BytePairs(_train_byte_pairs([text], size))


def read_tokens(record: Mapping[str, Any]) -> Tokens:
    """The vocabulary that `to_mapping` described.

    Raises
    ------
    ModelFolderError: it describes none.
    """
    kind, characters, tokenizer = (record.get(key) for key in ("kind", "characters", "tokenizer"))
    if kind == Characters.kind and isinstance(characters, str) and characters:
        return Characters(characters)
    if kind == BytePairs.kind and isinstance(tokenizer, str):
        from tokenizers import Tokenizer

        try:
            return BytePairs(Tokenizer.from_str(tokenizer))
        except Exception as error:  # The library raises nothing more special.
            raise ModelFolderError(f"the recorded tokenizer cannot be read ({error})") from None
    raise ModelFolderError(
        f"tokens of kind {kind!r} are recorded without their vocabulary", expected=" or ".join(KINDS)
    )


def _check_characters(text: str) -> None:
    """Refuses what no UTF-8 file can hold, such as a byte of a command line that is no UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"the text holds {text[error.start]!r}, which is half a surrogate pair",
            expected="text that UTF-8 can hold",
        ) from None


def _train_byte_pairs(texts: Sequence[str], size: int) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
