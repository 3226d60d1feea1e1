"""A small decoder: from token ids (B, T) to logits (B, T, V)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from hybridqies.errors import InputError
from hybridqies.lm.config import Activation, DecoderConfig, Mixing
from hybridqies.lm.linear import ComplexLinear, make_linear, normalise
from hybridqies.lm.mixers import GATE_SPREAD, MIXERS, GateMixer, Mixer, mean_entropy


class DecoderOutput(NamedTuple):
    """Logits (B, T, V), those without mixing layers where asked for, and the mean S₂ / log r of all gates."""

    logits: Tensor
    local_logits: Tensor | None
    entropy: Tensor | None


@dataclass
class Cache:
    """What a decoder keeps of the tokens it has read: keys, values and registers of each block."""

    length: int = 0
    blocks: list[dict[str, Tensor]] = field(default_factory=list)


class Decoder(nn.Module):
    """Token embeddings, blocks, a norm, and the embeddings again as the last layer.

    Weights are drawn from `seed`.
    """

    turns: Tensor

    def __init__(self, config: DecoderConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.register_buffer("turns", _rotations(config), persistent=False)
        _draw_weights(self, torch.Generator().manual_seed(seed))

    def forward(
        self, ids: Tensor, *, local: bool = False, entropy: bool = False, cache: Cache | None = None
    ) -> Tensor | DecoderOutput:
        """Logits (B, T, V); a `DecoderOutput` where `local` or `entropy` is asked for.

        With a `cache` the ids follow those that it has seen, and are added to it.

        Raises
        ------
        InputError: more tokens than the context, or an entropy without gates.
        """
        if entropy and self.config.mixing not in _WITH_GATES:
            raise InputError(
                f"the entanglement of a decoder with mixing {self.config.mixing.value!r} was asked for",
                expected="a decoder with gates",
            )
        logits, read = self._read(ids, cache=cache)
        if not (local or entropy):
            return logits
        alone = self._read(ids, skip=True)[0] if local else None
        measured = (
            torch.stack([mean_entropy(each, self.config.rank) for each in read]).mean() if entropy else None
        )
        return DecoderOutput(logits, alone, measured)

    def read_pairs(self, ids: Tensor) -> list[Tensor]:
        """What the mixing layer of each block reads, (H, B, T, ...) each."""
        return self._read(ids)[1]

    def _read(
        self, ids: Tensor, *, skip: bool = False, cache: Cache | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        start = 0 if cache is None else cache.length
        stop = start + ids.shape[1]
        if stop > self.config.context:
            raise InputError(
                f"a decoder was given {stop} tokens", expected=f"at most its context of {self.config.context}"
            )
        turns = self.turns[start:stop]
        stream, pairs = self.embedding(ids), []
        for at, block in enumerate(self.blocks):
            if cache is not None and len(cache.blocks) <= at:
                cache.blocks.append({})
            stream, read = block(stream, turns, skip, None if cache is None else cache.blocks[at])
            pairs += [] if read is None else [read]
        if cache is not None:
            cache.length = stop
        return functional.linear(normalise(stream), self.embedding.weight), pairs


class Block(nn.Module):
    """Attention, the mixing layer if there is one, and a network of two layers, each added to the stream."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        width, parts = config.width, config.parts
        self.n_heads, self.parts, self.activation = config.n_heads, parts, config.activation
        n_gates = 2 if config.activation is Activation.SWIGLU else 1
        self.attention_in = make_linear(width, 3 * width, parts)
        self.attention_out = make_linear(width, width, parts)
        self.mixer: Mixer | None = None
        if config.mixing is not Mixing.NONE:
            self.mixer = MIXERS[config.mixing](config)
        self.network_in = make_linear(width, n_gates * config.hidden, parts)
        self.network_out = make_linear(config.hidden, width, parts)

    def forward(
        self, stream: Tensor, turns: Tensor, skip: bool, cache: dict[str, Tensor] | None
    ) -> tuple[Tensor, Tensor | None]:
        """The stream (B, T, D) behind the block, and what its mixing layer read."""
        stream = stream + self._attend(normalise(stream), turns, cache)
        read = None
        if self.mixer is not None and not skip:
            registers = self.mixer.registers(stream)
            earlier = None if cache is None else cache.get("registers")
            added, read = self.mixer(registers, earlier)
            stream = stream + added
            if cache is not None:
                _append(cache, "registers", registers, 2)
        return stream + self._transform(normalise(stream)), read

    def _attend(self, stream: Tensor, turns: Tensor, cache: dict[str, Tensor] | None) -> Tensor:
        """Scaled dot products of all Re and Im are the real parts of complex ones."""
        batch, length, width = stream.shape
        size = width // self.n_heads // self.parts
        whole = self.attention_in(stream).view(batch, length, self.parts, 3, self.n_heads, size)
        # Re and Im of a value side by side: a copy in a complex stream, and nothing in a real one.
        whole = whole.permute(0, 1, 3, 4, 5, 2).flatten(-2)
        both, value = whole.split([2, 1], 2)
        query, key = _turn(both, turns).to(whole.dtype).transpose(1, 3).unbind(2)
        value = value.transpose(1, 3).squeeze(2)
        mask = None
        if cache is not None:
            key, value = _append(cache, "keys", key, 2), _append(cache, "values", value, 2)
            if key.shape[2] > length > 1:
                mask = torch.ones(length, key.shape[2], dtype=torch.bool, device=key.device)
                mask = mask.tril(key.shape[2] - length)
        causal = mask is None and length > 1
        heads = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
        joined = heads.unflatten(-1, (size, self.parts)).permute(0, 2, 4, 1, 3).reshape(batch, length, width)
        mixed: Tensor = self.attention_out(joined)
        return mixed

    def _transform(self, stream: Tensor) -> Tensor:
        inner = self.network_in(stream)
        if self.activation is Activation.GELU:
            inner = functional.gelu(inner)
        else:
            gate, value = inner.unflatten(-1, (self.parts, 2, -1)).unbind(-2)
            inner = (functional.silu(gate) * value).flatten(-2)
        out: Tensor = self.network_out(inner)
        return out


_WITH_GATES = tuple(mixing for mixing, kind in MIXERS.items() if issubclass(kind, GateMixer))


def _append(cache: dict[str, Tensor], name: str, values: Tensor, axis: int) -> Tensor:
    cache[name] = torch.cat([cache[name], values], axis) if name in cache else values
    return cache[name]


def _turn(values: Tensor, turns: Tensor) -> Tensor:
    """Rotary positions of queries and keys (B, T, 2, H, size): pairs of neighbours times e^{iωt}.

    In a complex stream these are Re and Im of one value.
    """
    precise = values if values.dtype == torch.float64 else values.float()
    pairs = torch.view_as_complex(precise.flatten(2).unflatten(-1, (-1, 2)))
    turned = torch.view_as_real(pairs * torch.view_as_complex(turns))
    return turned.view(values.shape)


def _rotations(config: DecoderConfig) -> Tensor:
    """Cosine and sine (T, 2·H·size/2, 2) of the angle of every position and pair.

    Heads are not left to broadcasting: loops over a head alone are too short to be fast.
    """
    half = config.width // config.n_heads // 2
    rates = config.rotary_base ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.arange(config.context, dtype=torch.float64)[:, None] * rates.repeat(2 * config.n_heads)
    return torch.stack([angles.cos(), angles.sin()], -1).float()


def _draw_weights(model: Decoder, generator: torch.Generator) -> None:
    """Normal weights; layers that add to the stream start smaller, those of mixing layers at zero."""
    shrink = 1 / math.sqrt(2 * model.config.n_layers)
    with torch.no_grad():
        model.embedding.weight.normal_(0.0, 1.0, generator=generator).mul_(
            1 / math.sqrt(3 * model.config.width)
        )
        for name, part in model.blocks.named_modules():
            if isinstance(part, nn.Linear | ComplexLinear):
                spread = 1 / math.sqrt(3 * part.in_features)
                if name.endswith(("attention_out", "network_out")):
                    spread *= shrink
                elif name.endswith("mixer.out"):
                    spread = 0.0
                for values in part.parameters():
                    values.normal_(0.0, 1.0, generator=generator).mul_(spread)
            elif hasattr(part, "gate_values"):
                part.gate_values.normal_(0.0, GATE_SPREAD, generator=generator)
