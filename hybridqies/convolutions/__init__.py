"""Convolutions as chains of smaller ones: Tucker, CP, matrix products and cuts of the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridqies.convolutions.registry import METHODS, find_method
from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.convolutions.base import KernelShape, Method
    from hybridqies.convolutions.compress import CompressedConvolution, compress_convolutions
    from hybridqies.convolutions.layer import FactorisedConv2d, factorise

__all__ = [
    "METHODS",
    "CompressedConvolution",
    "FactorisedConv2d",
    "KernelShape",
    "Method",
    "compress_convolutions",
    "factorise",
    "find_method",
]

# The layers need torch, which the names of methods do not.
__getattr__, __dir__ = import_lazily("hybridqies.convolutions", __all__, ["base", "layer", "compress"])
