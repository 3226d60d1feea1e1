from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
import torch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]


def values_and_gradients(where: str) -> list[torch.Tensor]:
    @qml.qnode(qml.device("hybridqies.statevector", wires=5), interface="torch")
    def node(angles, weights):
        for wire in range(5):
            qml.RY(angles[:, wire], wires=wire)
            qml.Rot(*weights[wire], wires=wire)
        for wire in range(5):
            qml.CNOT(wires=[wire, (wire + 1) % 5])
        return [qml.expval(qml.PauliZ(0)), qml.expval(qml.PauliX(1) @ qml.PauliY(4))]

    random = torch.Generator().manual_seed(0)
    angles = torch.rand(9, 5, generator=random, dtype=torch.float64).to(where).requires_grad_()
    weights = torch.rand(5, 3, generator=random, dtype=torch.float64).to(where).requires_grad_()
    values = torch.stack(tuple(node(angles, weights)))
    assert values.device.type == where
    gradients = torch.autograd.grad(values.square().sum(), (angles, weights))
    return [each.detach().cpu() for each in (values, *gradients)]


def test_torch_tensors_on_a_card_stay_there():
    for ours, theirs in zip(values_and_gradients("cuda"), values_and_gradients("cpu"), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)
