"""The plans of circuits for the native simulator, in one cache that is bounded in bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from hybridqies.backends.circuit_cache import CircuitCache
from hybridqies.backends.measurement_bases import split_by_basis
from hybridqies.backends.noise import Trajectories
from hybridqies.circuit import Circuit
from hybridqies.engine import (
    Cone,
    ConePlan,
    Plan,
    StatePlan,
    Workspace,
    compile_cones,
    compile_plan,
    compile_states,
    find_cones,
    pick_plan,
)

_MOST_BYTES = 2**28


class CompiledCircuit:
    """The plans of one circuit, each compiled when it is first asked for; `on_growth` is called then."""

    def __init__(self, circuit: Circuit, workspace: Workspace, on_growth: Callable[[], None]) -> None:
        self._circuit, self._workspace, self._on_growth = circuit, workspace, on_growth
        self._plans: dict[bool, Plan] = {}
        self._exact_plans: dict[bool, Plan | ConePlan] = {}
        self._cone_plans: dict[bool, ConePlan] = {}
        self._state_plans: dict[bool, StatePlan] = {}
        self._readouts: list[StatePlan] | None = None

    def plan(self, *, batched_weights: bool) -> Plan:
        """The plan of its expectations."""
        if batched_weights not in self._plans:
            self._plans[batched_weights] = compile_plan(
                self._circuit, batched_weights=batched_weights, workspace=self._workspace
            )
            self._on_growth()
        return self._plans[batched_weights]

    def exact_plan(self, *, batched_weights: bool) -> Plan | ConePlan:
        """The cheaper way to its expectations by counted work: the whole state, or its light cones."""
        if batched_weights not in self._exact_plans:
            self._exact_plans[batched_weights] = pick_plan(
                self._circuit,
                self.plan(batched_weights=batched_weights),
                batched_weights=batched_weights,
                workspace=self._workspace,
            )
            self._on_growth()
        return self._exact_plans[batched_weights]

    def cone_plan(self, *, batched_weights: bool) -> ConePlan:
        """The plan of its light cones, whatever they cost."""
        if batched_weights not in self._cone_plans:
            self._cone_plans[batched_weights] = compile_cones(
                self.cones, batched_weights=batched_weights, workspace=self._workspace
            )
            self._on_growth()
        return self._cone_plans[batched_weights]

    @cached_property
    def cones(self) -> tuple[Cone, ...]:
        """The light cones of its observables."""
        return find_cones(self._circuit)

    @cached_property
    def widest_cone(self) -> Cone:
        """The first of those that need the most qubits."""
        return max(self.cones, key=lambda cone: cone.n_qubits)

    def state_plan(self, *, batched_weights: bool) -> StatePlan:
        """The plan of its final state."""
        if batched_weights not in self._state_plans:
            self._state_plans[batched_weights] = compile_states(
                self._circuit, batched_weights=batched_weights, workspace=self._workspace
            )
            self._on_growth()
        return self._state_plans[batched_weights]

    @property
    def readouts(self) -> list[StatePlan]:
        """A plan for each measurement basis; every sample brings its own weights."""
        if self._readouts is None:
            self._readouts = [
                compile_states(each, batched_weights=True, workspace=self._workspace)
                for each in split_by_basis(self._circuit)
            ]
            self._on_growth()
        return self._readouts

    @cached_property
    def trajectories(self) -> Trajectories:
        """The circuit with room for errors."""
        return Trajectories.of(self._circuit)

    @property
    def nbytes(self) -> int:
        """The bytes of its plans."""
        states = [*self._state_plans.values(), *(self._readouts or ())]
        exact = [*self._plans.values(), *self._exact_plans.values(), *self._cone_plans.values()]
        # The plan that was picked may be one of the others.
        different = {id(plan): plan for plan in [*exact, *(each.plan for each in states)]}
        return sum(plan.nbytes for plan in different.values())


class PlanCache(CircuitCache[CompiledCircuit]):
    """The plans of the circuits used last, and the arrays that all plans share.

    Plans take `most_bytes` together at most, but for those of the last circuit, which are always kept.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._workspace = Workspace()
        self._most_bytes = most_bytes
        super().__init__(lambda circuit: CompiledCircuit(circuit, self._workspace, self._drop_oldest))

    @property
    def nbytes(self) -> int:
        """The bytes held between calls: plans, and arrays for the next call."""
        return self._workspace.nbytes + self._plan_bytes()

    def is_full(self) -> bool:
        """Whether more is held than may be."""
        return super().is_full() or self._plan_bytes() > self._most_bytes

    def _plan_bytes(self) -> int:
        return sum(each.nbytes for each in self.values())
