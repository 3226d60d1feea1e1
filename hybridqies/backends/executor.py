"""Backends that only run circuits: gradients by shift rules or SPSA, and statistics of shots."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from torch import Tensor

from hybridqies.backends.base import Backend
from hybridqies.backends.circuit_cache import CircuitCache
from hybridqies.backends.estimate import Estimate
from hybridqies.backends.free_circuit import FreeCircuit
from hybridqies.backends.gradient_rules import SPSA, Gradient, Rule, ShiftRule, measured
from hybridqies.backends.registry import DEFAULT_BACKEND
from hybridqies.backends.resources import ExactCost, Resources
from hybridqies.circuit import Circuit
from hybridqies.errors import CapabilityError, InputError
from hybridqies.options import within


@dataclass(frozen=True, slots=True)
class ExecutionOptions:
    """Options of every executing backend.

    With `shots` None values are exact, if the backend can compute them. With one `seed`, equal inputs give
    equal samples. `gradient` chooses the rule; SPSA uses `directions` per sample and a `step` in radians.
    """

    shots: int | None = None
    seed: int = 0
    gradient: Gradient = Gradient.SHIFT
    directions: int = 4
    step: float = 0.1

    def __post_init__(self) -> None:
        within(
            self, "backend option", shots=(1, 1e9), seed=(0, 2**63 - 1), directions=(1, 1e6), step=(1e-6, 3)
        )
        if self.gradient is not Gradient.SPSA:
            self.refuse_idle("gradient=spsa", "directions", "step")

    def refuse_idle(self, needed: str, *names: str) -> None:
        """Refuses options that have no effect without another one."""
        defaults = {each.name: each.default for each in fields(self)}
        for name in names:
            if getattr(self, name) != defaults[name]:
                raise InputError(
                    f"backend option {name!r} was given without {needed}", expected=f"both, or no {name}"
                )


class ExecutingBackend(Backend):
    """A backend without its own gradients. Subclasses fill in `_execute`.

    A training step is one call of `_execute`, with all samples and all displaced points.
    """

    Options: ClassVar[type] = ExecutionOptions

    def __init__(self, target: str = "", **options: Any) -> None:
        super().__init__(target, **options)
        able = self.capabilities
        if self.options.shots is not None and not able.shots:
            raise CapabilityError(f"backend {self.label!r} was asked for shots", expected="none: it is exact")
        if self.options.gradient is Gradient.ADJOINT and not able.native_gradients:
            raise CapabilityError(
                f"backend {self.label!r} was asked for gradient=adjoint", expected="shift or spsa"
            )
        self.free = CircuitCache(FreeCircuit.of)

    @property
    def gradient(self) -> str:
        """The gradient rule, as given."""
        return str(self.options.gradient.value)

    @property
    def is_exact(self) -> bool:
        """Whether no shots were asked for."""
        return self.options.shots is None and not self.capabilities.hardware

    @abstractmethod
    def _execute(self, circuit: Circuit, angles: Tensor, amplitudes: Tensor | None) -> Estimate:
        """Runs a circuit without features at every row of its weights, `angles` (N, P) in float64 on the CPU.

        `amplitudes` (N, 2**n) are of unit norm. This is one submission.
        """

    def resources(self, circuit: Circuit) -> Resources:
        """Depth and gates of a measured circuit: as written, or as compiled for the target."""
        return Resources.of(circuit)

    def exact_cost(self, circuit: Circuit) -> ExactCost | None:  # noqa: ARG002
        """The work of a circuit's exact values; None where they are not exact, or nothing is counted."""
        return None

    def n_jobs(self, bases: int, rows: int) -> int:  # noqa: ARG002
        """The number of jobs in one submission of this many bases and rows."""
        return 1

    def n_circuits(self, circuit: Circuit, batch: int, *, features: bool = True, weights: bool = True) -> int:
        """Circuits of one training step: for each sample, one and the displaced points of the gradient rule.

        `features` and `weights` say whether their gradient is wanted; the backend's own gradient needs no
        displaced points. Multiply by the number of measurement bases, 1 if only Z is measured.
        """
        free = self.free(circuit)
        if self.options.gradient is Gradient.ADJOINT:
            points = 0
        elif self.options.gradient is Gradient.SPSA:
            points = 2 * self.options.directions if features or weights else 0
        else:
            points = ShiftRule(free.frequencies, free.slots_of(features=features, weights=weights)).n_points
        return batch * (1 + points)

    def _run(self, circuit: Circuit, features: Tensor, weights: Tensor, amplitudes: Tensor | None) -> Tensor:
        free = self.free(circuit)
        wanted = torch.is_grad_enabled()
        if wanted and amplitudes is not None and amplitudes.requires_grad:
            raise CapabilityError(
                f"a gradient in the amplitudes was asked of backend {self.label!r}",
                expected="gradients in features and weights: amplitudes have no shift rule",
                todo=f"run that circuit on {DEFAULT_BACKEND!r}",
            )
        if not (wanted and (features.requires_grad or weights.requires_grad)):
            return self._of_rows(free, free.values(features, weights), amplitudes).values.to(features)
        if self.options.gradient is Gradient.SPSA:
            return self._by_spsa(free, features, weights, amplitudes)
        slots = free.slots_of(features=features.requires_grad, weights=weights.requires_grad)
        angles = free.values(features, weights)
        return self._measured(free, angles, amplitudes, ShiftRule(free.frequencies, slots))

    def _estimate(
        self, circuit: Circuit, features: Tensor, weights: Tensor, amplitudes: Tensor | None
    ) -> Estimate:
        free = self.free(circuit)
        return self._of_rows(free, free.values(features, weights), amplitudes).to(features)

    def _by_spsa(
        self, free: FreeCircuit, features: Tensor, weights: Tensor, amplitudes: Tensor | None
    ) -> Tensor:
        """Displaces features and weights together, but only those whose gradient is wanted."""
        rows = weights.expand(len(features), -1)
        moved = [each for each in (features, rows) if each.requires_grad]
        parameters = torch.cat(moved, dim=1)
        given = torch.cat([features, rows], dim=1).detach().cpu()
        seed = derive_seed(self.options.seed + 1, free.circuit, given, to_double(amplitudes))
        rule = SPSA(self.options.directions, self.options.step, torch.Generator().manual_seed(seed))

        def angles_of(points: Tensor) -> Tensor:
            times = len(points) // len(features)
            parts = iter(points.split([each.shape[1] for each in moved], dim=1))
            return free.values(
                *(
                    next(parts) if each.requires_grad else each.detach().repeat_interleave(times, dim=0)
                    for each in (features, rows)
                )
            )

        return self._measured(free, parameters, amplitudes, rule, angles_of)

    def _measured(
        self,
        free: FreeCircuit,
        parameters: Tensor,
        amplitudes: Tensor | None,
        rule: Rule,
        angles_of: Any = lambda points: points,
    ) -> Tensor:
        def run(points: Tensor) -> Tensor:
            rows = amplitudes
            if rows is not None:
                rows = rows.repeat_interleave(len(points) // len(rows), dim=0)
            return self._of_rows(free, angles_of(points), rows).values.to(points)

        return measured(parameters, run, rule)

    def _of_rows(self, free: FreeCircuit, angles: Tensor, amplitudes: Tensor | None) -> Estimate:
        return self._execute(free.circuit, angles.detach().cpu().double(), _unit_in_double(amplitudes))


def _unit_in_double(amplitudes: Tensor | None) -> Tensor | None:
    """Amplitudes of unit norm in double precision: simulators check more digits than float32 has."""
    double = to_double(amplitudes)
    if double is None or amplitudes is None or amplitudes.dtype is double.dtype:
        return double
    unit: Tensor = double / torch.linalg.vector_norm(double, dim=1, keepdim=True)
    return unit


def to_double(amplitudes: Tensor | None) -> Tensor | None:
    """Amplitudes as `_execute` takes them: detached, in double precision, on the CPU."""
    if amplitudes is None:
        return None
    return amplitudes.detach().cpu().to(torch.promote_types(amplitudes.dtype, torch.float64))


def derive_seed(seed: int, circuit: Circuit, angles: Tensor, amplitudes: Tensor | None = None) -> int:
    """A seed for one submission, computed from its inputs.

    Samples depend on the inputs and not on earlier calls: a resumed training draws the samples of the
    uninterrupted one, and no generator's state has to be saved.
    """
    content = hashlib.sha256(f"{seed} {circuit.digest()}".encode())
    for each in (angles, amplitudes):
        if each is not None:
            content.update(each.contiguous().numpy().tobytes())
    return int.from_bytes(content.digest()[:7])
