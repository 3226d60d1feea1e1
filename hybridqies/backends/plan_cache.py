"""What is compiled of a circuit for the native simulator, in one bounded cache."""

from __future__ import annotations

from functools import cached_property, partial

from hybridqies.backends.circuit_cache import CircuitCache
from hybridqies.backends.measurement_bases import split_by_basis
from hybridqies.backends.noise import Trajectories
from hybridqies.circuit import Circuit
from hybridqies.engine import Plan, StatePlan, Workspace, compile_plan, compile_states


class CompiledCircuit:
    """What one circuit needs to run, each part compiled when it is first asked for."""

    def __init__(self, circuit: Circuit, workspace: Workspace) -> None:
        self._circuit, self._workspace = circuit, workspace
        self._plans: dict[bool, Plan] = {}
        self._state_plans: dict[bool, StatePlan] = {}

    def plan(self, *, batched_weights: bool) -> Plan:
        """The plan of its expectations."""
        if batched_weights not in self._plans:
            self._plans[batched_weights] = compile_plan(
                self._circuit, batched_weights=batched_weights, workspace=self._workspace
            )
        return self._plans[batched_weights]

    def state_plan(self, *, batched_weights: bool) -> StatePlan:
        """The plan of its final state."""
        if batched_weights not in self._state_plans:
            self._state_plans[batched_weights] = compile_states(
                self._circuit, batched_weights=batched_weights, workspace=self._workspace
            )
        return self._state_plans[batched_weights]

    @cached_property
    def readouts(self) -> list[StatePlan]:
        """A plan for each basis that it is read in, with weights a sample."""
        return [
            compile_states(each, batched_weights=True, workspace=self._workspace)
            for each in split_by_basis(self._circuit)
        ]

    @cached_property
    def trajectories(self) -> Trajectories:
        """The circuit with room for errors."""
        return Trajectories.of(self._circuit)

    @property
    def nbytes(self) -> int:
        """The bytes of its plans."""
        states = [*self._state_plans.values(), *self.__dict__.get("readouts", ())]
        return sum(plan.nbytes for plan in [*self._plans.values(), *(each.plan for each in states)])


class PlanCache(CircuitCache[CompiledCircuit]):
    """What was compiled of the circuits used last, and the arrays that all of their plans share."""

    def __init__(self) -> None:
        self._workspace = Workspace()
        super().__init__(partial(CompiledCircuit, workspace=self._workspace))

    @property
    def nbytes(self) -> int:
        """The bytes held between calls: plans, and arrays for the next call."""
        return self._workspace.nbytes + sum(each.nbytes for each in self.values())
