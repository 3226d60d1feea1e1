"""The native state-vector simulator: batched, differentiable, on CPU and accelerators."""

from hybridqies.engine.compilation import Compilation, compile_kernels, watch_compilation
from hybridqies.engine.cone_plan import ConePlan, compile_cones, pick_plan
from hybridqies.engine.cones import Cone, find_cones
from hybridqies.engine.costs import PlanCosts, count_costs, count_work
from hybridqies.engine.plan import Plan, Rules, compile_plan
from hybridqies.engine.simulate import all_finite, bytes_needed, expectations, refuse_transforms
from hybridqies.engine.state_plans import StatePlan, compile_states, final_states
from hybridqies.engine.workspace import Workspace

__all__ = [
    "Compilation",
    "Cone",
    "ConePlan",
    "Plan",
    "PlanCosts",
    "Rules",
    "StatePlan",
    "Workspace",
    "all_finite",
    "bytes_needed",
    "compile_cones",
    "compile_kernels",
    "compile_plan",
    "compile_states",
    "count_costs",
    "count_work",
    "expectations",
    "final_states",
    "find_cones",
    "pick_plan",
    "refuse_transforms",
    "watch_compilation",
]
