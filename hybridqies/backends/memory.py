"""How much memory there is, and the refusal of states that need more."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from hybridqies.errors import CapabilityError


def check_memory(
    features: Tensor,
    n_qubits: int,
    asked: int,
    todo: str | Callable[[int], str] = "use fewer qubits or a smaller batch",
) -> None:
    """Refuses a batch that needs more than the memory that is free on its device.

    `todo` may be computed from the free bytes, where the batch is refused.

    Raises
    ------
    CapabilityError: with what was asked for, what is free, and what to do.
    """
    free = free_bytes(features.device)
    if asked > free:
        raise CapabilityError(
            f"{features.shape[0]} samples of {n_qubits} qubits need about {asked / 2**30:.1f} GiB",
            expected=f"at most the {free / 2**30:.1f} GiB free on {features.device}",
            todo=todo if isinstance(todo, str) else todo(free),
        )


def advise(
    needed: Callable[[Tensor], int], features: Tensor, free: int, *, copies: int = 1, others: str = ""
) -> str:
    """What would hold states that do not fit: as many samples as do, single precision, or more memory.

    `needed` gives the bytes for features (B, F) of some number of rows and precision; each sample has
    `copies` rows. `others` are further ways.
    """
    rows = features.shape[0]
    fitting = bisect_right(range(1, rows + 1), free, key=lambda count: needed(features[:count])) // copies
    ways = [f"a batch of at most {fitting}"] if fitting else []
    if features.dtype == torch.float64 and needed(features.new_empty(rows, 0, dtype=torch.float32)) <= free:
        ways.append("float32")
    owner = "a GPU" if features.device.type == "cuda" else "a machine"
    ways.append(f"{owner} with {needed(features) / 2**30:.1f} GiB free")
    if others:
        ways.append(others)
    return "use " + ", or ".join(ways)


def fits_memory(features: Tensor, asked: int) -> bool:
    """Whether that many bytes are free on the device of a batch."""
    return asked <= free_bytes(features.device)


def free_bytes(device: torch.device) -> int:
    """Bytes that can still be allocated on a device; on the CPU without swapping."""
    if device.type == "cuda":
        # Memory that torch keeps cached counts as used on the device, but torch can reuse it.
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + cached
    return _free_host_bytes()


def _free_host_bytes() -> int:
    """Memory available without swapping; the whole memory where the system doesn't say what is in use."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        rows = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return int(rows["MemAvailable"].split()[0]) * 1024
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 2**63
