"""Cards for tests on machines that have none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from engine.cuda.emulation import emulated_card

from hybridqies.engine.cuda import CudaKernels


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the kernels for the CPU are compiled to."""
    if shutil.which("g++") is None:
        pytest.skip("the kernels are compiled for the CPU by g++, which is not installed")
    return tmp_path_factory.mktemp("emulated")


@pytest.fixture
def kernels(built: Path, monkeypatch: pytest.MonkeyPatch) -> CudaKernels:
    """Kernels on an emulated card that keeps whole states up to 12 qubits in shared memory."""
    monkeypatch.setenv("HYBRIDQIES_CACHE", str(built / "cache"))
    return CudaKernels(lambda device: emulated_card(built))


@pytest.fixture
def small_card(kernels: CudaKernels, monkeypatch: pytest.MonkeyPatch) -> CudaKernels:
    """The same with so little shared memory that states of six qubits go through it in cosets."""
    monkeypatch.setenv("EMULATED_SHARED_BYTES", "7600")
    return kernels
