"""Final states of a circuit in the order of its basis states, for sampling and for measuring states."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hybridqies.circuit import Circuit, PauliString
from hybridqies.engine.kernels import find_kernels
from hybridqies.engine.lowering import lower
from hybridqies.engine.plan import Plan, Rules, compile_plan
from hybridqies.engine.simulate import fit_plan, refuse_transforms
from hybridqies.engine.workspace import Workspace

# ⟨1⟩: kernels always read at least one observable.
_IDENTITY = PauliString(())


@dataclass(frozen=True, slots=True, eq=False)
class StatePlan:
    """A plan of the whole circuit, without pruning, and where it stores each basis state.

    Basis state x is stored at `origin` moved by flips[t] for every qubit t that is 1 in x.
    """

    plan: Plan
    origin: int
    flips: tuple[int, ...]


def compile_states(
    circuit: Circuit, *, batched_weights: bool = False, workspace: Workspace | None = None
) -> StatePlan:
    """The plan of `circuit` for `final_states`; its observables are ignored."""
    _, basis_map = lower(circuit)
    origin = 0
    for flip, constant in zip(basis_map.flips, basis_map.constants, strict=True):
        origin ^= flip * constant
    plan = compile_plan(
        replace(circuit, observables=(_IDENTITY,)),
        batched_weights=batched_weights,
        rules=Rules(prune=False),
        workspace=workspace,
    )
    return StatePlan(plan, origin, tuple(basis_map.flips))


@torch.no_grad()
def final_states(
    plan: StatePlan, features: Tensor, weights: Tensor, amplitudes: Tensor | None = None
) -> Tensor:
    """The state before measurement, (B, 2**n), qubit 0 the most significant bit, without gradient.

    Inputs as for `expectations`. Real where the plan and its start are real, else complex, of the
    features' precision and on their device; correct up to a global phase, which the plan drops.

    Raises
    ------
    CapabilityError: inside a transform of torch.func or forward-mode differentiation.
    InputError: one row of weights per sample for a plan without `batched_weights`, or the reverse.
    """
    refuse_transforms(features, weights, amplitudes)
    fitted = fit_plan(plan.plan, weights, amplitudes)
    kernels = find_kernels(features.device.type)
    return kernels.final_states(fitted, features, weights, amplitudes, _find_places(plan))


def _find_places(plan: StatePlan) -> Tensor:
    """Where each basis state is stored, (2**n,)."""
    places = torch.tensor([plan.origin])
    for flip in reversed(plan.flips):
        places = torch.cat([places, places ^ flip])
    return places
