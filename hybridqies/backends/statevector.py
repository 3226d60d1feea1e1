"""The native state-vector simulator as a backend: exact expectations, adjoint gradients."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from hybridqies.backends.base import Backend, Capabilities
from hybridqies.circuit import Circuit
from hybridqies.engine import Plan, bytes_needed, compile_plan, expectations
from hybridqies.errors import CapabilityError

# Bytes that are not worth asking the system for: the question takes longer than a small circuit.
_ALWAYS_THERE = 2**26


class StateVector(Backend):
    """Exact, noiseless, batched, on the CPU or on the CUDA device of its tensors."""

    name: ClassVar[str] = "statevector"
    summary: ClassVar[str] = "native simulator: exact expectations, adjoint gradients, CPU and CUDA tensors"
    capabilities: ClassVar[Capabilities] = Capabilities(
        native_gradients=True,
        shots=False,
        noise=False,
        hardware=False,
        amplitude_input=True,
        max_qubits=28,
        costs_money=False,
    )

    def __init__(self) -> None:
        # By identity: hashing a circuit of a thousand gates would cost more than looking it up saves.
        self._plans: dict[tuple[int, bool], tuple[Circuit, Plan]] = {}

    def _run(self, circuit: Circuit, features: Tensor, weights: Tensor, amplitudes: Tensor | None) -> Tensor:
        plan = self._plan(circuit, weights.dim() == 2)
        # Sixteen complex numbers an amplitude are more than any state needs.
        if features.shape[0] << plan.n_qubits > _ALWAYS_THERE // 256:
            _check_memory(features, plan.n_qubits, bytes_needed(plan, features, amplitudes))
        return expectations(plan, features, weights, amplitudes)

    def _plan(self, circuit: Circuit, batched_weights: bool) -> Plan:
        key = (id(circuit), batched_weights)
        held = self._plans.get(key)
        if held is None or held[0] is not circuit:
            held = (circuit, compile_plan(circuit, batched_weights=batched_weights))
            self._plans[key] = held
        return held[1]


def _check_memory(features: Tensor, n_qubits: int, asked: int) -> None:
    free = _free_bytes(features.device)
    if asked > free:
        raise CapabilityError(
            f"{features.shape[0]} samples of {n_qubits} qubits need about {asked / 2**30:.1f} GiB",
            expected=f"at most the {free / 2**30:.1f} GiB free on {features.device}",
            todo="use fewer qubits or a smaller batch",
        )


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        # What torch keeps cached is not free to the device, and free to us.
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + cached
    return _free_host_bytes()


def _free_host_bytes() -> int:
    """Memory that can be had without swapping; all of it where the system doesn't say what is in use."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        rows = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return int(rows["MemAvailable"].split()[0]) * 1024
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 2**63
