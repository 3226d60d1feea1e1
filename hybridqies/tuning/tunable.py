"""An encoder as a module that is trained: whole, in part, or through adapters beside its weights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hybridqies.errors import InputError
from hybridqies.layer_names import choose_layers
from hybridqies.options import to_mapping
from hybridqies.roles import Role
from hybridqies.text import Encoder
from hybridqies.training.numerics import seeded
from hybridqies.tuning.methods import Method, method_of
from hybridqies.tuning.spec import Tuning

ADAPTER = "default"
_BLOCKS = ("layer", "layers", "block", "h")
# Transformers makes one for models that never use it.
_UNUSED = "pooler"


class TunableEncoder(nn.Module):
    """A copy of an encoder, from tokens to embeddings (B, D), of which `tuning` says what is trained.

    Adapters are drawn from `seed`; at the start they change nothing.

    Raises
    ------
    InputError: the encoder is no transformer, or has too few layers; or an adapter does not fit.
    UnknownNameError: a name or pattern fits no layer.
    MissingExtraError: peft is not installed.
    """

    def __init__(self, encoder: Encoder, tuning: Tuning, seed: int) -> None:
        super().__init__()
        self.model = encoder.copy_model().requires_grad_(False)
        self.tuning = tuning
        self._dimension = encoder.dimension
        self._name = encoder.name
        # Not a member: the weights of the transformer that it holds would stand in the state twice.
        self._tuners: tuple[Any, ...] = ()
        method = method_of(tuning.method)
        if method.is_adapter:
            self._add_adapter(tuning, seed)
        else:
            for weight in _weights(self._transformer, self.model, tuning):
                weight.requires_grad_(True)
        self.roles: Mapping[str, Role] = {"model": role_of(method)}

    def forward(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Embeddings (B, D) of a batch of `Tokens`, wherever they lie, on the encoder's device."""
        device = next(self.model.parameters()).device
        if not len(tokens["input_ids"]):
            return torch.empty(0, self._dimension, dtype=torch.float32, device=device)
        given = {name: each.to(device) for name, each in tokens.items()}
        embeddings: Tensor = self.model(given)["sentence_embedding"]
        return embeddings

    def n_trained(self) -> int:
        """How many values training sets."""
        return sum(each.numel() for each in self.parameters() if each.requires_grad)

    def extra_repr(self) -> str:
        """The tuning, which a checkpoint depends on."""
        return json.dumps(to_mapping(self.tuning), sort_keys=True)

    def state(self) -> dict[str, Tensor]:
        """What tuning has made, by name: an adapter as peft names its tensors, or the trained weights."""
        if not method_of(self.tuning.method).is_adapter:
            return {name: each.detach() for name, each in self.model.named_parameters() if each.requires_grad}
        from peft import get_peft_model_state_dict

        found: dict[str, Tensor] = get_peft_model_state_dict(self._transformer, adapter_name=ADAPTER)
        return {name: value.detach() for name, value in found.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Puts back what `state` gave.

        Raises
        ------
        InputError: it is of another tuning or another encoder.
        """
        own = self.state()
        odd = sorted(name for name in own.keys() ^ state.keys())
        odd += [name for name in own if name in state and own[name].shape != state[name].shape]
        if odd:
            raise InputError(
                f"tensor {odd[0]!r} of a tuned encoder does not fit",
                expected="what was saved of the same tuning of the same encoder",
            )
        with torch.no_grad():
            # They share memory with the model.
            for name, value in own.items():
                value.copy_(state[name])

    @torch.no_grad()
    def merge(self) -> nn.Module:
        """The model with its adapters in its weights; an ordinary model again."""
        for tuner in self._tuners:
            tuner.merge_and_unload(safe_merge=True)
        self._transformer.__dict__.pop("peft_config", None)
        model: nn.Module = self.model
        model.requires_grad_(False).eval()
        return model

    def adapter_config(self) -> dict[str, Any] | None:
        """What peft reads an adapter by, as JSON values; None where there is none."""
        if not method_of(self.tuning.method).is_adapter:
            return None
        config: Any = self._transformer.peft_config[ADAPTER]  # type: ignore[index]
        found = {**config.to_dict(), "base_model_name_or_path": None, "inference_mode": True}
        return {name: sorted(each) if isinstance(each, set) else each for name, each in found.items()}

    @property
    def _transformer(self) -> nn.Module:
        # Not kept as a member: its weights would stand in the state twice.
        return find_transformer(self.model, self._name)

    def _add_adapter(self, tuning: Tuning, seed: int) -> None:
        from hybridqies.adapters.registration import check_peft

        check_peft()
        from peft import PEFT_TYPE_TO_TUNER_MAPPING

        transformer = self._transformer
        config = tuning.parsed.peft_config(_adapted(transformer, tuning))
        with seeded(seed, next(transformer.parameters()).device):
            self._tuners = (PEFT_TYPE_TO_TUNER_MAPPING[config.peft_type](transformer, config, ADAPTER),)


def role_of(method: Method) -> Role:
    """What the values that a method trains are for."""
    return Role.ADAPTER if method.is_adapter else Role.ENCODER


def find_transformer(model: nn.Module, name: str) -> nn.Module:
    """The transformer in a sentence-transformers model.

    Raises
    ------
    InputError: it has none.
    """
    from transformers import PreTrainedModel

    for part in model.modules():
        if isinstance(part, PreTrainedModel):
            found: nn.Module = part
            return found
    raise InputError(f"encoder {name!r} has no transformer", expected="a transformer, to tune it")


def _weights(transformer: nn.Module, model: nn.Module, tuning: Tuning) -> list[nn.Parameter]:
    """The weights of a model, and of the transformer in it, that are trained themselves."""
    if tuning.layers:
        return [each for key in _adapted(transformer, tuning) for each in _own(transformer, key)]
    if tuning.last is not None:
        _, blocks = _last_blocks(transformer, tuning.last)
        return [weight for block in blocks for weight in block.parameters()]
    return [weight for key, weight in model.named_parameters() if _UNUSED not in key]


def _own(model: nn.Module, key: str) -> Iterable[nn.Parameter]:
    return model.get_submodule(key).parameters()


def _adapted(transformer: nn.Module, tuning: Tuning) -> list[str]:
    """The full names of the linear layers that tuning is about."""
    linear = [key for key, part in transformer.named_modules() if isinstance(part, nn.Linear)]
    chosen = choose_layers(tuning.layers or _usual_layers(transformer, linear), linear)
    if tuning.last is None:
        return chosen
    prefixes, _ = _last_blocks(transformer, tuning.last)
    return [key for key in chosen if key.startswith(prefixes)]


def _usual_layers(transformer: Any, linear: Iterable[str]) -> list[str]:
    """Query and value, as peft knows them for this kind of transformer."""
    from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING

    kind = transformer.config.model_type
    known: Mapping[str, list[str]] = TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
    if kind not in known:
        raise InputError(
            f"no layers were named for a transformer of type {kind!r}",
            expected="some of " + ", ".join(sorted({key.rpartition(".")[2] for key in linear})),
            todo="give --layers, or tune__layers in Python",
        )
    return list(known[kind])


def _last_blocks(transformer: nn.Module, count: int) -> tuple[tuple[str, ...], list[nn.Module]]:
    """The last layers of a transformer, and what the names within them begin with."""
    for name, part in transformer.named_modules():
        if isinstance(part, nn.ModuleList) and name.rpartition(".")[2] in _BLOCKS and len(part):
            if len(part) < count:
                raise InputError(
                    f"the last {count} layers of an encoder were to be tuned, which has {len(part)}",
                    expected="no more than it has",
                )
            at = range(len(part) - count, len(part))
            return tuple(f"{name}.{index}." for index in at), [part[index] for index in at]
    raise InputError(
        f"a {type(transformer).__name__} has no list of layers to take the last {count} of",
        expected="names of layers",
        todo="give --layers instead of tune.last",
    )
