"""The circuits of a compressed model, as every backend runs them, and what running them would take."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from hybridqies.backends import Backend, DryRun, ExecutingBackend, Rates, dry_run
from hybridqies.circuit import Circuit, Start
from hybridqies.errors import CapabilityError, InputError
from hybridqies.factorised.layer import CompressedLinear
from hybridqies.tensornet import Brickwork


def export_circuits(model: nn.Module) -> list[Circuit]:
    """Vᵀ and U of every layer that has them, from amplitudes on, named "V† of layer" and "U of layer".

    Gates that were rounded to the type of the model are made orthogonal again.
    """
    found = []
    for name, layer in model.named_modules():
        if isinstance(layer, CompressedLinear) and layer.left is not None and layer.right is not None:
            first, last = _orthogonal(layer.right.circuit).transposed(), _orthogonal(layer.left.circuit)
            found += [
                side.circuit(f"{label} of {name}", start=Start.AMPLITUDES)
                for label, side in (("V†", first), ("U", last))
            ]
    return found


def plan_circuits(
    model: nn.Module, backend: Backend, n_tokens: int, rates: Rates | None = None
) -> list[DryRun]:
    """What would be handed in to run every circuit of the model on `n_tokens` tokens; nothing is sent.

    Each token is one circuit for Vᵀ and one for U in each layer, measured in the Z basis. The amplitudes of
    the result, which the next factor reads, take more than that.

    Raises
    ------
    InputError: the model has no circuits.
    CapabilityError: the backend computes exactly in this process, or cannot run them.
    """
    circuits = export_circuits(model)
    if not circuits:
        raise InputError(
            "the model has no circuits to plan for", expected="a model compressed by method disentangled"
        )
    able = check_plannable(backend)
    return [dry_run(able, circuit, n_tokens, rates) for circuit in circuits]


def check_plannable(backend: Backend) -> ExecutingBackend:
    """The backend, or a CapabilityError if nothing is handed in to it."""
    if isinstance(backend, ExecutingBackend) and not backend.is_exact:
        return backend
    raise CapabilityError(
        f"backend {backend.label!r} computes exactly in this process: there is nothing to plan",
        expected="one with shots, or one that circuits are handed in to (see: hybridqies backends)",
    )


def _orthogonal(circuit: Brickwork) -> Brickwork:
    left, _, right = torch.linalg.svd(circuit.gates.cpu().double())
    return replace(circuit, gates=left @ right)
