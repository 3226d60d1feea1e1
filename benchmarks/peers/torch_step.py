"""One step of a PennyLane QNode through torch, for every peer that is used that way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from peers.qnode import stacked
from peers.workload import Result, Workload


def torch_step(node: Any, work: Workload, device: str = "cpu") -> Callable[[], Result]:
    """A step that hands `node` the whole batch, and takes its gradients for features and weights."""
    dtype = getattr(torch, work.precision)
    features = torch.tensor(work.features, dtype=dtype, device=device, requires_grad=True)
    weights = torch.tensor(work.weights, dtype=dtype, device=device, requires_grad=True)
    cotangent = torch.tensor(work.cotangent, dtype=dtype, device=device)

    def step() -> Result:
        features.grad = weights.grad = None
        values = stacked(node(features, weights))
        (values * cotangent).sum().backward()
        assert features.grad is not None
        assert weights.grad is not None
        # Copies to the host: on a CUDA device this is also what waits for the end.
        return values.detach().cpu(), features.grad.cpu(), weights.grad.cpu()

    return step
