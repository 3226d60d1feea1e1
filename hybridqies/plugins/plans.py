"""Compiled plans by the structure of the tapes that they run."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from hybridqies.circuit import Circuit
from hybridqies.engine import Plan, StatePlan, compile_plan, compile_states
from hybridqies.plugins.tape import Structure, circuit_of

_PLANS = 128

Kind = TypeVar("Kind", Plan, StatePlan)


class Plans:
    """The plans that were asked for last, so that a structure is compiled once for all its steps."""

    def __init__(self) -> None:
        self._expectations: OrderedDict[Structure, Plan] = OrderedDict()
        self._states: OrderedDict[Structure, StatePlan] = OrderedDict()

    def expectations(self, structure: Structure) -> Plan:
        """The plan for the expectations that a structure names."""
        return _kept(self._expectations, structure, compile_plan)

    def states(self, structure: Structure) -> StatePlan:
        """The plan for the final state of a structure."""
        return _kept(self._states, structure, compile_states)


def _kept(held: OrderedDict[Structure, Kind], structure: Structure, make: Callable[[Circuit], Kind]) -> Kind:
    if structure not in held:
        held[structure] = make(circuit_of(structure))
        if len(held) > _PLANS:
            held.popitem(last=False)
    held.move_to_end(structure)
    return held[structure]
