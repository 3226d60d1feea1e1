"""The native state-vector simulator: batched, differentiable, on CPU and accelerators."""

from hybridqies.engine.program import Program, compile_program
from hybridqies.engine.simulate import bytes_needed, expectations

__all__ = ["Program", "bytes_needed", "compile_program", "expectations"]
