"""What the adapters share as models of peft: finding layers, and refusing what cannot be adapted."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer, _maybe_include_all_linear_layers
from peft.utils import (
    TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING,
    get_quantization_kwargs,
    resolve_quantization_backend,
)
from torch import nn
from transformers.pytorch_utils import Conv1D

from hybridqies.adapters.checkpoints import (
    check_adapter_name,
    check_fit,
    read_signs,
    warn_of_another_base,
)
from hybridqies.adapters.tuner_layer import AdapterLayer, widths
from hybridqies.errors import InputError, UnknownNameError
from hybridqies.layer_names import choose_layers, has_wildcards, refuse_shared


class AdapterModel(BaseTuner):
    """A model whose chosen linear layers carry adapters; the base of one class for each kind."""

    tuner_layer_cls: ClassVar[type[AdapterLayer]]
    target_module_mapping: ClassVar[Any] = TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING

    def _prepare_model(self, peft_config: Any, model: nn.Module) -> None:
        """Checks names and widths before any layer is replaced.

        Raises
        ------
        InputError: a name matches no layer, or a layer cannot carry such an adapter.
        """
        _maybe_include_all_linear_layers(peft_config, model)
        modules = {key: module for key, module in model.named_modules() if ".base_layer" not in key}
        peft_config.target_modules = _expand_names(peft_config.target_modules, modules)
        chosen = [key for key in modules if key and self._check_target_module_exists(peft_config, key)]
        linear = _linear_names(modules)
        if not chosen and isinstance(peft_config.target_modules, str):
            known = {key.rpartition(".")[2] for key in linear}
            todo = "or give an expression for whole names, such as '.*query'"
            raise UnknownNameError("layer", peft_config.target_modules, known, todo=todo)
        refuse_shared(model, set(chosen) & set(linear))
        for key in chosen:
            _refuse_uncalled(key, modules[key.rpartition(".")[0]])
            _check_layer(peft_config, key, modules[key])

    def _create_and_replace(
        self,
        peft_config: Any,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        **_: Any,
    ) -> None:
        del current_key
        if isinstance(target, self.tuner_layer_cls):
            target.update_layer(adapter_name, peft_config)
            return
        layer = self.tuner_layer_cls(
            target,
            adapter_name,
            peft_config,
            dense_dtype=self._number_type(),
            **get_quantization_kwargs(self),
        )
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)

    def inject_adapter(self, model: nn.Module, adapter_name: str, *args: Any, **options: Any) -> None:
        """As peft's; a name that would damage saved adapters is refused, see `check_adapter_name`."""
        check_adapter_name(adapter_name, model, self._stores())
        super().inject_adapter(model, adapter_name, *args, **options)

    @classmethod
    def _stores(cls) -> tuple[str, ...]:
        layer: type[AdapterLayer] = cls.tuner_layer_cls
        return (*layer.adapter_layer_names, *layer.other_param_names)

    @classmethod
    def _get_adapter_state_dict(cls, model: nn.Module, config: Any, adapter_name: str, **rest: Any) -> Any:
        """As peft's, which writes the configuration afterwards."""
        config.base_signs = read_signs(model, adapter_name)
        return super()._get_adapter_state_dict(model, config, adapter_name, **rest)

    @classmethod
    def _remap_adapter_state_dict_for_load(
        cls, model: nn.Module, config: Any, adapter_name: str, state_dict: Any
    ) -> Any:
        """As peft's, which loads what fits and leaves the rest: here everything has to fit."""
        state = super()._remap_adapter_state_dict_for_load(model, config, adapter_name, state_dict)
        check_fit(model, adapter_name, state, cls._stores())
        warn_of_another_base(config.base_signs, read_signs(model, adapter_name))
        return state

    def merge_and_unload(self, *args: Any, **options: Any) -> nn.Module:
        """As peft's. Layers that were quantised are dense, and are named in the model's configuration."""
        quantised = any(
            isinstance(module, AdapterLayer) and module.is_quantised for module in self.model.modules()
        )
        merged: nn.Module = super().merge_and_unload(*args, **options)
        config: Any = getattr(getattr(merged, "config", None), "quantization_config", None)
        if quantised and hasattr(config, "llm_int8_skip_modules"):
            # Otherwise the saved model could not be loaded: transformers would look for quantised weights.
            dense = [name for name, module in merged.named_modules() if type(module) is nn.Linear]
            config.llm_int8_skip_modules = dense
        return merged

    def _number_type(self) -> torch.dtype | None:
        """The type of the weights that are not quantised: None where there are none."""
        for name, module in self.model.named_modules():
            if self.prefix in name or resolve_quantization_backend(module) is not None:
                continue
            for each in module.parameters(recurse=False):
                if each.is_floating_point():
                    dtype: torch.dtype = each.dtype
                    return dtype
        return None


def _expand_names(targets: Any, modules: dict[str, nn.Module]) -> Any:
    """The names that peft is given: wildcards become whole names.

    Every name of a list has to match: peft itself takes a list of which one name does.
    """
    if isinstance(targets, str) or targets is None:
        return targets
    linear = _linear_names(modules)
    whole = {}
    for name in targets:
        chosen = choose_layers(name, linear, modules)
        whole.update(dict.fromkeys(chosen if has_wildcards(name) else [name]))
    return set(whole)


def _refuse_uncalled(key: str, parent: nn.Module) -> None:
    """Refuses a layer whose parent reads its weight without calling it: an adapter would have no effect."""
    fast = isinstance(parent, nn.TransformerEncoderLayer) and torch.backends.mha.get_fastpath_enabled()
    if fast or isinstance(parent, nn.MultiheadAttention):
        raise InputError(
            f"layer {key!r} cannot be adapted: {type(parent).__name__} reads its weight without calling it",
            expected="a layer that is called",
            todo="call torch.backends.mha.set_fastpath_enabled(False) before"
            if fast
            else "leave this layer out",
        )


def _check_layer(config: Any, key: str, module: nn.Module) -> None:
    base = module.get_base_layer() if isinstance(module, BaseTunerLayer) else module
    try:
        config.check_widths(*widths(base))
    except InputError as error:
        raise InputError(f"layer {key!r} cannot be adapted: {error}") from None


def _linear_names(modules: dict[str, nn.Module]) -> list[str]:
    kinds = nn.Linear | Conv1D | BaseTunerLayer
    return [key for key, each in modules.items() if isinstance(each, kinds) or hasattr(each, "in_features")]
