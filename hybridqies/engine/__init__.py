"""The native state-vector simulator: batched, differentiable, on CPU and accelerators."""

from hybridqies.engine.counts import Counts, plan_counts
from hybridqies.engine.final import StatePlan, compile_states, final_states
from hybridqies.engine.plan import Plan, Rules, compile_plan
from hybridqies.engine.simulate import all_finite, bytes_needed, expectations

__all__ = [
    "Counts",
    "Plan",
    "Rules",
    "StatePlan",
    "all_finite",
    "bytes_needed",
    "compile_plan",
    "compile_states",
    "expectations",
    "final_states",
    "plan_counts",
]
