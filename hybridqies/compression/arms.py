"""Arms of a report: the untouched model, the method, and every control at the same layers and shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from hybridqies.compression.methods import METHODS
from hybridqies.compression.model import relative_error, restore
from hybridqies.factorised.layer import CompressedLinear, Gates
from hybridqies.factorised.plain_layers import weight_of

REPORT = "compression.json"
CONTROLS = ("svd", "wsvd", "zero", "gaussian")
OnStep = Callable[[str, int, int], None]
"""Called with a stage, how many of its steps are done and how many there are."""


@dataclass(frozen=True, eq=False)
class Bench:
    """What every arm is measured with.

    `apply` compresses the chosen layers by the method of that name; `measure` gives JSON values of the model
    as it is then. `price` is what an angle of a circuit counts as.
    """

    model: Any
    originals: Mapping[str, nn.Module]
    apply: Callable[[str], object]
    measure: Callable[[], Mapping[str, Any]]
    price: float = 1.0


def measure_arms(
    bench: Bench, method: str, untouched: Mapping[str, Any], tell: OnStep
) -> list[dict[str, Any]]:
    """The untouched model, the method and the controls; the model is left compressed by the method."""
    arms = [describe_arm(bench, "untouched", "the model as it was", untouched)]
    names = dict.fromkeys((method, *CONTROLS))
    chosen: dict[str, nn.Module] = {}
    for done, name in enumerate(names, 1):
        bench.apply(name)
        try:
            arms.append(describe_arm(bench, name, METHODS[name].meaning, bench.measure()))
            if name == method:
                chosen = {each: bench.model.get_submodule(each) for each in bench.originals}
        finally:
            restore(bench.model, bench.originals)
        tell("measuring", done, len(names))
    restore(bench.model, chosen)
    return arms


def describe_arm(bench: Bench, arm: str, meaning: str, measured: Mapping[str, Any]) -> dict[str, Any]:
    """The row of the model as it is now."""
    layers = {name: bench.model.get_submodule(name) for name in bench.originals}
    compressed = {name: layer for name, layer in layers.items() if isinstance(layer, CompressedLinear)}
    errors = [relative_error(layer, weight_of(bench.originals[name])) for name, layer in compressed.items()]
    n_angles = sum(layer.n_angles for layer in compressed.values())
    angles = bench.price * n_angles if n_angles else 0
    gates = [side.gates.nbytes for side in bench.model.modules() if isinstance(side, Gates)]
    biases = [_count(layer) - weight_of(layer).numel() for layer in bench.originals.values()]
    return {
        "arm": arm,
        "meaning": meaning,
        "parameters": _count(bench.model) + angles,
        "layer_parameters": sum(map(_count, layers.values())) - sum(biases) + angles,
        "weight_error": sum(errors) / max(len(errors), 1),
        "bytes": sum(each.nbytes for each in bench.model.parameters()) + sum(gates),
        **measured,
    }


def _count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
