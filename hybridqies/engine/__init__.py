"""The native state-vector simulator: batched, differentiable, on CPU and accelerators."""

from hybridqies.engine.counts import Counts, plan_counts
from hybridqies.engine.plan import Plan, Rules, compile_plan
from hybridqies.engine.simulate import bytes_needed, expectations

__all__ = ["Counts", "Plan", "Rules", "bytes_needed", "compile_plan", "expectations", "plan_counts"]
