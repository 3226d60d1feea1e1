"""Compression of a model: which layers, what they read, and the layers that replace them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hybridqies.compression.methods import CircuitOptions, approximate, count_numbers, find_method
from hybridqies.errors import InputError
from hybridqies.factorised.layer import CompressedLinear, Forward, replace_module
from hybridqies.factorised.plain_layers import kind_of, weight_of
from hybridqies.layer_names import choose_layers, refuse_shared

Covariances = Mapping[str, Tensor]
OnLayer = Callable[[int, int], None]
"""Called with how many layers are done and how many there are."""


@dataclass(frozen=True)
class Compressed:
    """What was done to one layer."""

    name: str
    method: str
    parameters_before: int
    parameters: float
    error: float
    """‖W − M‖ / ‖W‖."""


def find_layers(model: nn.Module, patterns: str | Iterable[str]) -> dict[str, nn.Module]:
    """The linear layers that a pattern fits, by name and in the order of the model.

    They are `nn.Linear`, or `Conv1D` of transformers.

    See `hybridqies.layer_names.choose_layers` for patterns.

    Raises
    ------
    UnknownNameError: a pattern fits no linear layer; the nearest name is offered.
    InputError: the weight of a layer is also used elsewhere.
    """
    linear = {name: layer for name, layer in model.named_modules() if kind_of(layer)}
    chosen = choose_layers(patterns, linear, todo="or give a pattern such as '*.layers.3.*'")
    refuse_shared(model, chosen)
    return {name: linear[name] for name in chosen}


def compress(
    model: nn.Module,
    method: str,
    keep: float | Mapping[str, float],
    layers: str | Iterable[str],
    activations: Covariances | None = None,
    *,
    n_sites: int = 2,
    forward: Forward | None = None,
    seed: int = 0,
    circuits: CircuitOptions | None = None,
    on_layer: OnLayer | None = None,
) -> list[Compressed]:
    """Replaces the chosen layers of any torch model, in place.

    `keep` is the share of the parameters of each layer, or such shares by name: layers without one stay.
    `activations` are what `collect_covariances` found. `forward` is "factorised" or "rebuilt"; by default the
    faster one for the method. `circuits` are the options of `disentangled`.
    No layer is replaced unless all can be.

    Raises
    ------
    InputError: as `find_layers` and `hybridqies.compression.approximate` raise it.
    """
    row, found = find_method(method), find_layers(model, layers)
    shares = dict(keep) if isinstance(keep, Mapping) else dict.fromkeys(found, keep)
    chosen = {name: layer for name, layer in found.items() if name in shares}
    way: Forward = forward or ("rebuilt" if row.rebuilds else "factorised")
    new, records = {}, []
    for done, (name, layer) in enumerate(chosen.items(), 1):
        covariance = (activations or {}).get(name)
        weight = weight_of(layer)
        fitted = approximate(
            weight, method, shares[name], covariance, n_sites=n_sites, seed=seed, circuits=circuits
        )
        replacement = CompressedLinear.from_layer(layer, fitted, way)
        new[name] = replacement
        error = relative_error(replacement, weight)
        numbers = count_numbers(fitted, circuits.price if circuits else 1.0)
        records.append(Compressed(name, method, weight.numel(), numbers, error))
        if on_layer:
            on_layer(done, len(chosen))
    for name, replacement in new.items():
        replace_module(model, name, replacement)
    return records


def relative_error(layer: CompressedLinear, weight: Tensor) -> float:
    """‖W − M‖ / ‖W‖ of the matrix M of a layer and the weight W that it replaces."""
    before = weight.detach()
    return float((layer.matrix().detach() - before).norm() / before.norm().clamp_min(1e-30))


def restore(model: nn.Module, originals: Mapping[str, nn.Module]) -> None:
    """Puts layers back by their names."""
    for name, layer in originals.items():
        replace_module(model, name, layer)


def to_dense(model: nn.Module) -> None:
    """Replaces every compressed layer by a plain one with the same matrix, in place."""
    for name, layer in list(model.named_modules()):
        if isinstance(layer, CompressedLinear):
            replace_module(model, name, layer.to_plain())


def collect_covariances(
    model: nn.Module, layers: str | Iterable[str], batches: Iterable[Any], run: Callable[[Any], object]
) -> dict[str, Tensor]:
    """The mean of x xᵀ over what each layer reads, (columns, columns) in float64.

    `run` is called with each batch and applies the model to it; gradients are off.

    Raises
    ------
    InputError: as `find_layers` raises it, or a layer that read nothing.
    """
    found = find_layers(model, layers)
    with _watching(found) as (sums, counts), torch.no_grad():
        for batch in batches:
            run(batch)
    unused = [name for name in found if not counts.get(name)]
    if unused:
        raise InputError(
            f"layer {unused[0]!r} read nothing", expected="texts that pass through every chosen layer"
        )
    return {name: sums[name] / counts[name] for name in found}


@contextlib.contextmanager
def _watching(layers: Mapping[str, nn.Module]) -> Iterator[tuple[dict[str, Tensor], dict[str, int]]]:
    """Adds up x xᵀ and counts the rows while the context is open."""
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def read(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            rows = inputs[0].detach().reshape(-1, inputs[0].shape[-1]).double()
            sums[name] = sums.get(name, 0.0) + rows.mT @ rows
            counts[name] = counts.get(name, 0) + len(rows)

        return read

    hooks = [layer.register_forward_pre_hook(watch(name)) for name, layer in layers.items()]
    try:
        yield sums, counts
    finally:
        for hook in hooks:
            hook.remove()
