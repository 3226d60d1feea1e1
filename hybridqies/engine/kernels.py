"""The table of devices: which kernels run a plan on which kind of device.

A further device is a module that satisfies `Kernels` and one row in `KERNELS`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

from torch import Tensor

from hybridqies.engine.plan import Plan
from hybridqies.errors import InputError


class Kernels(Protocol):
    """Functions that run plans on one kind of device; a module that has them will do.

    Each module decides what its `forward` keeps for its `backward`; it may be used once.
    """

    def forward(
        self, plan: Plan, features: Tensor, weights: Tensor, amplitudes: Tensor | None, *, keep: bool
    ) -> tuple[Tensor, Any | None]:
        """Expectations (B, M) and, with `keep`, what `backward` needs."""

    def backward(
        self, kept: Any, gradients: Tensor, *, wants_amplitudes: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Gradients of a loss for features, weights and amplitudes, from those for ⟨P⟩ (B, M)."""

    def final_states(
        self, plan: Plan, features: Tensor, weights: Tensor, amplitudes: Tensor | None, places: Tensor
    ) -> Tensor:
        """Final states (B, 2**n), where basis state x is the amplitude stored at places[x] (on the CPU)."""

    def count_states(self, plan: Plan, batch: int, itemsize: int) -> int:
        """The largest number of states in memory at a time in a forward and backward pass."""

    def all_finite(self, features: Tensor, weights: Tensor) -> bool:
        """Whether inputs hold neither NaN nor infinity."""


def _load_cpu() -> Kernels:
    # These kernels import Numba, which is only needed on the CPU.
    from hybridqies.engine import cpu_kernels

    return cpu_kernels


def _load_torch() -> Kernels:
    from hybridqies.engine import torch_kernels

    return torch_kernels


def _load_cuda() -> Kernels:
    import torch

    from hybridqies.engine.cuda import CudaKernels, is_compiler_installed

    if torch.version.cuda is None:
        # Torch calls AMD's GPUs "cuda", too.
        return _load_torch()
    if not is_compiler_installed():
        warnings.warn(
            "circuits on a CUDA device run on torch's operations, which is many times slower than the "
            "compiled kernels; install those with: pip install 'hybridqies[cuda]'",
            stacklevel=2,
        )
        return _load_torch()
    return CudaKernels()


KERNELS: dict[str, Callable[[], Kernels]] = {"cpu": _load_cpu, "cuda": _load_cuda, "torch": _load_torch}
# For every device without a row of its own: it runs wherever torch runs.
_GENERAL = "torch"
# With the value "torch" it puts torch's operations in the place of all others.
_CHOICE = "HYBRIDQIES_KERNELS"


@cache
def find_kernels(device_type: str) -> Kernels:
    """The kernels for tensors on one type of device, such as "cpu" or "cuda".

    Raises
    ------
    InputError: $HYBRIDQIES_KERNELS is set to anything but "torch".
    """
    chosen = os.environ.get(_CHOICE, "")
    if chosen:
        if chosen != _GENERAL:
            raise InputError(
                f"{_CHOICE} is set to {chosen!r}",
                expected=f"{_GENERAL}, which runs circuits by torch's operations on every device",
                todo="unset it to have the kernels of the device",
            )
        return KERNELS[_GENERAL]()
    return KERNELS[device_type if device_type in KERNELS else _GENERAL]()
