"""What is checked when adapters are named, saved and loaded."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from hybridqies.adapters.tuner_layer import AdapterLayer
from hybridqies.errors import InputError

_SIGNS = 64
"""Numbers of a weight whose signs tell it from others."""

_MOST_DIFFERENT = 16
"""Signs that rounding, merging or training may have changed; of another weight about half differ."""

_PARTS = ("base_model", "model", "base_layer", "modules_to_save", "original_module", "weight", "bias")
"""Parts of keys that peft makes."""


def check_adapter_name(name: str, model: nn.Module, stores: Iterable[str]) -> None:
    """Refuses a name that would damage saved adapters; `stores` are the attributes that hold their tensors.

    peft looks for names of adapters between the dots of keys. One that is also the name of a layer
    takes the layer's numbers out of the files of all other adapters.

    Raises
    ------
    InputError: the name is empty, has a dot or a slash, or is part of a key already.
    """
    todo = "give another name, such as 'default'"
    if not name or not name.isprintable() or any(sign in name for sign in "./\\"):
        raise InputError(
            f"an adapter was to be called {name!r}",
            expected="a name of printable characters without dots and slashes",
            todo=todo,
        )
    named = [*model.named_parameters(), *model.named_buffers()]
    taken = {part for key, _ in named if not _is_under(key, stores) for part in key.split(".")}
    if name.isdecimal() or name in {*taken, *_PARTS, *stores} or hasattr(nn.ModuleDict(), name):
        raise InputError(
            f"an adapter was to be called {name!r}",
            expected="a name that no layer of the model has, and no attribute of torch's modules",
            todo=todo,
        )


def check_fit(
    model: nn.Module, adapter_name: str, given: Mapping[str, Tensor], stores: Iterable[str]
) -> None:
    """Refuses tensors that are not those of an adapter of this model, which has one of that name.

    Raises
    ------
    InputError: naming the first tensor that is missing, has no layer, or has another shape.
    """
    state = {key: each for key, each in model.state_dict().items() if _is_under(key, stores)}
    own = {key: each for key, each in state.items() if adapter_name in key.split(".")}
    for key in sorted({key for key in given if _is_under(key, stores)} | own.keys()):
        if key not in own or key not in given:
            where = "which this model lacks" if key in given else "which has one here"
            raise _other_model(f"has {'a' if key in given else 'no'} tensor for {_short(key)!r}, {where}")
        saved, here = tuple(given[key].shape), tuple(own[key].shape)
        if saved != here:
            raise _other_model(f"has shape {saved} at {_short(key)!r}, which is {here} here")


def read_signs(model: nn.Module, adapter_name: str) -> str | None:
    """Signs of the first 64 numbers of the first weight that has the adapter, in hexadecimal digits.

    They are the same in every type of numbers. None where the weight is quantised or not there.
    """
    for module in model.modules():
        if isinstance(module, AdapterLayer) and module.has(adapter_name):
            weight = module.get_base_layer().weight
            if module.is_quantised or not isinstance(weight, Tensor) or weight.is_meta:
                return None
            bits = "".join("1" if each else "0" for each in (weight.detach().flatten()[:_SIGNS] < 0).tolist())
            return f"{int(bits, 2):0{_SIGNS // 4}x}"
    return None


def warn_of_another_base(saved: str | None, own: str | None) -> None:
    """Warns where an adapter was saved beside other weights: `saved` and `own` are what `read_signs` gave."""
    if (
        saved is not None
        and own is not None
        and (int(saved, 16) ^ int(own, 16)).bit_count() > _MOST_DIFFERENT
    ):
        warnings.warn(
            "the adapter was saved beside other weights than those of this model: load it into the model "
            "that it was trained on",
            stacklevel=2,
        )


def _other_model(why: str) -> InputError:
    return InputError(
        f"the adapter {why}",
        expected="an adapter of this model",
        todo="load it into the one it was trained on",
    )


def _is_under(key: str, stores: Iterable[str]) -> bool:
    return not set(stores).isdisjoint(key.split("."))


def _short(key: str) -> str:
    return key.removeprefix("base_model.model.")
