"""What each layer costs when it alone is compressed, and a plan that leaves the costly ones as they are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from hybridqies.compression.methods import CircuitOptions
from hybridqies.compression.model import Covariances, OnLayer, compress, find_layers, restore
from hybridqies.compression.perplexity import Interval, Perplexity, measure_perplexity
from hybridqies.errors import InputError


@dataclass(frozen=True)
class Sensitivity:
    """Perplexity with one layer, or all layers of one type, compressed, over that of the whole model."""

    name: str
    n_layers: int
    ratio: Interval


def profile(
    model: nn.Module,
    method: str,
    keep: float,
    layers: str | Iterable[str],
    windows: Tensor,
    untouched: Perplexity,
    activations: Covariances | None = None,
    *,
    n_sites: int = 2,
    circuits: CircuitOptions | None = None,
    on_layer: OnLayer | None = None,
) -> tuple[list[Sensitivity], list[Sensitivity]]:
    """Each layer alone, then all layers of each type together; a type is the last part of a layer's name.

    The model is the same afterwards.

    Raises
    ------
    InputError: as `compress` raises it.
    """
    found = find_layers(model, layers)
    kinds: dict[str, list[str]] = {}
    for name in found:
        kinds.setdefault(name.rpartition(".")[2], []).append(name)
    groups = [(name, [name]) for name in found] + list(kinds.items())
    measured = []
    for done, (label, names) in enumerate(groups, 1):
        compress(
            model, method, keep, names, activations, n_sites=n_sites, forward="rebuilt", circuits=circuits
        )
        try:
            ratio = measure_perplexity(model, windows).ratio_to(untouched)
        finally:
            restore(model, {name: found[name] for name in names})
        measured.append(Sensitivity(label, len(names), ratio))
        if on_layer:
            on_layer(done, len(groups))
    return measured[: len(found)], measured[len(found) :]


def spare_sensitive(
    sensitivities: Iterable[Sensitivity], sizes: Mapping[str, int], keep: float, spare: float
) -> dict[str, float]:
    """The share to keep of each layer that is compressed; the most sensitive ones are left out.

    Layers are left as they are in the order of their loss for each parameter, while they hold at most the
    share `spare` of the parameters. The others are compressed further, so that `keep` holds for all together.

    Raises
    ------
    InputError: `spare` is not in [0, keep), so that nothing would be left for the others.
    """
    if not 0 <= spare < keep:
        raise InputError(f"spare was given as {spare}", expected=f"at least 0 and less than keep, {keep}")
    costs = {each.name: math.log(each.ratio.value) / sizes[each.name] for each in sensitivities}
    total, spared = sum(sizes[name] for name in costs), 0
    left = sorted(costs, key=lambda name: costs[name], reverse=True)
    while left and spared + sizes[left[0]] <= spare * total:
        spared += sizes[left.pop(0)]
    share = (keep * total - spared) / (total - spared)
    return {name: share for name in costs if name in left}
