"""Compression of a whole model's convolutions, in place."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from hybridqies.convolutions.base import Method, Ranks
from hybridqies.convolutions.layer import FactorisedConv2d, check_fit, factorise, shape_of
from hybridqies.convolutions.registry import find_method
from hybridqies.errors import InputError


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
    model: nn.Module, method: str = "tucker", keep: float = 0.5, layers: Sequence[str] | None = None
) -> list[CompressedConvolution]:
    """Replaces convolutions of `model` by chains that have at most `keep` of their parameters, in place.

    `layers` are names of modules, last parts of names ("conv2" for "layer1.0.conv2"), or patterns with
    * and ?; without them every convolution is replaced. Either all are replaced or, after an error, none.

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


def _choose(model: nn.Module, layers: Sequence[str] | None) -> dict[str, nn.Module]:
    """The modules to replace; a module that has several names is there under each of them."""
    modules = {name: module for name, module in model.named_modules(remove_duplicate=False) if name}
    convolutions: dict[str, nn.Module] = {
        name: each for name, each in modules.items() if isinstance(each, nn.Conv2d)
    }
    if not convolutions:
        raise InputError(f"{type(model).__name__} has no nn.Conv2d in it", expected="at least one")
    if layers is None:
        return convolutions
    if isinstance(layers, str) or not layers:
        raise InputError(f"layers were given as {layers!r}", expected="a list of names or patterns")
    named = {}
    for pattern in layers:
        matched = [name for name in convolutions if _matches(name, pattern)]
        if pattern in modules:
            matched = [pattern]
        if not matched:
            raise _unmatched(pattern, list(convolutions))
        named.update({name: modules[name] for name in matched})
    # A module that is shared is replaced under all of its names, or it would be two.
    shared = set(named.values())
    return {name: module for name, module in modules.items() if module in shared}


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) or name.endswith(f".{pattern}")


def _unmatched(pattern: str, names: list[str]) -> InputError:
    close = difflib.get_close_matches(pattern, names, n=3, cutoff=0)
    return InputError(
        f"no convolution is called {pattern!r}",
        expected=f"one of the {len(names)}, such as {', '.join(map(repr, close))}",
    )


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
        parameters_before=shape.size,
        parameters=find_method(chain.method).count(shape, chain.ranks),
        kept_energy=1 - lost,
    )
