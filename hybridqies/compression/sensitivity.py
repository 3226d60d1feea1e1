"""What each layer costs when it alone is compressed, and a plan that leaves the costly ones as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from torch import nn

from hybridqies.compression.methods import CircuitOptions
from hybridqies.compression.model import Covariances, OnLayer, compress, find_layers, restore
from hybridqies.compression.perplexity import Interval
from hybridqies.errors import InputError


@dataclass(frozen=True)
class Sensitivity:
    """What was measured with one layer, or all layers of one type, compressed."""

    name: str
    n_layers: int
    measured: Interval


def profile(
    model: nn.Module,
    method: str,
    keep: float,
    layers: str | Iterable[str],
    measure: Callable[[], Interval],
    activations: Covariances | None = None,
    *,
    n_sites: int = 2,
    circuits: CircuitOptions | None = None,
    on_layer: OnLayer | None = None,
) -> tuple[list[Sensitivity], list[Sensitivity]]:
    """Each layer alone, then all layers of each type together; a type is the last part of a layer's name.

    `measure` is called with the model in each of these states. Each layer is fitted once.
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
    compress(model, method, keep, found, activations, n_sites=n_sites, forward="rebuilt", circuits=circuits)
    fitted = {name: model.get_submodule(name) for name in found}
    restore(model, found)
    measured = []
    for done, (label, names) in enumerate(groups, 1):
        restore(model, {name: fitted[name] for name in names})
        try:
            measured.append(Sensitivity(label, len(names), measure()))
        finally:
            restore(model, {name: found[name] for name in names})
        if on_layer:
            on_layer(done, len(groups))
    return measured[: len(found)], measured[len(found) :]


def spare_sensitive(
    costs: Mapping[str, float], sizes: Mapping[str, int], keep: float, spare: float
) -> dict[str, float]:
    """The share to keep of each layer that is compressed; the most sensitive ones are left out.

    `costs` is what compressing each layer alone costs, such as the logarithm of a ratio of perplexities.
    Layers are left as they are in the order of their cost for each parameter, while they hold at most the
    share `spare` of the parameters. The others are compressed further, so that `keep` holds for all together.

    Raises
    ------
    InputError: `spare` is not in [0, keep), so that nothing would be left for the others.
    """
    if not 0 <= spare < keep:
        raise InputError(f"spare was given as {spare}", expected=f"at least 0 and less than keep, {keep}")
    total, spared = sum(sizes[name] for name in costs), 0
    left = sorted(costs, key=lambda name: costs[name] / sizes[name], reverse=True)
    while left and spared + sizes[left[0]] <= spare * total:
        spared += sizes[left.pop(0)]
    share = (keep * total - spared) / (total - spared)
    return {name: share for name in costs if name in left}
