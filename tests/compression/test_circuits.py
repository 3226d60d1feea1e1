"""Layers between circuits: values, files, counts, circuits to run, and what running them would take."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from compression.language_models import write_model, write_text
from torch import nn

from hybridqies.backends import load_backend
from hybridqies.circuit import Start, to_qiskit
from hybridqies.cli.app import run
from hybridqies.compression import (
    CircuitOptions,
    CompressedLinear,
    compress,
    export_circuits,
    load_compressed,
    plan_circuits,
)
from hybridqies.errors import CapabilityError, InputError
from hybridqies.factorised.layer import FORWARDS
from hybridqies.tensornet import MPO, Brickwork

DEEP = CircuitOptions(depth=3, sweeps=4)


def between(shape: tuple[int, int] = (12, 20), dtype: torch.dtype = torch.float64, **options: Any) -> Any:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(shape[1], shape[0])).to(dtype)
    compress(model, "disentangled", 0.9, "0", circuits=DEEP, **options)
    return model


@pytest.mark.parametrize("forward", FORWARDS)
def test_a_layer_multiplies_by_its_circuits_and_trains_its_cores_alone(forward):
    model = between(forward=forward)
    layer: CompressedLinear = model[0]
    inputs = torch.randn(3, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    middle = contract_cores(layer)
    dense = layer.left.circuit.dense() @ middle @ layer.right.circuit.dense().T
    assert torch.dist(layer(inputs), inputs @ dense[:12, :20].T + layer.bias) < 1e-12
    assert {name for name, _ in layer.named_parameters()} == {
        "bias",
        *(f"cores.{site}" for site in range(5)),
    }
    # Qubits 4 and 5: gates on 2 + 1 + 2 and 2 + 2 + 2 pairs.
    assert layer.n_angles == 6 * 11
    layer(inputs).sum().backward()
    assert all(core.grad.abs().sum() > 0 for core in layer.cores)


def contract_cores(layer: CompressedLinear) -> torch.Tensor:
    return MPO(tuple(layer.cores)).to_matrix()


def test_the_transposed_circuit_undoes_the_circuit():
    gates = torch.linalg.qr(torch.randn(5, 4, 4, dtype=torch.float64))[0]
    circuit = Brickwork(4, Brickwork.identity(4, 3).bonds, gates)
    assert torch.dist(circuit.transposed().dense(), circuit.dense().T) < 1e-12
    columns = torch.randn(16, 2, dtype=torch.float64)
    assert torch.dist(circuit.undo(circuit.apply(columns)), columns) < 1e-12


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_exported_circuits_are_those_of_the_layer(dtype):
    from qiskit.quantum_info import Operator

    model = between(dtype=dtype)
    first, last = export_circuits(model)
    assert (first.name, last.name) == ("V† of 0", "U of 0")
    layer: CompressedLinear = model[0]
    for circuit, side in ((first, layer.right.circuit.transposed()), (last, layer.left.circuit)):
        # Qiskit's qubit 0 is the least significant bit.
        found = torch.from_numpy(Operator(to_qiskit(replace(circuit, start=Start.ZERO)).reverse_bits()).data)
        assert torch.dist(found.real.to(dtype), side.apply(torch.eye(2**side.n_qubits, dtype=dtype))) < (
            1e-12 if dtype is torch.float64 else 1e-5
        )
    assert first.start is last.start is Start.AMPLITUDES


def test_a_plan_counts_a_circuit_for_each_token_and_side():
    plans = plan_circuits(between(), load_backend("aer,shots=100"), 7)
    assert [(each.circuit, each.n_qubits, each.circuits, each.total_shots) for each in plans] == [
        ("V† of 0", 5, 7, 700),
        ("U of 0", 4, 7, 700),
    ]
    with pytest.raises(CapabilityError, match="computes exactly"):
        plan_circuits(between(), load_backend("statevector"), 7)
    plain = nn.Sequential(nn.Linear(16, 16))
    compress(plain, "svd", 0.5, "0")
    with pytest.raises(InputError, match="has no circuits"):
        plan_circuits(plain, load_backend("aer,shots=100"), 7)


def test_the_command_counts_saves_and_plans(tmp_path, capsys):
    model, text = write_model(tmp_path / "tiny"), write_text(tmp_path / "words.txt")
    sizes = [
        "--text",
        str(text),
        "--windows",
        "3",
        "--width",
        "16",
        "--layers",
        "*.0.*.up_proj",
        "--keep",
        "0.8",
    ]
    circuits = ["--method", "disentangled", "--set", "circuits.depth=1", "--set", "circuits.sweeps=2"]
    words = [str(model), *sizes, *circuits, "--backend", "aer,shots=10"]
    assert run(["compress", *words, "--out", str(tmp_path / "a")]) == 0
    printed = capsys.readouterr().out
    assert "nothing was sent" in printed
    # Forty-eight tokens, ten shots each, on both sides of one layer.
    assert printed.count(" 480 ") == 2
    report = json.loads((tmp_path / "a" / "compression.json").read_text())
    arms = {arm["arm"]: arm for arm in report["arms"]}
    again = load_compressed(tmp_path / "a")
    layers = [each for each in again.modules() if isinstance(each, CompressedLinear)]
    numbers = sum(core.numel() for layer in layers for core in layer.cores)
    # Five and four qubits have two gates each.
    assert arms["disentangled"]["layer_parameters"] == numbers + 4 * 6 <= 0.8 * 384
    held = [*again.parameters(), *(side.gates for each in layers for side in (each.left, each.right))]
    assert arms["disentangled"]["bytes"] == 4 * sum(each.numel() for each in held)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--method", "wsvd", "--backend", "aer,shots=10"], "nothing would have a circuit"),
        (["--method", "disentangled", "--backend", "aer", "--export", "dense"], "nothing would have"),
        (["--method", "disentangled", "--backend", "aer"], "computes exactly in this process"),
        (["--method", "disentangled", "--rates", "rates.toml"], "--rates was given without --backend"),
        (["--method", "svd", "--set", "circuits.depth=3"], "which has no circuits"),
        (["--method", "disentangled", "--set", "circuits.depth=-1"], "'depth' was given -1"),
        (["--method", "disentangled", "--set", "circuits.deep=1"], "did you mean 'circuits.depth'"),
    ],
)
def test_what_cannot_be_planned_is_refused_before_the_work(tmp_path: Path, capsys, flags, said):
    words = ["compress", "nowhere", "--text", "nowhere", "--layers", "k_proj", "--out", str(tmp_path / "out")]
    assert run([*words, *flags]) == 2
    complaint = capsys.readouterr().err
    assert said in complaint
    assert complaint.count("\n") == 1
