"""States that do not fit are refused with what would hold them, and that is true."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch

from hybridqies.backends import load_backend, memory, statevector
from hybridqies.circuit import Circuit, Start, Weight, feature, gate, load_circuit
from hybridqies.engine import bytes_needed, compile_plan
from hybridqies.errors import CapabilityError

DOUBLE = torch.float64
CIRCUIT = load_circuit("rot-ring", 3)
PLAN = compile_plan(CIRCUIT)


def needed(batch: int, dtype: torch.dtype = DOUBLE) -> int:
    return bytes_needed(PLAN, torch.zeros(batch, 0, dtype=dtype), None)


@pytest.fixture
def with_free(monkeypatch):
    def set_free(free: int) -> None:
        monkeypatch.setattr(memory, "free_bytes", lambda device: free)

    monkeypatch.setattr(statevector, "_ALWAYS_THERE", 0)
    return set_free


def run(batch: int, dtype: torch.dtype = DOUBLE, spec: str = "statevector", circuit: Circuit = CIRCUIT):
    features = torch.zeros(batch, circuit.n_features, dtype=dtype, requires_grad=True)
    weights = torch.zeros(circuit.n_weights, dtype=dtype)
    amplitudes = None
    if circuit.start is Start.AMPLITUDES:
        amplitudes = torch.ones(batch, 2**circuit.n_qubits, dtype=dtype) * 2 ** (-circuit.n_qubits / 2)
    return load_backend(spec).expectations(circuit, features, weights, amplitudes)


def refusal(*given) -> str:
    with pytest.raises(CapabilityError) as refused:
        run(*given)
    return str(refused.value)


def test_the_batch_that_it_names_runs_and_one_more_does_not(with_free):
    with_free(needed(700) + 1)
    said = refusal(1000)
    assert "1000 samples of 3 qubits need about" in said
    fitting = int(re.search(r"use a batch of at most (\d+)", said)[1])
    assert run(fitting).shape == (fitting, 3)
    assert refusal(fitting + 1)


def test_single_precision_is_named_where_it_fits(with_free):
    with_free(needed(1000, torch.float32))
    assert ", or float32, or a machine with" in refusal(1000)
    assert run(1000, torch.float32).shape == (1000, 3)
    assert "float32" not in refusal(2100)
    assert "float32" not in refusal(2100, torch.float32)


def test_a_state_that_fits_at_no_batch_needs_more_memory(with_free):
    with_free(10)
    assert re.search(r"free on cpu; use a machine with 0\.0 GiB free, or backend tensor:mps$", refusal(2))


def test_the_matrix_product_backend_is_named_where_it_runs_the_circuit(with_free):
    with_free(1000)
    assert "tensor:mps" in refusal(1000)
    for options in ("p1=0.1,trajectories=10", "shots=100"):
        assert "tensor:mps" not in refusal(1000, DOUBLE, f"statevector,{options}")
    started = replace(CIRCUIT, start=Start.AMPLITUDES)
    assert "tensor:mps" not in refusal(1000, DOUBLE, "statevector", started)


def test_the_sizes_of_a_card():
    features = torch.empty(256, 0, dtype=torch.float64, device="meta")

    class OnCard:
        """The features of a batch on a card."""

        shape, dtype, device = features.shape, features.dtype, torch.device("cuda", 0)

        def __getitem__(self, rows: slice) -> torch.Tensor:
            return features[rows]

        def new_empty(self, *shape: int, dtype: torch.dtype) -> torch.Tensor:
            return features.new_empty(*shape, dtype=dtype)

    def of_rows(rows) -> int:
        # Two states of 24 qubits: half a GiB a sample in double.
        return 2 * rows.shape[0] * rows.dtype.itemsize * 2 << 24

    said = memory.advise(of_rows, OnCard(), 40 * 2**30)  # type: ignore[arg-type]
    assert said == "use a batch of at most 80, or a GPU with 128.0 GiB free"
    said = memory.advise(of_rows, OnCard(), 64 * 2**30)  # type: ignore[arg-type]
    assert said == "use a batch of at most 128, or float32, or a GPU with 128.0 GiB free"
    # Noise runs each sample ten times.
    said = memory.advise(of_rows, OnCard(), 64 * 2**30, copies=10)  # type: ignore[arg-type]
    assert said.startswith("use a batch of at most 12,")


def test_cones_say_how_many_samples_fit(with_free):
    gates = [gate("RY", qubit, feature(qubit)) for qubit in range(40)]
    gates += [gate("RX", qubit, Weight(qubit)) for qubit in range(40)]
    circuit = Circuit.of(40, gates)
    with_free(20_000)
    said = refusal(1000, DOUBLE, "statevector", circuit)
    fitting = int(re.search(r"use a batch of at most (\d+)", said)[1])
    assert run(fitting, circuit=circuit).shape == (fitting, 40)
