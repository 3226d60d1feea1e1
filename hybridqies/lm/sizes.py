"""Decoders of a given number of parameters."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hybridqies.errors import InputError
from hybridqies.lm.config import DecoderConfig
from hybridqies.lm.costs import count_parameters
from hybridqies.options import from_mapping

_UNITS = {"": 1, "k": 1_000, "m": 1_000_000}
# Blocks up to so many parameters; more than the last have twelve.
_DEPTHS = ((100_000, 2), (400_000, 3), (1_500_000, 4), (8_000_000, 6), (30_000_000, 8))
_HEAD = 24
_LARGEST = 1e15
# What a decoder has from elsewhere: among the settings it would be given without any effect.
_ELSEWHERE = {
    "vocabulary": "the kind of tokens, which decides it",
    "context": "the option context of the model, on the command line --window",
}


def read_size(text: str, what: str = "size", of: str = "parameters") -> int:
    """A number of parameters as people write it: 65k, 2.25M or 65000.

    `what` and `of` name another number, such as one of tokens, in the error message.

    Raises
    ------
    InputError: it is none, no more than 0, or beyond all reason.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([km]?)", text.strip().lower())
    number = float(found[1]) * _UNITS[found[2]] if found else 0.0
    size = round(number) if number <= _LARGEST else 0
    if size < 1:
        raise InputError(f"{what} {text!r} was given", expected=f"a number of {of}, such as 65k or 2.25M")
    return size


def rate_of(size: str) -> float:
    """The peak learning rate for AdamW with a cosine that suits a decoder of that size, to two digits.

    0.005 · (65k / N)^0.42, and 0.005 for smaller ones: near the best rates of plain decoders of 65k, 246k and
    2.25M parameters on a million characters of Tiny Shakespeare (`docs/concepts/scaling.md`).

    Raises
    ------
    InputError: what `read_size` refuses.
    """
    return float(f"{0.005 * min(1.0, 65_000 / read_size(size)) ** 0.42:.2g}")


def config_of_size(
    size: int, vocabulary: int, context: int, settings: Mapping[str, Any] | None = None
) -> DecoderConfig:
    """A real decoder without mixing whose parameters are as near to `size` as `hidden` allows.

    `settings` are options of `DecoderConfig` that stay as given.

    Raises
    ------
    InputError: an option that does not exist or fit, or a size that the embeddings alone take up.
    """
    for key, place in _ELSEWHERE.items():
        if key in (settings or {}):
            raise InputError(f"decoder option {key!r} was given among the settings", expected=place)
    given = {**(settings or {}), "vocabulary": vocabulary, "context": context}
    depth = next((depth for bound, depth in _DEPTHS if size <= bound), 12)
    given.setdefault("n_layers", depth)
    given.setdefault("width", _width(size, vocabulary, int(given["n_layers"])))
    given.setdefault("n_heads", _heads(int(given["width"])))
    config = from_mapping(DecoderConfig, given, what="decoder option")
    return config if "hidden" in given else match(config, count_parameters, size)


def match(config: DecoderConfig, measure: Callable[[DecoderConfig], int], target: int) -> DecoderConfig:
    """The config with the even `hidden` whose `measure` is the nearest to `target`.

    Raises
    ------
    InputError: the rest of the decoder takes more than that.
    """
    narrow, wide = (measure(replace(config, hidden=hidden)) for hidden in (2, 4))
    hidden = 2 + 2 * round((target - narrow) / (wide - narrow))
    if hidden < 2:
        raise InputError(
            f"a decoder of size {target:,} was asked for, and its other parts take {narrow:,}",
            expected="a larger size, a smaller width or vocabulary, or fewer layers",
        )
    return replace(config, hidden=hidden)


def _width(size: int, vocabulary: int, depth: int) -> int:
    """The multiple of 16 nearest to D where V·D + 12·L·D² is the size."""
    root = math.sqrt(vocabulary**2 + 48 * depth * size) - vocabulary
    return max(16, 16 * round(root / (24 * depth) / 16))


def _heads(width: int) -> int:
    """The most heads of at least 24 values each, an even number of them."""
    fitting = [heads for heads in range(1, width // _HEAD + 1) if width % (2 * heads) == 0]
    return max(fitting, default=1)
