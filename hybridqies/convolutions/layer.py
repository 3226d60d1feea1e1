"""A convolution as a chain of smaller ones, made from an ordinary one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hybridqies.convolutions.base import Array, KernelShape, Method, Ranks
from hybridqies.convolutions.registry import find_method
from hybridqies.errors import InputError


class FactorisedConv2d(nn.Sequential):
    """A chain of convolutions in place of one: (B, I, H, W) to (B, O, H', W').

    It has the stride, padding, dilation, groups and bias of the one it replaces. `factorise` makes it.
    """

    def __init__(self, factors: Sequence[nn.Conv2d], method: str, ranks: Ranks, groups: int = 1) -> None:
        super().__init__(*factors)
        self.method, self.ranks, self.groups = method, ranks, groups

    def kernel(self) -> Tensor:
        """The kernel (O, I / groups, H, W) that the chain amounts to."""
        wholes: list[Tensor] = []
        for factor in self:
            assert isinstance(factor, nn.Conv2d)
            parts = factor.weight.chunk(self.groups)
            wholes = [_join(*each) for each in zip(wholes, parts, strict=True)] if wholes else list(parts)
        return torch.cat(wholes)

    def extra_repr(self) -> str:
        """The method, its ranks, and groups."""
        return f"{self.method}, ranks {self.ranks}" + (f", groups {self.groups}" if self.groups > 1 else "")


def factorise(conv: nn.Conv2d, method: str, ranks: Sequence[int]) -> FactorisedConv2d:
    """The chain of that method and those ranks nearest to `conv`, with its dtype, device and bias.

    Each group of a grouped convolution has a kernel and gets those ranks.
    Decomposed in float64. The chain trains where `conv` did.

    Raises
    ------
    InputError: an unknown method, ranks that it does not have for this kernel, or a convolution that is no
        such chain.
    MissingExtraError: tensorly is not installed and the method needs it.
    """
    check_fit(conv)
    found, given = find_method(method), tuple(map(int, ranks))
    found.check_ranks(shape_of(conv), given)
    kernels: list[Array] = [
        each.numpy() for each in conv.weight.detach().to("cpu", torch.float64).chunk(conv.groups)
    ]
    chains = [found.factor(kernel, given) for kernel in kernels]
    factors = [torch.from_numpy(np.concatenate(parts)) for parts in zip(*chains, strict=True)]
    chain = _chain(conv, found, factors)
    return FactorisedConv2d(chain, method, given, conv.groups).train(conv.training)


def shape_of(conv: nn.Conv2d) -> KernelShape:
    """The sizes of its kernel, or of that of one group."""
    channels, *rest = conv.weight.shape
    return KernelShape(channels // conv.groups, *rest)


def check_fit(conv: nn.Module, name: str = "") -> None:
    """Refuses a module that a chain cannot replace; `name` is what the message calls it.

    Raises
    ------
    InputError: no plain `nn.Conv2d`, with hooks, or a kernel that is empty, zero or not finite.
    """
    problem = _misfit(conv)
    if problem:
        raise InputError(
            f"layer {name!r} {problem}" if name else f"the layer {problem}",
            expected="a plain nn.Conv2d",
            todo="leave it out of the layers",
        )


def _misfit(conv: nn.Module) -> str:
    if type(conv) is not nn.Conv2d:
        return f"is {type(conv).__name__}"
    if conv._forward_hooks or conv._forward_pre_hooks or conv._backward_hooks:
        return "has hooks, which would be lost"
    weight = conv.weight.detach()
    if weight.is_meta or not weight.is_floating_point():
        return f"has weights of {weight.dtype} on {weight.device}"
    if not bool(weight.isfinite().all()):
        return "has NaN or infinite weights"
    whole = weight.reshape(conv.groups, -1).any(dim=1)
    return "" if bool(whole.all()) else "has a kernel of zeros"


def _chain(conv: nn.Conv2d, method: Method, factors: Sequence[Tensor]) -> list[nn.Conv2d]:
    """One convolution for each factor; each axis is strided, padded and dilated by its carrier."""
    channels, chain = conv.in_channels, []
    for at, factor in enumerate(factors):
        high, wide = at == method.carriers.height, at == method.carriers.width
        # Not the constructor itself: it would draw starting values from the global generator.
        part: Any = nn.utils.skip_init(
            nn.Conv2d,
            channels,
            factor.shape[0],
            (factor.shape[2], factor.shape[3]),
            groups=channels // factor.shape[1],
            stride=_along(conv.stride, high, wide, 1),
            dilation=_along(conv.dilation, high, wide, 1),
            padding=conv.padding if isinstance(conv.padding, str) else _along(conv.padding, high, wide, 0),
            padding_mode=conv.padding_mode,
            bias=conv.bias is not None and at == len(factors) - 1,
            dtype=conv.weight.dtype,
            device=conv.weight.device,
        )
        part.weight.data.copy_(factor)
        part.weight.requires_grad_(conv.weight.requires_grad)
        if part.bias is not None:
            assert conv.bias is not None
            part.bias.data.copy_(conv.bias.detach())
            part.bias.requires_grad_(conv.bias.requires_grad)
        channels = factor.shape[0]
        chain.append(part)
    return chain


def _along(pair: tuple[int, ...], high: bool, wide: bool, neutral: int) -> tuple[int, int]:
    return pair[0] if high else neutral, pair[1] if wide else neutral


def _join(first: Tensor, second: Tensor) -> Tensor:
    """The kernel of `second` after `first`; along each axis one of the two has size 1.

    Where `second` has one channel in for each of several, it acts on every channel alone.
    """
    if second.shape[1] == first.shape[0]:
        joined = torch.einsum("ocab,cide->oiadbe", second, first)
    else:
        joined = torch.einsum("cab,cide->ciadbe", second[:, 0], first)
    o, i, a, d, b, e = joined.shape
    return joined.reshape(o, i, a * d, b * e)
