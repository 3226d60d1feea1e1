"""The native state-vector simulator as a backend: exact by default, sampled or noisy when asked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from hybridqies.backends.base import Capabilities, Variant
from hybridqies.backends.estimate import Estimate
from hybridqies.backends.executor import ExecutingBackend, derive_seed, to_double
from hybridqies.backends.frequencies import Frequencies, estimate_observables
from hybridqies.backends.gradient_rules import Gradient
from hybridqies.backends.memory import advise, check_memory, fits_memory
from hybridqies.backends.noise import Noise, NoiseOptions
from hybridqies.backends.plan_cache import PlanCache
from hybridqies.backends.resources import ExactCost
from hybridqies.circuit import Circuit, Start
from hybridqies.engine import ConePlan, Plan, bytes_needed, count_work, expectations, final_states
from hybridqies.errors import CapabilityError
from hybridqies.options import within

# Fewer bytes are not checked against the memory that is free: asking takes longer than a small circuit.
_ALWAYS_THERE = 2**26
# Bytes per sampled amplitude: two complex numbers while it is reordered, a probability and a count.
_BYTES_SAMPLED = 48
# Amplitudes sampled at a time; larger batches are split.
_AT_ONCE = 2**23


@dataclass(frozen=True, slots=True)
class StateVectorOptions(NoiseOptions):
    """Shots and noise of the native simulator; without either it is exact.

    Errors are averaged over `trajectories` runs with errors drawn at random.
    With `gradient` adjoint, values may be sampled and the gradient is the exact one.
    """

    gradient: Gradient = Gradient.ADJOINT
    trajectories: int = 100

    def __post_init__(self) -> None:
        NoiseOptions.__post_init__(self)
        within(self, "backend option", trajectories=(2, 1e6))
        if not self.noise.has_gate_errors:
            self.refuse_idle("gate noise", "trajectories")


class StateVector(ExecutingBackend):
    """Batched, on the CPU or on the CUDA device of its tensors; shots and errors are drawn on the CPU."""

    name: ClassVar[str] = "statevector"
    variants: ClassVar[tuple[Variant, ...]] = (
        Variant(
            "",
            "native simulator: exact with adjoint gradients, shots, Pauli and readout noise",
            Capabilities(
                native_gradients=True,
                shots=True,
                noise=True,
                hardware=False,
                amplitude_input=True,
                max_qubits=28,
                costs_money=False,
                light_cones=True,
            ),
        ),
    )
    Options: ClassVar[type] = StateVectorOptions

    def __init__(self, target: str = "", **options: Any) -> None:
        super().__init__(target, **options)
        self.noise: Noise = self.options.noise
        self._is_exact = self.options.shots is None and self.noise.is_none
        self._compiled = PlanCache()

    @property
    def is_exact(self) -> bool:
        """Whether it was asked for neither shots nor noise."""
        return self._is_exact

    @property
    def _is_exact_with_gradients(self) -> bool:
        """Whether no call ever needs the whole state."""
        return self._is_exact and self.options.gradient is Gradient.ADJOINT

    @property
    def bytes_held(self) -> int:
        """Bytes kept between calls: the plans of the last circuits, and arrays for the next call."""
        return self._compiled.nbytes

    def _run(self, circuit: Circuit, features: Tensor, weights: Tensor, amplitudes: Tensor | None) -> Tensor:
        adjoint = self.options.gradient is Gradient.ADJOINT
        if self.is_exact and adjoint:
            return self._run_exactly(circuit, features, weights, amplitudes)
        given = [features, weights] if amplitudes is None else [features, weights, amplitudes]
        wants_gradient = torch.is_grad_enabled() and any(each.requires_grad for each in given)
        if self.is_exact and not wants_gradient:
            return self._run_exactly(circuit, features, weights, amplitudes)
        if not (wants_gradient and adjoint):
            return super()._run(circuit, features, weights, amplitudes)
        smooth = self._average_trajectories(circuit, features, weights, amplitudes)
        if self.options.shots is None:
            return smooth
        with torch.no_grad():
            sampled = super()._run(circuit, features, weights, amplitudes)
        # The value is the sampled one, the gradient that of the exact expectation.
        return smooth + (sampled - smooth).detach()

    def _estimate(
        self, circuit: Circuit, features: Tensor, weights: Tensor, amplitudes: Tensor | None
    ) -> Estimate:
        if self.is_exact:
            return Estimate(self._run_exactly(circuit, features, weights, amplitudes))
        return super()._estimate(circuit, features, weights, amplitudes)

    def _run_exactly(
        self,
        circuit: Circuit,
        features: Tensor,
        weights: Tensor,
        amplitudes: Tensor | None,
        copies: int = 1,
    ) -> Tensor:
        """Expectations without shots; each sample has `copies` rows of their own."""
        batched = weights.dim() == 2
        plan = self._exact_plan(circuit, batched_weights=batched)
        if isinstance(plan, ConePlan):
            return self._run_cones(plan, features, weights)
        # No pass needs more than sixteen complex numbers per amplitude.
        if features.shape[0] << plan.n_qubits > _ALWAYS_THERE // 256:
            needed = bytes_needed(plan, features, amplitudes)
            if amplitudes is None and not fits_memory(features, needed):
                smaller = self._compiled(circuit).cone_plan(batched_weights=batched)
                if smaller.bytes_needed(features) < needed:
                    return self._run_cones(smaller, features, weights)
            others = "backend tensor:mps" if self._is_exact and amplitudes is None else ""
            advice = partial(
                advise,
                lambda given: bytes_needed(plan, given, amplitudes),
                features,
                copies=copies,
                others=others,
            )
            check_memory(features, plan.n_qubits, needed, advice)
        return expectations(plan, features, weights, amplitudes)

    def _run_cones(self, plan: ConePlan, features: Tensor, weights: Tensor) -> Tensor:
        needed = plan.bytes_needed(features)
        if needed > _ALWAYS_THERE:
            check_memory(features, plan.n_qubits, needed, partial(advise, plan.bytes_needed, features))
        return plan.expectations(features, weights)

    def _check_size(self, circuit: Circuit) -> None:
        """Refuses what is neither a state that fits nor a circuit whose light cones do."""
        most = self.capabilities.max_qubits
        if circuit.n_qubits <= most:
            return
        if circuit.start is Start.AMPLITUDES:
            super()._check_size(circuit)
        if not self._is_exact_with_gradients:
            raise CapabilityError(
                f"{circuit.n_qubits} qubits were asked of backend {self.spec!r}, which runs the whole state",
                expected=f"at most {most} qubits",
                todo=f"use {self.name!r} without options, which runs the light cone of each observable",
            )
        widest = self._compiled(circuit).widest_cone
        if widest.n_qubits > most:
            observable = circuit.observables[widest.members[0]]
            raise CapabilityError(
                f"the light cone of observable {observable} of circuit {circuit.name!r} has "
                f"{widest.n_qubits} qubits, too many for backend {self.label!r}",
                expected=f"at most {most} in each cone",
                todo="use fewer layers of entangling gates, gates of shorter reach, or CZ in place of CNOT",
            )

    def exact_cost(self, circuit: Circuit) -> ExactCost | None:
        """Its way to the expectations of a circuit, as picked by counted work; None with shots or noise.

        Raises
        ------
        CapabilityError: as `check`.
        """
        if not self._is_exact_with_gradients:
            return None
        self.check(circuit)
        plan = self._exact_plan(circuit, batched_weights=False)
        if isinstance(plan, ConePlan):
            fits = circuit.n_qubits <= self.capabilities.max_qubits
            whole = count_work(self._compiled(circuit).plan(batched_weights=False)) if fits else None
            return ExactCost(True, plan.n_cones, plan.n_qubits, plan.work, whole)
        return ExactCost(False, 1, plan.n_qubits, count_work(plan))

    def _exact_plan(self, circuit: Circuit, *, batched_weights: bool) -> Plan | ConePlan:
        compiled = self._compiled(circuit)
        if circuit.n_qubits > self.capabilities.max_qubits:
            return compiled.cone_plan(batched_weights=batched_weights)
        return compiled.exact_plan(batched_weights=batched_weights)

    @property
    def gives_states(self) -> bool:
        """Only where it is exact."""
        return self.is_exact

    def _states(
        self, circuit: Circuit, features: Tensor, weights: Tensor, amplitudes: Tensor | None
    ) -> Tensor:
        super()._check_size(circuit)
        plan = self._compiled(circuit).state_plan(batched_weights=weights.dim() == 2)
        check_memory(features, circuit.n_qubits, (features.shape[0] << circuit.n_qubits) * _BYTES_SAMPLED)
        return final_states(plan, features, weights, amplitudes)

    def _average_trajectories(
        self, circuit: Circuit, features: Tensor, weights: Tensor, amplitudes: Tensor | None
    ) -> Tensor:
        """Expectations under the noise, averaged over its trajectories, with their exact gradient."""
        free, times = self.free(circuit), self._n_trajectories
        angles = free.values(features, weights)
        noisy, errors = self._draw_errors(free.circuit, angles.detach().cpu().double(), to_double(amplitudes))
        rows = angles.repeat_interleave(times, dim=0)
        if errors is not None:
            rows = torch.cat([rows, errors.to(rows)], dim=1)
        starts = None if amplitudes is None else amplitudes.repeat_interleave(times, dim=0)
        values = self._run_exactly(noisy, rows.new_zeros(len(rows), 0), rows, starts, copies=times)
        mean = values.reshape(len(features), times, -1).mean(dim=1)
        return mean * mean.new_tensor(self.noise.fading(circuit.observables))

    def _execute(self, circuit: Circuit, angles: Tensor, amplitudes: Tensor | None) -> Estimate:
        noisy, errors = self._draw_errors(circuit, angles, amplitudes)
        draw = np.random.default_rng(derive_seed(self.options.seed, circuit, angles, amplitudes))
        times = self._n_trajectories
        at_once = max(1, (_AT_ONCE >> circuit.n_qubits) // times)
        held = min(at_once, len(angles)) * times << circuit.n_qubits
        check_memory(angles, circuit.n_qubits, held * _BYTES_SAMPLED)
        pieces = []
        for at in range(0, len(angles), at_once):
            rows = angles[at : at + at_once].repeat_interleave(times, dim=0)
            if errors is not None:
                rows = torch.cat([rows, errors[at * times : at * times + len(rows)]], dim=1)
            starts = None
            if amplitudes is not None:
                starts = amplitudes[at : at + at_once].repeat_interleave(times, dim=0)
            pieces.append(self._sample(noisy, rows, starts, times, draw))
        covariances = [piece.covariance for piece in pieces if piece.covariance is not None]
        return Estimate(torch.cat([piece.values for piece in pieces]), torch.cat(covariances))

    def _sample(
        self,
        circuit: Circuit,
        rows: Tensor,
        starts: Tensor | None,
        times: int,
        draw: np.random.Generator,
    ) -> Estimate:
        """Estimates for `circuit`, averaged over every `times` consecutive rows."""
        read = []
        for plan in self._compiled(circuit).readouts:
            states = final_states(plan, rows.new_zeros(len(rows), 0), rows, starts)
            read.append(self.noise.blur((states.abs() ** 2).numpy()))
        averages = [
            Frequencies.of_probabilities(each.reshape(-1, times, each.shape[1]).mean(axis=1)) for each in read
        ]
        if self.options.shots is not None:
            averages = [each.sampled(self.options.shots, draw) for each in averages]
        result = estimate_observables(circuit, averages)
        if times == 1 or result.covariance is None:
            return result
        single = estimate_observables(circuit, [Frequencies.of_probabilities(each) for each in read]).values
        apart = single.reshape(len(result.values), times, -1)
        apart = apart - apart.mean(dim=1, keepdim=True)
        between = torch.einsum("nta,ntb->nab", apart, apart) / (times * (times - 1))
        return Estimate(result.values, result.covariance + between)

    @property
    def _n_trajectories(self) -> int:
        return int(self.options.trajectories) if self.noise.has_gate_errors else 1

    def _draw_errors(
        self, circuit: Circuit, angles: Tensor, amplitudes: Tensor | None
    ) -> tuple[Circuit, Tensor | None]:
        """The circuit with room for errors, and the errors of every trajectory of every row."""
        if not self.noise.has_gate_errors:
            return circuit, None
        paths = self._compiled(circuit).trajectories
        random = np.random.default_rng(derive_seed(self.options.seed, circuit, angles, amplitudes) ^ 1)
        rows = len(angles) * self._n_trajectories
        return paths.circuit, torch.from_numpy(paths.draw(self.noise, rows, random))
