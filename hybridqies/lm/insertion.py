"""Entanglement layers and their controls in the blocks of another causal language model."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hybridqies.errors import InputError, ModelFolderError
from hybridqies.layer_names import choose_layers
from hybridqies.lm.config import DecoderConfig, Mixing
from hybridqies.lm.mixers import GATE_SPREAD, MIXERS, Mixer
from hybridqies.tensors import load_state, load_tensors, save_tensors

_CACHES = ("past_key_values", "past_key_value", "layer_past")


class MixedBlock(nn.Module):
    """A block from hidden states (B, T, D) to hidden states, with a mixing layer behind it."""

    def __init__(self, block: nn.Module, mixer: Mixer) -> None:
        super().__init__()
        self.block, self.mixer = block, mixer

    def forward(self, *given: Any, **named: Any) -> Any:
        """As the block, the first or only answer changed.

        Raises
        ------
        InputError: the block was given a cache, which holds no registers.
        """
        if any(named.get(name) is not None for name in _CACHES):
            raise InputError(
                "a block with a mixing layer was given a cache of keys and values, which holds no registers",
                expected="use_cache=False",
            )
        answer = self.block(*given, **named)
        if isinstance(answer, tuple):
            return self._mix(answer[0]), *answer[1:]
        return self._mix(answer)

    def _mix(self, stream: Tensor) -> Tensor:
        added: Tensor = self.mixer(self.mixer.registers(stream))[0]
        return stream + added


def insert_mixers(
    model: nn.Module,
    blocks: str | Iterable[str],
    *,
    mixing: Mixing | str = Mixing.ENTANGLED,
    context: int = 128,
    rank: int = 4,
    seed: int = 0,
) -> list[str]:
    """Puts mixing layers behind named blocks of a causal language model, in place; returns their names.

    `blocks` are names or patterns such as "model.layers.*" or "layers.7". Strides go up to half of
    `context`. The linear maps start at zero, so that all logits are what they were before. Everything but
    the new layers is frozen, and `config.use_cache` is switched off, because a cache holds no registers.

    Raises
    ------
    UnknownNameError: no block has that name.
    InputError: a mixing that is none, a model without `config.hidden_size`, or a block that has one already.
    """
    kind = MIXERS.get(Mixing(mixing)) if mixing in {each.value for each in Mixing} | set(Mixing) else None
    if kind is None:
        raise InputError(f"mixing {mixing!r} was given", expected=", ".join(each.value for each in MIXERS))
    width = getattr(getattr(model, "config", None), "hidden_size", None)
    if not isinstance(width, int):
        raise InputError(
            f"{type(model).__name__} has no config.hidden_size",
            expected="a causal language model of transformers",
        )
    config = DecoderConfig(1, context, width, n_heads=1, mixing=Mixing(mixing), rank=rank)
    found = dict(model.named_modules())
    chosen = choose_layers(blocks, [name for name in found if name])
    for name in chosen:
        if any(isinstance(part, MixedBlock) for part in found[name].modules()):
            raise InputError(f"block {name!r} has a mixing layer already", expected="a block without one")
        nested = next((each for each in chosen if each.startswith(f"{name}.")), None)
        if nested is not None:
            raise InputError(f"blocks {name!r} and {nested!r} were both given", expected="one of them")
    model.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    like = next(model.parameters())
    for name in chosen:
        mixer = kind(config)
        _draw(mixer, generator)
        parent, _, last = name.rpartition(".")
        setattr(found[parent], last, MixedBlock(found[name], mixer.to(like.device, like.dtype)))
    model.config.use_cache = False  # type: ignore[union-attr]
    return chosen


def save_mixers(model: nn.Module, path: Path) -> None:
    """Writes the weights of all inserted mixing layers to one safetensors file."""
    save_tensors(path, _mixers(model).state_dict(), {"kind": "mixing layers"})


def load_mixers(model: nn.Module, path: Path) -> None:
    """Reads them into a model with the same layers inserted.

    Raises
    ------
    ModelFolderError: the file is damaged, of another kind, or of other layers.
    """
    tensors, record = load_tensors(path)
    if record.get("kind") != "mixing layers":
        raise ModelFolderError(f"{str(path)!r} holds no mixing layers", expected="a file of save_mixers")
    load_state(_mixers(model), tensors, path)


def _mixers(model: nn.Module) -> nn.ModuleDict:
    """The inserted layers by the names of their blocks, with dashes for dots."""
    named = {name: part for name, part in model.named_modules() if isinstance(part, MixedBlock)}
    if not named:
        raise InputError("the model has no mixing layers", expected="insert_mixers before")
    return nn.ModuleDict({name.replace(".", "-"): part.mixer for name, part in named.items()})


def _draw(mixer: Mixer, generator: torch.Generator) -> None:
    with torch.no_grad():
        for name, values in mixer.named_parameters():
            spread = GATE_SPREAD if name == "gate_values" else 1 / math.sqrt(3 * values.shape[-1])
            values.normal_(0.0, 0.0 if name == "out.weight" else spread, generator=generator)
