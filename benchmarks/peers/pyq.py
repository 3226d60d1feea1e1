"""pyqtorch: batched parameter values, and torch's own differentiation through its state."""

from __future__ import annotations

import pyqtorch as pyq
import torch

from peers.workload import Gate, Prepared, Result, Workload, angle_value

FIXED = {"H": pyq.H, "X": pyq.X, "CNOT": pyq.CNOT, "CZ": pyq.CZ}
ROTATIONS = {"RX": pyq.RX, "RY": pyq.RY, "RZ": pyq.RZ, "ROT": pyq.U}
STATES = {"float32": torch.complex64, "float64": torch.complex128}


def prepare(work: Workload) -> Prepared:
    """The circuit, and a step that runs it once for all observables."""
    dtype, state_dtype = getattr(torch, work.precision), STATES[work.precision]
    angles = {_name(angle): angle for gate in work.gates for angle in gate.angles}
    circuit = pyq.QuantumCircuit(work.n_qubits, [_operation(gate) for gate in work.gates]).to(
        dtype=state_dtype
    )
    observables = [pyq.Observable([pyq.Z(qubit)]).to(dtype=state_dtype) for qubit in work.z_qubits]
    features = torch.tensor(work.features, dtype=dtype, requires_grad=True)
    weights = torch.tensor(work.weights, dtype=dtype, requires_grad=True)
    cotangent = torch.tensor(work.cotangent, dtype=dtype)
    start = circuit.init_state(len(work.features))

    def step() -> Result:
        features.grad = weights.grad = None
        given = {name: angle_value(angle, features, weights) for name, angle in angles.items()}
        state = pyq.run(circuit, start, given)
        values = torch.stack([each.expectation(state) for each in observables], dim=1)
        (values * cotangent).sum().backward()
        return values.detach(), features.grad, weights.grad

    return Prepared(step, {torch.complex64: "float32", torch.complex128: "float64"}[start.dtype])


def _operation(gate: Gate) -> pyq.primitives.Primitive:
    names = [_name(angle) for angle in gate.angles]
    if gate.name in FIXED:
        return FIXED[gate.name](*gate.qubits)
    if gate.name in ROTATIONS:
        return ROTATIONS[gate.name](*gate.qubits, *names)
    raise NotImplementedError(f"this peer's file has no {gate.name}")


def _name(angle: tuple[object, ...]) -> str:
    return "_".join(map(str, angle))
