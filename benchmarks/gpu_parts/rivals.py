"""Peers on the same card: their values first, then their times beside ours."""

from __future__ import annotations

import importlib.util
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path

import torch
from peers import table
from peers.bench import BENCHMARKS, TOLERANCE, child_environment, largest_difference, last_line
from peers.series import FOUND, GIVEN, REFUSED
from peers.workload import read_result

from gpu_parts.cells import SECONDS, Cell, Row, Run
from gpu_parts.steps import CIRCUITS, SIZES

OURS, OUR_TOLERANCE = "ours-cuda", 1e-5
# How many times faster a step has to be than the fastest peer's.
GOALS = {4: 3, 8: 10}
GOAL = 20
# Seconds of each peer's process; what it has not done then has no time.
PATIENCE = {OURS: 40.0}
PEER_PATIENCE = 18.0
# What has to be importable where a peer has no environment of its own.
IMPORTS = {
    "default.qubit-cuda": ("pennylane",),
    "default.qubit-jax-cuda": ("pennylane", "jax", "jax_cuda12_plugin"),
    "tensorcircuit-jax-cuda": ("tensorcircuit", "jax", "jax_cuda12_plugin"),
    "deepquantum-cuda": ("deepquantum",),
    "lightning.gpu": ("pennylane_lightning", "custatevec"),
}
EXPECTED = {
    "peers": [
        ("ours: imports, then figures", 1, 12 + 2 * len(SIZES) * (SECONDS + 0.2)),
        ("peers that are installed, at most", len(IMPORTS), PEER_PATIENCE),
    ],
}
Figures = dict[str, float | str]


def time_peers(run: Run) -> list[Row]:
    """Whole steps of ours and of the peers that are installed, on the same inputs; absent ones are named."""
    if run.device.type == "cuda":
        # What torch keeps here is not free for them.
        torch.cuda.empty_cache()
    # Each peer takes them in this order, as far as its time goes.
    sizes = product(CIRCUITS, SIZES.items())
    cells = {f"{at:02}": run.cell(name, *size) for at, (name, size) in enumerate(sizes)}
    by_peer = {name: figures_of(run, table.PEERS[name], cells) for name in (OURS, *IMPORTS)}
    return [
        row_of(cell, {name: found[key] for name, found in by_peer.items()}) for key, cell in cells.items()
    ]


def row_of(cell: Cell, found: Mapping[str, float | str]) -> Row:
    """One cell: each peer's milliseconds, or why it has none, and how often ours fit into the fastest."""
    n_qubits, ours = cell.circuit.n_qubits, found[OURS]
    times = {name: each for name, each in found.items() if name != OURS and isinstance(each, float)}
    row: Row = {"circuit": cell.circuit.name, "qubits": n_qubits, "batch": cell.batch, **found}
    row["goal"] = GOALS.get(n_qubits, GOAL)
    if times and isinstance(ours, float):
        fastest = min(times, key=lambda name: times[name])
        row |= {"fastest peer": fastest, "times faster": times[fastest] / ours}
    # Peers may be wrong or slow; our own step may not fail.
    return row | {"failed": not isinstance(ours, float) and not ours.startswith("not done")}


def figures_of(run: Run, peer: table.Peer, cells: Mapping[str, Cell]) -> Figures:
    """Milliseconds of a peer's steps by cell, or why there are none."""
    python, missing = find_python(peer)
    if missing:
        return dict.fromkeys(cells, f"absent: {missing}")
    seconds = min(PATIENCE.get(peer.name, PEER_PATIENCE), run.left())
    if seconds <= 0:
        return dict.fromkeys(cells, "not done: the time of --limit is over")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for key, cell in cells.items():
            replace(cell.work, device=run.device.type).write(folder / (key + GIVEN))
        command = [str(python), "-P", "-m", "peers.series", peer.module, place, "--threads", "2"]
        command += ["--seconds", str(SECONDS)]
        try:
            done = subprocess.run(
                command,
                # JAX would take three quarters of the card's memory at once.
                env=child_environment(2) | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"},
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
            why = "failed: " + last_line(done.stderr, done.returncode)
        except subprocess.TimeoutExpired:
            why = f"not done after {seconds:.0f} s"
        allowed = OUR_TOLERANCE if peer.name == OURS else TOLERANCE["float32"]
        return {key: figure(folder / key, cell, allowed, why) for key, cell in cells.items()}


def figure(path: Path, cell: Cell, allowed: float, otherwise: str) -> float | str:
    """The median of a cell's steps in milliseconds, if its values are right; else why there is none."""
    refused, measured = (path.with_name(path.name + ending) for ending in (REFUSED, FOUND))
    if refused.exists():
        return f"failed: {refused.read_text()}"
    if not measured.exists():
        return otherwise
    timing, found = read_result(measured)
    apart = largest_difference(found, cell.expected)
    return 1e3 * statistics.median(timing.steps) if apart <= allowed else f"differs by {apart:.1e}"


def find_python(peer: table.Peer) -> tuple[Path, str]:
    """The interpreter that has a peer, and what is missing where none has."""
    own = peer.python(BENCHMARKS.parent / ".peers")
    if own.exists():
        return own, ""
    absent = [name for name in IMPORTS.get(peer.name, ()) if importlib.util.find_spec(name) is None]
    return Path(sys.executable), " ".join(absent)
