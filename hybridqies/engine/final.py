"""Final states of a circuit in the order of its basis states: what sampling and state measurements read."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hybridqies.circuit import Circuit, PauliString
from hybridqies.engine import device
from hybridqies.engine.lowering import lower
from hybridqies.engine.plan import Plan, Rules, compile_plan
from hybridqies.engine.simulate import fitting

# ⟨1⟩: the least that the kernels can be asked to read.
_IDENTITY = PauliString(())


@dataclass(frozen=True, slots=True, eq=False)
class StatePlan:
    """A plan that no observable has pruned, and where it stores each basis state.

    Basis state x is stored at `origin` moved by flips[t] for every qubit t that is 1 in x.
    """

    plan: Plan
    origin: int
    flips: tuple[int, ...]


def compile_states(circuit: Circuit, *, batched_weights: bool = False) -> StatePlan:
    """The plan of `circuit` for `final_states`; what the circuit reads plays no part in it."""
    _, frame = lower(circuit)
    origin = 0
    for flip, constant in zip(frame.flips, frame.constants, strict=True):
        origin ^= flip * constant
    plan = compile_plan(
        replace(circuit, observables=(_IDENTITY,)), batched_weights=batched_weights, rules=Rules(prune=False)
    )
    return StatePlan(plan, origin, tuple(frame.flips))


@torch.no_grad()
def final_states(
    plan: StatePlan, features: Tensor, weights: Tensor, amplitudes: Tensor | None = None
) -> Tensor:
    """The state before measurement, (B, 2**n), qubit 0 the most significant bit, without gradient.

    Inputs as for `expectations`. Real where the plan and its start are real, else complex, of the
    features' precision and on their device; correct up to a global phase, which the plan drops.

    Raises
    ------
    InputError: weights a sample for a plan without, or the reverse.
    """
    fitted = fitting(plan.plan, weights, amplitudes)
    if features.device.type == "cpu":
        return _on_cpu(fitted, _places(plan), features, weights, amplitudes)
    _, kept = device.forward(fitted, features, weights, amplitudes, keep=True)
    states: Tensor = kept[-1]  # type: ignore[index]
    return states[:, _places(plan).to(features.device)]


def _places(plan: StatePlan) -> Tensor:
    """Where each basis state is stored, (2**n,)."""
    places = torch.tensor([plan.origin])
    for flip in reversed(plan.flips):
        places = torch.cat([places, places ^ flip])
    return places


def _on_cpu(
    plan: Plan, places: Tensor, features: Tensor, weights: Tensor, amplitudes: Tensor | None
) -> Tensor:
    from hybridqies.engine import cpu

    _, kept = cpu.forward(plan, features, weights, amplitudes, keep=True)
    call, states = kept  # type: ignore[misc]
    lanes, planes = map(len, call.shape)
    tiles = torch.from_numpy(states).view(call.n_tiles, 1 << plan.n_qubits, planes, lanes)
    samples = tiles[:, places].permute(0, 3, 1, 2).reshape(-1, 1 << plan.n_qubits, planes)[: call.batch]
    return samples[..., 0] if plan.is_real else torch.view_as_complex(samples.contiguous())
