"""Compiled plans by the structure of the tapes that they run."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import TypeVar

from hybridqies.engine import Plan, StatePlan, Workspace, compile_plan, compile_states
from hybridqies.pennylane_device.tape import Structure, circuit_of

Compiled = TypeVar("Compiled", Plan, StatePlan)

_MOST_PLANS, _MOST_BYTES = 256, 2**28


class Plans:
    """The plans used last, so that each structure is compiled once: 256 at most, and 256 MiB."""

    def __init__(self) -> None:
        self._workspace = Workspace()
        self._plans: OrderedDict[Hashable, Plan | StatePlan] = OrderedDict()

    def expectations(self, structure: Structure) -> Plan:
        """The plan for the expectations that a structure names."""
        return self._find(
            ("expectations", structure),
            lambda: compile_plan(circuit_of(structure), workspace=self._workspace),
        )

    def states(self, structure: Structure) -> StatePlan:
        """The plan for the final state of a structure."""
        return self._find(
            ("states", structure), lambda: compile_states(circuit_of(structure), workspace=self._workspace)
        )

    @property
    def n_plans(self) -> int:
        """How many plans are held, of expectations and of final states."""
        return len(self._plans)

    @property
    def nbytes(self) -> int:
        """The bytes held between calls: plans, and arrays for the next call."""
        return self._workspace.nbytes + self._plan_bytes()

    def _find(self, key: Hashable, make: Callable[[], Compiled]) -> Compiled:
        found: Compiled | None = self._plans.get(key)  # type: ignore[assignment]
        if found is None:
            found = make()
            self._plans[key] = found
            while len(self._plans) > 1 and (
                len(self._plans) > _MOST_PLANS or self._plan_bytes() > _MOST_BYTES
            ):
                self._plans.popitem(last=False)
        # Another thread may have dropped it.
        with suppress(KeyError):
            self._plans.move_to_end(key)
        return found

    def _plan_bytes(self) -> int:
        plans = (each.plan if isinstance(each, StatePlan) else each for each in list(self._plans.values()))
        return sum(each.nbytes for each in plans)

    def __deepcopy__(self, memo: dict[int, object]) -> Plans:
        return Plans()

    def __reduce__(self) -> tuple[type[Plans], tuple[()]]:
        return Plans, ()
