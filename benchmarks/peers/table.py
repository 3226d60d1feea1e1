"""All that is timed, one row each: its name, the file that drives it, and the environment it needs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

TORCH = "torch==2.13.0"
PENNYLANE = ("pennylane==0.45.1", "pennylane-lightning==0.45.0", TORCH)

# Environments by name: pip requirements. Peers with the same requirements share one.
ENVIRONMENTS: dict[str, tuple[str, ...]] = {
    "pennylane": PENNYLANE,
    "pennylane-jax": ("pennylane==0.45.1", "jax==0.7.1", "jaxlib==0.7.1"),
    "deepquantum": ("deepquantum==4.5.0", TORCH),
    "tensorcircuit": ("tensorcircuit-ng==1.10.0", "jax==0.10.2", "jaxlib==0.10.2"),
    "pyqtorch": ("pyqtorch==1.7.8", TORCH),
    "pennylane-jax-cuda": ("pennylane==0.45.1", "jax[cuda12]==0.7.1"),
    "tensorcircuit-cuda": ("tensorcircuit-ng==1.10.0", "jax[cuda12]==0.10.2"),
    "lightning-gpu": (*PENNYLANE, "pennylane-lightning-gpu==0.45.0", "custatevec-cu12==1.15.0"),
}


@dataclass(frozen=True, slots=True)
class Peer:
    """One row: `module` is what drives it; no `environment` means the project's own interpreter."""

    name: str
    module: str
    environment: str | None
    device: str = "cpu"

    def python(self, peers_dir: Path | None) -> Path:
        """The interpreter of its environment below `peers_dir`, else the one that runs this."""
        if self.environment is None or peers_dir is None:
            return Path(sys.executable)
        return peers_dir.absolute() / self.environment / "bin" / "python"


_ROWS = (
    Peer("default.qubit", "peers.default_qubit", "pennylane"),
    Peer("default.qubit-jax", "peers.default_qubit_jax", "pennylane-jax"),
    Peer("lightning.qubit", "peers.lightning", "pennylane"),
    Peer("deepquantum", "peers.deep_quantum", "deepquantum"),
    Peer("tensorcircuit-jax", "peers.tensorcircuit_jax", "tensorcircuit"),
    Peer("pyqtorch", "peers.pyq", "pyqtorch"),
    Peer("ours-cuda", "peers.ours", None, device="cuda"),
    Peer("default.qubit-cuda", "peers.default_qubit", "pennylane", device="cuda"),
    Peer("default.qubit-jax-cuda", "peers.default_qubit_jax", "pennylane-jax-cuda", device="cuda"),
    Peer("tensorcircuit-jax-cuda", "peers.tensorcircuit_jax", "tensorcircuit-cuda", device="cuda"),
    Peer("deepquantum-cuda", "peers.deep_quantum", "deepquantum", device="cuda"),
    Peer("lightning.gpu", "peers.lightning", "lightning-gpu", device="cuda"),
)

OURS = Peer("ours", "peers.ours", None)
PEERS: dict[str, Peer] = {row.name: row for row in _ROWS}
