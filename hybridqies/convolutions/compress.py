"""Compression of a whole model's convolutions, in place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from hybridqies.convolutions.base import Method, Ranks
from hybridqies.convolutions.layer import FactorisedConv2d, check_fit, factorise, shape_of
from hybridqies.convolutions.registry import find_method
from hybridqies.errors import InputError
from hybridqies.layer_names import choose_layers


@dataclass(frozen=True, slots=True)
class CompressedConvolution:
    """What became of one layer; its parameters are those of the kernel, without the bias.

    `kept_energy` is 1 − ‖K − K'‖² / ‖K‖² for the kernel K and the chain's kernel K'.
    """

    layer: str
    method: str
    ranks: Ranks
    parameters_before: int
    parameters: int
    kept_energy: float

    def to_mapping(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def compress_convolutions(
    model: nn.Module, method: str = "tucker", keep: float = 0.5, layers: str | Iterable[str] | None = None
) -> list[CompressedConvolution]:
    """Replaces convolutions of `model` by chains that have at most `keep` of their parameters, in place.

    `layers` are names or patterns, as `hybridqies.layer_names.choose_layers` reads them; without them every
    convolution is replaced. Either all are replaced or, after an error, none.

    Raises
    ------
    InputError: a name that matches nothing, a layer that a chain cannot replace, an unknown method, or a
        share that leaves too few parameters for the method.
    MissingExtraError: tensorly is not installed and the method needs it.
    """
    found = find_method(method)
    if not 0 < keep <= 1:
        raise InputError(f"keep was given as {keep}", expected="a share above 0 and at most 1")
    chosen = _choose(model, layers)
    for name, module in chosen.items():
        check_fit(module, name)
    made: dict[nn.Module, FactorisedConv2d] = {}
    reports = []
    for name, module in chosen.items():
        assert isinstance(module, nn.Conv2d)
        if module not in made:
            ranks = _ranks_within(name, module, found, keep)
            made[module] = factorise(module, method, ranks)
            reports.append(_report(name, module, made[module]))
    for name, module in chosen.items():
        model.set_submodule(name, made[module])
    return reports


def _choose(model: nn.Module, layers: str | Iterable[str] | None) -> dict[str, nn.Module]:
    """The modules to replace; a module that has several names is there under each of them."""
    modules = {name: module for name, module in model.named_modules(remove_duplicate=False) if name}
    convolutions: dict[str, nn.Module] = {
        name: each for name, each in modules.items() if isinstance(each, nn.Conv2d)
    }
    if not convolutions:
        raise InputError(f"{type(model).__name__} has no nn.Conv2d in it", expected="at least one")
    if layers is None:
        return convolutions
    names = choose_layers(layers, convolutions, modules)
    # A module that is shared is replaced under all of its names, or it would be two.
    shared = {modules[name] for name in names}
    return {name: module for name, module in modules.items() if module in shared}


def _ranks_within(name: str, conv: nn.Conv2d, method: Method, keep: float) -> Ranks:
    shape = shape_of(conv)
    try:
        return method.ranks_within(shape, keep * shape.size)
    except InputError as error:
        raise InputError(f"layer {name!r}: {error}") from None


def _report(name: str, conv: nn.Conv2d, chain: FactorisedConv2d) -> CompressedConvolution:
    before, after = conv.weight.detach().double(), chain.kernel().detach().double()
    lost = float(torch.sum((before - after) ** 2) / torch.sum(before**2))
    shape = shape_of(conv)
    return CompressedConvolution(
        layer=name,
        method=chain.method,
        ranks=chain.ranks,
        parameters_before=conv.groups * shape.size,
        parameters=conv.groups * find_method(chain.method).count(shape, chain.ranks),
        kept_energy=1 - lost,
    )
