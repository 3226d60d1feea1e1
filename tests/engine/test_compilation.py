"""Compilation is seen by who waits for it, and never a reason to fail."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from typing import Any

import numba
import pytest
import torch

from hybridqies.circuit import load_circuit
from hybridqies.engine import compile_kernels, jit, uncached, watch_compilation


def test_the_first_compilation_is_told_once_and_its_time_is_counted():
    told = []

    @numba.njit
    def double(number):
        return number * 2

    with watch_compilation(lambda: told.append("compiling")) as watch:
        double(1)
        double(1.0)
    assert told == ["compiling"]
    assert watch.seconds > 0
    with watch_compilation(lambda: told.append("again")) as watch:
        double(1)
    assert told == ["compiling"]
    assert watch.seconds == 0


@pytest.mark.parametrize("n_qubits", [3, 15])
def test_compiled_kernels_are_all_that_a_step_needs(n_qubits):
    circuit = load_circuit("rot-ring", n_qubits=n_qubits, layers=1)
    compile_kernels(circuit, [4])
    told = []
    assert compile_kernels(circuit, [4], tell=lambda: told.append(1)) == 0
    from hybridqies.engine import compile_plan, expectations

    weights = torch.zeros(circuit.n_weights, requires_grad=True)
    with watch_compilation(lambda: told.append(1)):
        expectations(compile_plan(circuit), torch.zeros(4, circuit.n_features), weights).sum().backward()
    assert not told


def test_a_full_disk_is_a_warning(monkeypatch):
    uncached.warn_uncached.cache_clear()

    def kernel(number):
        return number + 1

    # Numba types its dispatcher as the function that it compiles.
    compiled: Any = jit.kernel(kernel)

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compiled._cache, "_save_overload", fail)
    with pytest.warns(UserWarning, match="No space left"):
        assert compiled(1) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compiled(1.0) == 2.0


def test_without_a_writable_place_kernels_compile_in_the_process(monkeypatch):
    uncached.warn_uncached.cache_clear()

    def refuse(function):
        raise RuntimeError(f"cannot cache function {function!r}: no locator available for file 'x'")

    monkeypatch.setattr(jit, "_Cache", refuse)

    def kernel(number):
        return number + 1

    with pytest.warns(UserWarning, match="NUMBA_CACHE_DIR"):
        compiled = jit.kernel(kernel)
    assert compiled(1) == 2


def test_the_kernels_are_imported_where_numba_finds_no_folder():
    # Numba's own list of places, cut to one that takes no file.
    code = "import warnings; warnings.simplefilter('ignore'); import hybridqies.engine.cpu_kernels"
    environment = os.environ | {"NUMBA_CACHE_LOCATOR_CLASSES": "IPythonCacheLocator"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
