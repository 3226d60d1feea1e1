"""What the adapters share as layers of peft: merging, switching off, and types of numbers."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer, check_adapters_to_merge
from peft.utils import quantization_extra_repr, resolve_quantization_backend
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from hybridqies.errors import InputError
from hybridqies.roles import Role


class AdapterLayer(nn.Module, BaseTunerLayer):
    """A linear layer and the adapters beside it, by name.

    A subclass keeps its tensors in `ModuleDict`s of `ParameterList`s, names them in `adapter_layer_names`
    and `other_param_names`, and says what an adapter does to the output and to the weight.
    """

    # What peft's base class has.
    adapter_layer_names: tuple[str, ...]
    other_param_names: tuple[str, ...]
    active_adapters: list[str]
    get_base_layer: Callable[[], nn.Module]
    get_base_weight: Callable[[], Tensor]
    set_base_weight: Callable[[Tensor], None]
    set_adapter: Callable[..., None]
    _cast_input_dtype: Callable[[Tensor, torch.dtype], Tensor]
    _move_adapter_to_device_of_base_layer: Callable[[str], None]

    def __init__(
        self,
        base_layer: nn.Module,
        adapter_name: str,
        config: Any,
        *,
        dense_dtype: torch.dtype | None = None,
        **quantization: Any,
    ) -> None:
        """`dense_dtype` is the type of the weights that a quantised layer has once an adapter is merged."""
        super().__init__()
        self.base_layer = base_layer
        self.quantization_backend = resolve_quantization_backend(self.get_base_layer(), **quantization)
        self._dense_dtype = dense_dtype
        # The quantised layer and its backend, while a dense copy holds merged adapters.
        self._set_aside: tuple[nn.Module, Any] | None = None
        self.merged_adapters: list[str] = []
        self.cast_input_dtype_enabled = True
        self.in_features, self.out_features = widths(self.get_base_layer())
        self._make_stores()
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, config)

    @abc.abstractmethod
    def _make_stores(self) -> None:
        """Makes the empty dictionaries that adapters are kept in."""

    @abc.abstractmethod
    def _add_adapter(self, adapter_name: str, config: Any) -> None:
        """Makes the tensors of an adapter."""

    @abc.abstractmethod
    def _adapt(self, adapter_name: str, inputs: Tensor, outputs: Tensor) -> Tensor:
        """The outputs (…, out) with an adapter's effect, from inputs (…, in)."""

    @abc.abstractmethod
    def _merged_weight(self, adapter_name: str, weight: Tensor) -> Tensor:
        """The weight (out, in) with an adapter in it."""

    @abc.abstractmethod
    def _unmerged_weight(self, adapter_name: str, weight: Tensor) -> Tensor:
        """The weight (out, in) that `_merged_weight` was given."""

    @property
    def roles(self) -> Mapping[str, Role]:
        """What the parameters are for: see `hybridqies.roles`."""
        return dict.fromkeys(self.adapter_layer_names, Role.ADAPTER)

    def update_layer(self, adapter_name: str, config: Any) -> None:
        """Adds an adapter; the layer's active ones stay active."""
        self._add_adapter(adapter_name, config)
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    @property
    def is_quantised(self) -> bool:
        """Whether the base layer is quantised, or was before an adapter was merged."""
        return self.quantization_backend is not None or self._set_aside is not None

    def has(self, adapter_name: str) -> bool:
        """Whether this layer has an adapter of that name."""
        return adapter_name in getattr(self, self.adapter_layer_names[0])

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The base layer's output with the effect of the active adapters, in its own type."""
        if self.disable_adapters and self.merged:
            self.unmerge()
        result: Tensor = self.base_layer(x, *args, **kwargs)
        if self.disable_adapters or self.merged:
            return result
        dtype = result.dtype
        if self.quantization_backend is not None:
            result = self.quantization_backend.maybe_clone_base_result(result)
        for name in self.active_adapters:
            if self.has(name):
                result = self._adapt(name, x, result)
        return result.to(dtype)

    @torch.no_grad()
    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Puts adapters into the base layer's weight, the active ones by default.

        A quantised layer is replaced by a dense copy: quantising the merged weight again would change the
        outputs by as much as the adapter does.

        Raises
        ------
        InputError: the weight is quantised in a way that cannot be read, or, with `safe_merge`,
            the merged weight is not finite; the layer is then as it was.
        """
        for name in check_adapters_to_merge(self, adapter_names):
            if self.has(name):
                merged = self._merged_weight(name, self._read_weight(name))
                if safe_merge and not bool(merged.isfinite().all()):
                    raise InputError(
                        f"adapter {name!r} makes weights that are NaN or infinite", expected="finite ones"
                    )
                self._write_weight(merged)
                self.merged_adapters.append(name)

    @torch.no_grad()
    def unmerge(self) -> None:
        """Takes the merged adapters out of the base layer's weight, the last one first.

        A quantised layer is put back as it was.
        """
        if self._set_aside is not None:
            device = self.get_base_weight().device
            quantised, self.quantization_backend = self._set_aside
            self.base_layer, self._set_aside = quantised.to(device), None
            self.merged_adapters.clear()
        while self.merged_adapters:
            name = self.merged_adapters.pop()
            if self.has(name):
                self._write_weight(self._unmerged_weight(name, self._read_weight(name)))

    def get_delta_weight(self, adapter_name: str) -> Tensor:
        """What merging an adapter adds to the base layer's weight, in that weight's shape."""
        weight = self._read_weight(adapter_name)
        return self._stored(self._merged_weight(adapter_name, weight) - weight)

    def extra_repr(self) -> str:
        """How the base layer is quantised."""
        return str(quantization_extra_repr(self))

    def _read_weight(self, adapter_name: str) -> Tensor:
        """The base weight (out, in), in a type that holds the adapter's numbers, too."""
        if self.quantization_backend is not None and not self.quantization_backend.supports_merge:
            raise InputError(
                f"a layer is quantised by {self.quantization_backend.backend_name}",
                expected="one whose weight can be read, to merge an adapter",
                todo="keep the adapter beside it, or merge into a model that is not quantised",
            )
        if self.quantization_backend is not None:
            # On a CPU, evaluation may pack 4-bit weights in an order that cannot be read; this unpacks them.
            self.get_base_layer().state_dict()
        weight = self._stored(self.get_base_weight().detach())
        own = next(getattr(self, self.adapter_layer_names[0])[adapter_name].parameters())
        return weight.to(torch.promote_types(weight.dtype, own.dtype))

    def _write_weight(self, weight: Tensor) -> None:
        if self.quantization_backend is not None:
            self._set_aside = self.base_layer, self.quantization_backend
            self.base_layer = _make_linear(weight, getattr(self.base_layer, "bias", None), self._dense_dtype)
            self.quantization_backend = None
            return
        dtype = self.get_base_weight().dtype
        self.set_base_weight(self._stored(weight).to(dtype).contiguous())

    def _stored(self, weight: Tensor) -> Tensor:
        """A weight (out, in) as the base layer stores it, and back: `Conv1D` has it transposed."""
        return weight.T if isinstance(self.get_base_layer(), Conv1D) else weight


def _make_linear(weight: Tensor, bias: Tensor | None, dtype: torch.dtype | None) -> nn.Linear:
    """A frozen layer with such a weight (out, in) and bias (out,)."""
    out_width, in_width = weight.shape
    # Not the constructor itself: it would draw starting values from the global generator.
    layer: nn.Linear = nn.utils.skip_init(
        nn.Linear,
        in_width,
        out_width,
        bias=bias is not None,
        dtype=dtype or weight.dtype,
        device=weight.device,
    )
    layer.weight.data.copy_(weight)
    if bias is not None:
        layer.bias.data.copy_(bias)
    return layer.requires_grad_(False)


def widths(layer: nn.Module) -> tuple[int, int]:
    """The widths of a linear layer's inputs and outputs.

    Raises
    ------
    InputError: the layer is not linear.
    """
    if isinstance(layer, Conv1D):
        return layer.weight.shape[0], layer.weight.shape[1]
    if isinstance(layer, nn.Linear) or resolve_quantization_backend(layer) is not None:
        return int(layer.in_features), int(layer.out_features)  # type: ignore[arg-type]
    raise InputError(
        f"a {type(layer).__name__} was to get an adapter", expected="a linear layer, quantised or not"
    )
