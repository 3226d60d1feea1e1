"""A user's own backend: the example of the guide passes the contract and is found by its name."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from hybridqies import extensions
from hybridqies.backends import QuantumLayer, backend_class, backend_names, load_backend
from hybridqies.circuit import load_circuit
from hybridqies.errors import CapabilityError, UnknownNameError
from hybridqies.testing import BackendContract, RuleContract, SamplingContract

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = DOCS / "examples" / "own_backend.py"


def example():
    spec = importlib.util.spec_from_file_location("own_backend", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXAMPLE_CLASS = example().QiskitStatevector


class TestExact(BackendContract):
    def backend(self):
        return EXAMPLE_CLASS()


class TestShots(SamplingContract, RuleContract):
    def backend(self):
        return EXAMPLE_CLASS(shots=4096)


def test_the_example_is_as_short_as_the_guide_says():
    page = (DOCS / "concepts" / "own-backend.md").read_text()
    assert len(EXAMPLE.read_text().splitlines()) <= 45
    assert "literalinclude} ../examples/own_backend.py" in page


@pytest.fixture
def announce(tmp_path, monkeypatch):
    """Installs a distribution of nothing but an entry point, for one test."""

    def install(name, target):
        folder = tmp_path / "own_backend-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: own-backend\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[hybridqies.backends]\n{name} = {target}\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.syspath_prepend(EXAMPLE.parent)
        extensions._announced.cache_clear()

    yield install
    monkeypatch.undo()
    sys.modules.pop("own_backend", None)
    extensions._announced.cache_clear()


def test_an_entry_point_announces_it(announce):
    assert "qiskit-statevector" not in backend_names()
    announce("qiskit-statevector", "own_backend:QiskitStatevector")
    assert backend_names()[-1] == "qiskit-statevector"
    assert "own_backend" not in sys.modules
    backend = load_backend("qiskit-statevector,shots=100")
    assert type(backend) is backend_class("qiskit-statevector")
    assert backend.spec == "qiskit-statevector,shots=100"
    layer = QuantumLayer(load_circuit("strongly-entangling", 2), "qiskit-statevector")
    assert layer.backend.name == "qiskit-statevector"
    with pytest.raises(UnknownNameError, match="did you mean 'qiskit-statevector'"):
        load_backend("qiskit-statevectors")


def test_an_entry_point_cannot_take_the_name_of_ours(announce):
    announce("statevector", "own_backend:QiskitStatevector")
    assert backend_names().count("statevector") == 1
    assert backend_names()[-1] == "own-backend.statevector"
    assert type(load_backend("statevector")).__module__ == "hybridqies.backends.statevector"


def test_an_entry_point_that_is_no_backend_is_refused(announce):
    announce("numbers", "math:pi")
    with pytest.raises(
        CapabilityError, match=r"backend 'numbers' of package own-backend is 3\.14.* a subclass of"
    ):
        load_backend("numbers")


def test_a_contract_without_its_hook_says_so():
    with pytest.raises(NotImplementedError, match="needs the hook `backend`"):
        BackendContract().backend()
