"""One step of a PennyLane QNode through torch, for every peer that is used that way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from peers.qnode import stacked
from peers.workload import Result, Workload


def torch_step(node: Any, work: Workload) -> Callable[[], Result]:
    """A step that hands `node` the whole batch, and takes its gradients for features and weights."""
    dtype = getattr(torch, work.precision)
    features = torch.tensor(work.features, dtype=dtype, requires_grad=True)
    weights = torch.tensor(work.weights, dtype=dtype, requires_grad=True)
    cotangent = torch.tensor(work.cotangent, dtype=dtype)

    def step() -> Result:
        features.grad = weights.grad = None
        values = stacked(node(features, weights))
        (values * cotangent).sum().backward()
        return values.detach(), features.grad, weights.grad

    return step
