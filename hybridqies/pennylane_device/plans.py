"""Compiled plans by the structure of the tapes that they run."""

from __future__ import annotations

from functools import lru_cache

from hybridqies.engine import Plan, StatePlan, Workspace, compile_plan, compile_states
from hybridqies.pennylane_device.tape import Structure, circuit_of

_PLANS = 128


class Plans:
    """The plans used last, so that each structure is compiled once."""

    def __init__(self) -> None:
        workspace = Workspace()

        @lru_cache(maxsize=_PLANS)
        def find_plan(structure: Structure) -> Plan:
            return compile_plan(circuit_of(structure), workspace=workspace)

        @lru_cache(maxsize=_PLANS)
        def find_state_plan(structure: Structure) -> StatePlan:
            return compile_states(circuit_of(structure), workspace=workspace)

        self._find_plan, self._find_state_plan = find_plan, find_state_plan

    def expectations(self, structure: Structure) -> Plan:
        """The plan for the expectations that a structure names."""
        return self._find_plan(structure)

    def states(self, structure: Structure) -> StatePlan:
        """The plan for the final state of a structure."""
        return self._find_state_plan(structure)

    @property
    def n_plans(self) -> int:
        """How many plans are held, of expectations and of final states."""
        return self._find_plan.cache_info().currsize + self._find_state_plan.cache_info().currsize

    def __deepcopy__(self, memo: dict[int, object]) -> Plans:
        return Plans()

    def __reduce__(self) -> tuple[type[Plans], tuple[()]]:
        return Plans, ()
