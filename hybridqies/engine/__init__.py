"""The native state-vector simulator: batched, differentiable, on CPU and accelerators."""

from hybridqies.engine.program import Program, compile_program
from hybridqies.engine.simulate import expectations

__all__ = ["Program", "compile_program", "expectations"]
