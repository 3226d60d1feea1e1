"""Compilation of the CPU kernels, made visible: who waits for it is told, and how long it took."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch

from hybridqies.circuit import Circuit, PauliString, Start, Weight, gate
from hybridqies.engine.call import lanes_of
from hybridqies.engine.plan import Rules, compile_plan
from hybridqies.engine.simulate import expectations


@dataclass(slots=True)
class Compilation:
    """How long kernels have been compiled so far, in seconds; 0.0 where all came from the disk."""

    seconds: float = 0.0


@contextmanager
def watch_compilation(tell: Callable[[], None] | None = None) -> Iterator[Compilation]:
    """Inside, `tell` is called once, before the first kernel is compiled, and the time is added up.

    Kernels that were compiled before, in this process or on this machine, cost nothing and call nothing.
    """
    from numba.core import event

    watch = Compilation()
    listener = _listen(event.Listener, watch, tell)
    with event.install_listener("numba:compile", listener):
        yield watch


def compile_kernels(
    circuit: Circuit,
    batch_sizes: Iterable[int],
    *,
    dtype: torch.dtype = torch.float32,
    batched_weights: bool = False,
    tell: Callable[[], None] | None = None,
) -> float:
    """Makes sure that the CPU kernels for `circuit` and these batches are compiled; the seconds it took.

    It takes about 20 s for each precision and width of a batch, once on a machine, and milliseconds
    where they are on disk already; `tell` is called in the first case only.
    """
    plan = compile_plan(circuit, batched_weights=batched_weights)
    widths = {lanes_of(plan.n_qubits, max(1, size), dtype.itemsize) for size in batch_sizes}
    is_complex = not plan.is_real or circuit.start is Start.AMPLITUDES
    kinds = {plan.is_real, not is_complex}
    with watch_compilation(tell) as watch:
        for width in sorted(widths):
            for is_real in sorted(kinds):
                _run_small(width, dtype, is_real=is_real, is_whole=plan.is_whole)
    return watch.seconds


def _run_small(width: int, dtype: torch.dtype, *, is_real: bool, is_whole: bool) -> None:
    """A step of a circuit on two qubits, by the kernels that larger ones of its kind use."""
    gates = [gate("RY" if is_real else "RX", qubit, Weight(qubit)) for qubit in (0, 1)]
    circuit = Circuit.of(2, gates, [PauliString(((0, "Z"),))], name="warm-up")
    plan = compile_plan(circuit, rules=Rules(block_qubits=None if is_whole else 1))
    weights = torch.zeros(2, dtype=dtype, requires_grad=True)
    with torch.enable_grad():
        expectations(plan, torch.zeros(width, 0, dtype=dtype), weights).sum().backward()


def _listen(base: Any, watch: Compilation, tell: Callable[[], None] | None) -> Any:
    """A listener of Numba's that adds the time of its outermost compilations to `watch`."""

    class Listener(base):  # type: ignore[misc]
        depth, began = 0, 0.0
        is_told = tell is None

        def on_start(self, event: Any) -> None:  # noqa: ARG002
            # A kernel compiles those that it calls, and only the whole of it counts.
            if self.depth == 0:
                self.began = perf_counter()
                if not self.is_told and tell is not None:
                    self.is_told = True
                    tell()
            self.depth += 1

        def on_end(self, event: Any) -> None:  # noqa: ARG002
            self.depth -= 1
            if self.depth == 0:
                watch.seconds += perf_counter() - self.began

    return Listener()
