"""The probes: sequences of tokens, some of which follow from earlier ones by a rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from hybridqies.errors import InputError, UnknownNameError

LENGTH = 64
"""Tokens in a sequence of every probe."""
_LETTERS = 32
# Sequences from which the chance of brackets is computed; its standard error is below 0.003.
_GUESSED = 4000

Draw = Callable[[int, Generator], tuple[Tensor, Tensor]]
"""From a number of sequences to their ids (N, T) and which of these are to be predicted (N, T)."""


@dataclass(frozen=True)
class Probe:
    """A rule, with sequences that follow it.

    Answers are the ids `first` to `vocabulary` − 1. `chance` is the accuracy of the best answer without the
    rule: that of a reader who knows which tokens have occurred, but not in which order. Of brackets that
    reader knows which are still open.
    """

    name: str
    meaning: str
    vocabulary: int
    first: int
    chance: float
    draw: Draw


@dataclass(frozen=True)
class Kind:
    """A family of probes over one number, which is at least `least` and at most `most`."""

    meaning: str
    number: str
    least: int
    most: int
    make: Callable[[str, int], Probe]


def make_probe(name: str) -> Probe:
    """The probe of a name such as copy-9: a kind and its number.

    Raises
    ------
    UnknownNameError: no kind has that name.
    InputError: no number, or one that does not fit into a sequence.
    """
    kind, _, number = name.partition("-")
    if kind not in KINDS:
        raise UnknownNameError("kind of probe", kind, KINDS)
    row = KINDS[kind]
    if not (number.isascii() and number.isdecimal()) or not row.least <= int(number) <= row.most:
        raise InputError(
            f"probe {name!r} was given",
            expected=f"{kind}-N with {row.number} N from {row.least} to {row.most}",
        )
    return row.make(f"{kind}-{int(number)}", int(number))


def _copy(name: str, distance: int) -> Probe:
    """The last token is known and never follows itself, so that one of d − 1 others does."""

    def draw(count: int, generator: Generator) -> tuple[Tensor, Tensor]:
        places = torch.arange(LENGTH)
        ids = _different(count, distance, generator)[:, places % distance]
        return ids, (places >= distance).expand(count, -1)

    meaning = f"each token is the one {distance} before"
    return Probe(name, meaning, _LETTERS, 0, 1 / (distance - 1), draw)


def _induction(name: str, distance: int) -> Probe:
    """As copying, but the period p is drawn for each sequence, from more than half of the distance."""
    periods = range(distance // 2 + 1, distance + 1)

    def draw(count: int, generator: Generator) -> tuple[Tensor, Tensor]:
        period = torch.randint(periods[0], periods[-1] + 1, (count, 1), generator=generator)
        places = torch.arange(LENGTH).expand(count, -1)
        ids = _different(count, distance, generator).gather(1, places % period)
        # The first token that repeats cannot be foreseen.
        return ids, places > period

    meaning = f"a pattern of {periods[0]} to {distance} tokens repeats"
    # Scored tokens are more in sequences of a short period, but each sequence counts the same.
    chance = sum(1 / (period - 1) for period in periods) / len(periods)
    return Probe(name, meaning, _LETTERS, 0, chance, draw)


def _brackets(name: str, types: int) -> Probe:
    """Ids below `types` open and those from it on close. What was opened last but one token ago is bigram."""

    def draw(count: int, generator: Generator) -> tuple[Tensor, Tensor]:
        ids = torch.empty(count, LENGTH, dtype=torch.long)
        scored = torch.zeros(count, LENGTH, dtype=torch.bool)
        kinds = torch.randint(types, (count, LENGTH), generator=generator)
        coins = torch.rand(count, LENGTH, generator=generator) < 0.5
        stack = torch.zeros(count, LENGTH, dtype=torch.long)
        depth, rows = torch.zeros(count, dtype=torch.long), torch.arange(count)
        opened = torch.zeros(count, dtype=torch.bool)
        for at in range(LENGTH):
            opens = (depth == 0) | (coins[:, at] & (depth < LENGTH - at))
            top = stack[rows, (depth - 1).clamp(min=0)]
            ids[:, at] = torch.where(opens, kinds[:, at], types + top)
            scored[:, at] = ~opens & ~opened
            stack[rows, depth] = torch.where(opens, kinds[:, at], stack[rows, depth])
            depth, opened = depth + torch.where(opens, 1, -1), opens
        return ids, scored

    meaning = f"which of {types} brackets closes, other than the one just opened"
    chance = _guess_brackets(types, *draw(_GUESSED, Generator().manual_seed(0)))
    return Probe(name, meaning, 2 * types, types, chance, draw)


def _guess_brackets(types: int, ids: Tensor, scored: Tensor) -> float:
    """How often the kind of which most brackets are open closes, the mean over sequences (N, T).

    Kinds are drawn apart from the structure, so that each of the open brackets is as likely the last one.
    """
    signs = torch.where(ids < types, 1, -1).to(torch.int16)
    changes = torch.zeros(*ids.shape, types, dtype=torch.int16)
    changes.scatter_(2, (ids % types)[..., None], signs[..., None])
    is_open = changes.cumsum(1, dtype=torch.int16)[:, :-1]
    shares = is_open.amax(-1) / is_open.sum(-1).clamp(min=1)
    counted = scored[:, 1:]
    return float(((shares * counted).sum(1) / counted.sum(1).clamp(min=1)).double().mean())


def _recall(name: str, pairs: int) -> Probe:
    """Keys are ids below 32 and values those from there on; queries are drawn with replacement."""

    def draw(count: int, generator: Generator) -> tuple[Tensor, Tensor]:
        keys = _different(count, pairs, generator)
        values = _LETTERS + _different(count, pairs, generator)
        asked = torch.randint(pairs, (count, LENGTH // 2 - pairs), generator=generator)
        order = torch.cat([torch.arange(pairs).expand(count, -1), asked], 1)
        ids = torch.stack([keys.gather(1, order), values.gather(1, order)], -1).flatten(1)
        places = torch.arange(LENGTH)
        return ids, ((places >= 2 * pairs) & (places % 2 == 1)).expand(count, -1)

    meaning = f"the value of a key among {pairs} pairs"
    return Probe(name, meaning, 2 * _LETTERS, _LETTERS, 1 / pairs, draw)


def _different(count: int, length: int, generator: Generator) -> Tensor:
    """Letters (N, length), no two of a row the same."""
    return torch.rand(count, _LETTERS, generator=generator).argsort(1)[:, :length]


KINDS: dict[str, Kind] = {
    "copy": Kind("each token is the one N before", "a distance", 3, _LETTERS, _copy),
    "induction": Kind(
        "a pattern of at most N tokens repeats, in each sequence another length",
        "a distance",
        4,
        _LETTERS,
        _induction,
    ),
    "brackets": Kind("which of N kinds of brackets closes", "kinds", 2, 64, _brackets),
    "recall": Kind("the value of a key among N pairs", "pairs", 2, 16, _recall),
}
