"""The compilation of a circuit's kernels: half a minute, once on a machine; it does not count as training."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from hybridqies.backends import QuantumLayer


@contextmanager
def watch_kernels(
    models: Sequence[nn.Module], tell: Callable[[], None] | None = None
) -> Iterator[Callable[[], float]]:
    """Inside, `tell` is called once, before the first kernel is compiled; gives the seconds spent so far.

    Models without a circuit that runs in this process compile nothing, and cost nothing here.
    """
    layers = [part for model in models for part in model.modules() if isinstance(part, QuantumLayer)]
    if not any(layer.backend.capabilities.native_gradients for layer in layers):
        yield lambda: 0.0
        return
    from hybridqies.engine import watch_compilation

    with watch_compilation(tell) as compilation:
        yield lambda: compilation.seconds


@contextmanager
def stopwatch(*models: nn.Module) -> Iterator[Callable[[], float]]:
    """Gives the seconds since it began, without those in which kernels of the models were compiled."""
    with watch_kernels(models) as compiled:
        start = time.perf_counter()
        yield lambda: time.perf_counter() - start - compiled()
