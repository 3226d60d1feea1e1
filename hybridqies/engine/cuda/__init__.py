"""Kernels for NVIDIA GPUs: CUDA C++ in `source/`, compiled by NVRTC when a card first needs them."""

from hybridqies.engine.cuda.compiler import is_compiler_installed
from hybridqies.engine.cuda.kernels import CudaKernels

__all__ = ["CudaKernels", "is_compiler_installed"]
