"""Our own engine: the whole step through torch and `QuantumLayer`, in the project's interpreter."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from hybridqies import Circuit, QuantumLayer, engine
from peers.workload import Prepared, Result, Workload


def prepare(work: Workload) -> Prepared:
    """The layer, and a step through it."""
    dtype = getattr(torch, work.precision)
    circuit = Circuit.from_mapping(work.circuit)
    layer, features, cotangent = _layer(circuit, work, dtype)

    def step() -> Result:
        return _step(layer, features, cotangent)

    def fresh() -> Result:
        # The same work for the engine, and a circuit that no cache can know: its gates end in one more.
        grown = work.circuit | {"gates": [*work.circuit["gates"], ["RY", [0], [["constant", 0.1]]]]}
        return _step(*_layer(Circuit.from_mapping(grown), work, dtype))

    batch = len(work.features)
    floats = 1 if circuit.is_real else 2
    facts: dict[str, Any] = {"state_bytes": batch * 2**work.n_qubits * floats * dtype.itemsize}
    return Prepared(step, work.precision, fresh, facts | {"counts": count_costs(circuit, batch, dtype)})


def _layer(
    circuit: Circuit, work: Workload, dtype: torch.dtype
) -> tuple[QuantumLayer, torch.Tensor, torch.Tensor]:
    layer = QuantumLayer(circuit, dtype=dtype).to(work.device)
    features = torch.tensor(work.features, dtype=dtype, device=work.device, requires_grad=True)
    with torch.no_grad():
        layer.weights.copy_(torch.tensor(work.weights, dtype=dtype))
    return layer, features, torch.tensor(work.cotangent, dtype=dtype, device=work.device)


def _step(layer: QuantumLayer, features: torch.Tensor, cotangent: torch.Tensor) -> Result:
    features.grad = layer.weights.grad = None
    values = layer(features)
    (values * cotangent).sum().backward()
    assert features.grad is not None
    assert layer.weights.grad is not None
    # Copies to the host: on a CUDA device this is also what waits for the end.
    return values.detach().cpu(), features.grad.cpu(), layer.weights.grad.cpu()


def count_costs(circuit: Circuit, batch: int, dtype: torch.dtype) -> dict[str, int]:
    """What the engine says one step costs: float operations, bytes moved, passes over the state."""
    return dataclasses.asdict(engine.count_costs(engine.compile_plan(circuit), batch, dtype))
