"""What a language model has to do to be scored: encode, decode, logits, and a greedy continuation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from hybridqies.errors import InputError
from hybridqies.language_model import LanguageModel
from hybridqies.lm import generate_ids
from hybridqies.training.prediction import evaluating

_AT_ONCE = 16


class Scorer(Protocol):
    """A causal language model with its vocabulary, which reads at most `context` tokens.

    `prefix` is the token that stands before a text that nothing else stands before.
    """

    context: int
    prefix: int

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without special tokens."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids."""

    def logits(self, ids: Tensor) -> Tensor:
        """Logits (B, T, V) of ids (B, T)."""

    def generate(self, ids: Sequence[int], count: int) -> list[int]:
        """The likeliest `count` tokens behind `ids`, one after the other."""


class DecoderScorer:
    """A `LanguageModel`; a line feed stands before texts, since the model has no token for a beginning.

    Raises
    ------
    InputError: its vocabulary has no line feed.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.model, self.context = model, model.decoder.config.context
        try:
            self.prefix = model.tokens.encode("\n")[0]
        except InputError:
            raise InputError(
                "the vocabulary of the model has no line feed, which stands before texts",
                expected="a model whose text had lines",
            ) from None

    def encode(self, text: str) -> list[int]:
        """The ids of a text; characters that the vocabulary does not have are refused."""
        return self.model.tokens.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids."""
        return self.model.tokens.decode(ids)

    def logits(self, ids: Tensor) -> Tensor:
        """Logits (B, T, V) of ids (B, T), on the CPU."""
        with evaluating(self.model.decoder):
            found: Tensor = self.model.decoder(ids.to(self.model.config.device)).float().cpu()
        return found

    def generate(self, ids: Sequence[int], count: int) -> list[int]:
        """With a cache of what was read."""
        return generate_ids(self.model.decoder, ids, count, temperature=0.0)


class TransformerScorer:
    """A causal language model of transformers with its tokenizer, with or without mixing layers.

    `context` is by default what the model was made for.

    Raises
    ------
    InputError: the tokenizer has no token for a beginning or an end.
    """

    def __init__(self, model: nn.Module, tokenizer: Any, context: int | None = None) -> None:
        self.model, self.tokenizer = model, tokenizer
        config: Any = model.config
        self.context = context or int(config.max_position_embeddings)
        known = (tokenizer.bos_token_id, tokenizer.eos_token_id)
        if known == (None, None):
            raise InputError(
                "the tokenizer has no token for the beginning or the end of a text", expected="one of them"
            )
        self.prefix = int(known[1] if known[0] is None else known[0])

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without special tokens."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids."""
        return str(self.tokenizer.decode(list(ids)))

    def logits(self, ids: Tensor) -> Tensor:
        """Logits (B, T, V) of ids (B, T), on the CPU."""
        device = next(self.model.parameters()).device
        with evaluating(self.model):
            found: Tensor = self.model(input_ids=ids.to(device)).logits.float().cpu()
        return found

    def generate(self, ids: Sequence[int], count: int) -> list[int]:
        """Reads everything again for each token: a cache would hold no registers."""
        known = list(ids)
        for _ in range(count):
            known.append(int(self.logits(torch.tensor([known[-self.context :]]))[0, -1].argmax()))
        return known[len(ids) :]


def join_pair(scorer: Scorer, context: str, continuation: str) -> tuple[list[int], int]:
    """All ids, and the number of the first of the continuation, as lm-eval's own models cut them.

    Byte pairs may merge a continuation with what it follows; that token is then scored whole.
    """
    if not context:
        return [scorer.prefix, *scorer.encode(continuation)], 1
    kept = context.rstrip()
    ids = scorer.encode(context + continuation)
    start = len(scorer.encode(kept)) if kept else 0
    if continuation:
        start = min(start, len(ids) - 1)
    return ([scorer.prefix, *ids], 1) if start == 0 else (ids, start)


def cut_pieces(ids: Sequence[int], start: int, context: int) -> Iterator[tuple[list[int], int]]:
    """Parts of a text, at most context + 1 tokens each, with how many at the end of each are scored.

    All tokens from number `start` ≥ 1 on are scored once, each behind as many earlier ones as fit.
    """
    while start < len(ids):
        stop = min(len(ids), start + context)
        yield list(ids[max(0, stop - context - 1) : stop]), stop - start
        start = stop


def score_texts(scorer: Scorer, texts: Sequence[tuple[Sequence[int], int]]) -> list[tuple[float, bool]]:
    """For ids and the number of the first scored one: log likelihood, and whether all are the likeliest."""
    pieces = [
        (at, piece, count)
        for at, (ids, start) in enumerate(texts)
        for piece, count in cut_pieces(ids, start, scorer.context)
    ]
    # Long ones first: memory that suffices for them suffices for all.
    pieces.sort(key=lambda piece: -len(piece[1]))
    sums, greedy = [0.0] * len(texts), [True] * len(texts)
    for first in range(0, len(pieces), _AT_ONCE):
        for (at, _, _), (total, likeliest) in zip(
            pieces[first : first + _AT_ONCE], _score(scorer, pieces[first : first + _AT_ONCE]), strict=True
        ):
            sums[at] += total
            greedy[at] &= likeliest
    return list(zip(sums, greedy, strict=True))


def _score(scorer: Scorer, pieces: Sequence[tuple[int, list[int], int]]) -> Iterator[tuple[float, bool]]:
    """Padded on the right, which no causal model sees."""
    length = max(len(piece) for _, piece, _ in pieces)
    padded = torch.tensor([piece + [scorer.prefix] * (length - len(piece)) for _, piece, _ in pieces])
    logits = scorer.logits(padded[:, :-1])
    for (_, piece, count), row, ids in zip(pieces, logits, padded, strict=True):
        scored = slice(len(piece) - 1 - count, len(piece) - 1)
        answers = ids[1:][scored]
        logs = row[scored].double().log_softmax(-1)
        yield float(logs.gather(1, answers[:, None]).sum()), bool((logs.argmax(-1) == answers).all())


def write_until(scorer: Scorer, ids: Sequence[int], stops: Sequence[str], count: int) -> str:
    """At most `count` tokens behind `ids`, up to the first of the texts in `stops`."""
    written: list[int] = []
    while len(written) < count:
        written += scorer.generate([*ids, *written], min(_AT_ONCE, count - len(written)))
        text = scorer.decode(written)
        places = [text.index(stop) for stop in stops if stop and stop in text]
        if places:
            return text[: min(places)]
    return scorer.decode(written)
