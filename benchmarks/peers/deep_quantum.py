"""DeepQuantum: features as batched encoder data under its vmap, weights as parameters of the gates."""

from __future__ import annotations

from typing import Any

import deepquantum as dq
import torch
from deepquantum.gate import U3Gate
from torch import nn

from peers.workload import Gate, Prepared, Result, Workload

FIXED = {"H": "h", "X": "x", "CNOT": "cnot", "CZ": "cz"}
ROTATIONS = {"RX": "rx", "RY": "ry", "RZ": "rz"}


def prepare(work: Workload) -> Prepared:
    """The circuit, and a step through it."""
    dtype = getattr(torch, work.precision)
    # One scalar a weight: gates that share a weight share the parameter.
    shared = [nn.Parameter(torch.tensor(value, dtype=dtype)) for value in work.weights]
    circuit, encoded = _build(work, shared)
    circuit.to(work.device).to(dtype)
    features = torch.tensor(work.features, dtype=dtype, device=work.device, requires_grad=True)
    cotangent = torch.tensor(work.cotangent, dtype=dtype, device=work.device)
    index = torch.tensor(encoded, device=work.device)

    def step() -> Result:
        features.grad = None
        for parameter in shared:
            parameter.grad = None
        circuit(data=features[:, index])
        values = circuit.expectation()
        (values * cotangent).sum().backward()
        gradients = torch.stack([parameter.grad for parameter in shared])
        return values.detach().cpu(), features.grad.cpu(), gradients.cpu()

    return Prepared(step, {torch.complex64: "float32", torch.complex128: "float64"}[_state_dtype(circuit)])


def _state_dtype(circuit: dq.QubitCircuit) -> torch.dtype:
    return circuit.init_state.state.dtype


def _build(work: Workload, shared: list[nn.Parameter]) -> tuple[dq.QubitCircuit, list[int]]:
    """The circuit, and the feature that each encoder reads."""
    circuit = dq.QubitCircuit(work.n_qubits)
    encoded: list[int] = []
    for gate in work.gates:
        if gate.name in FIXED:
            getattr(circuit, FIXED[gate.name])(*gate.qubits)
            continue
        kinds = {angle[0] for angle in gate.angles}
        if kinds == {"feature"} and gate.name in ROTATIONS:
            getattr(circuit, ROTATIONS[gate.name])(*gate.qubits, encode=True)
            encoded.append(_feature(gate))
        elif kinds == {"weight"} and all(angle[2] == 1 for angle in gate.angles):
            _trainable(circuit, gate, [shared[angle[1]] for angle in gate.angles])
        else:
            raise NotImplementedError(f"this peer's file has no {gate.name} with such angles")
    for qubit in work.z_qubits:
        circuit.observable(wires=qubit, basis="z")
    return circuit, encoded


def _feature(gate: Gate) -> int:
    _, indices, scale = gate.angles[0]
    if len(indices) != 1 or scale != 1:
        raise NotImplementedError("this peer's file encodes features as they are")
    return int(indices[0])


def _trainable(circuit: dq.QubitCircuit, gate: Gate, parameters: list[nn.Parameter]) -> None:
    """Adds a rotation, or a Rot, which is a U3 apart from a phase of the whole state."""
    if gate.name in ROTATIONS:
        getattr(circuit, ROTATIONS[gate.name])(*gate.qubits)
        _last(circuit).theta = parameters[0]
        return
    circuit.u3(*gate.qubits)
    added = _last(circuit)
    assert gate.name == "ROT"
    assert isinstance(added, U3Gate)
    added.lambd, added.theta, added.phi = parameters


def _last(circuit: dq.QubitCircuit) -> Any:
    return circuit.operators[-1]
