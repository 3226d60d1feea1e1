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

from hybridqies.adapters.tuner_layer import AdapterLayer, widths
from hybridqies.errors import InputError
from hybridqies.layer_names import choose_layers, has_wildcards


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
        for key, module in modules.items():
            if key and self._check_target_module_exists(peft_config, key):
                _check_layer(peft_config, key, module)

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
    linear = [key for key, module in modules.items() if _is_linear(module)]
    whole = {}
    for name in targets:
        chosen = choose_layers(name, linear, modules)
        whole.update(dict.fromkeys(chosen if has_wildcards(name) else [name]))
    return set(whole)


def _check_layer(config: Any, key: str, module: nn.Module) -> None:
    base = module.get_base_layer() if isinstance(module, BaseTunerLayer) else module
    try:
        config.check_widths(*widths(base))
    except InputError as error:
        raise InputError(f"layer {key!r} cannot be adapted: {error}") from None


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | Conv1D | BaseTunerLayer) or hasattr(module, "in_features")
