"""The driver: runs every cell in processes of their own, compares results first, and keeps the record."""

from __future__ import annotations

import ctypes
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from peers.machine import facts
from peers.table import OURS, Peer
from peers.workload import Array, Timing, Workload, read_result

if TYPE_CHECKING:
    from hybridqies.circuit import Circuit

BENCHMARKS = Path(__file__).resolve().parents[1]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")

# Cores that others may keep busy before a measurement is repeated, and how often it is.
QUIET, RETRIES = 0.1, 2

# The largest difference from our float64 result, relative to the largest entry or 1.
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}

Entry: TypeAlias = dict[str, Any]
Found: TypeAlias = tuple[Array, Array, Array]


class FailedRunError(Exception):
    """A process that gave no result, and why, in one line."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How cells are run; `peers_dir` None means that every peer is in this interpreter."""

    threads: int
    peers_dir: Path | None
    give_up_after: float
    timeout: float
    seconds: float
    batch: int | None = None
    precision: str = "float32"

    def batch_at(self, n_qubits: int) -> int:
        """Samples in a batch: 32, and 8 from 18 qubits on, unless one was given."""
        return self.batch or (32 if n_qubits < 18 else 8)


def workload(circuit: str, n_qubits: int, batch: int, precision: str) -> Workload:
    """A circuit by name, as a workload."""
    from hybridqies import load_circuit

    return workload_of(load_circuit(circuit, n_qubits), batch, precision)


def workload_of(built: Circuit, batch: int, precision: str = "float32") -> Workload:
    """A circuit with features, weights and cotangents that follow from its size alone."""
    rng = np.random.default_rng(built.n_qubits)
    return Workload(
        circuit=built.to_mapping(),
        features=rng.uniform(-np.pi, np.pi, (batch, built.n_features)),
        weights=rng.uniform(-np.pi, np.pi, built.n_weights),
        cotangent=rng.standard_normal((batch, len(built.observables))),
        precision=precision,
    )


def new_record(settings: Settings) -> Entry:
    """A record without cells, with the rates of this machine measured."""
    rates = _machine_rates(settings.threads)
    for _ in range(RETRIES):
        if rates["other_load"] <= QUIET:
            break
        rates = min(rates, _machine_rates(settings.threads), key=lambda each: each["other_load"])
    return empty_record(rates)


def _machine_rates(threads: int) -> Entry:
    """What one process of `peers.machine` found, and how busy others were meanwhile."""
    begin, others = time.monotonic(), _others_seconds()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "machine.json"
        command = [sys.executable, "-P", "-m", "peers.machine", str(out), "--threads", str(threads)]
        subprocess.run(command, check=True, env=child_environment(threads))
        return json.loads(out.read_text()) | {"other_load": _other_load(begin, others)}


def empty_record(roofline: Entry) -> Entry:
    """A record without cells, of this machine at these rates."""
    return {"machine": facts(), "roofline": roofline, "versions": {}, "cells": []}


def run_cell(record: Entry, circuit: str, n_qubits: int, peers: Sequence[Peer], settings: Settings) -> Entry:
    """Measures `peers` at one size, our engine before and after them; what the record has of them is kept."""
    cell = _cell(record, circuit, n_qubits, settings)
    missing = []
    for peer in peers:
        if cell["peers"].get(peer.name, {}).get("status", "not run") == "not run":
            obstacle = _obstacle(record, cell, peer, settings)
            if obstacle is None:
                missing.append(peer)
            else:
                cell["peers"][peer.name] = _reported(record, cell, peer, _no_time("not run", obstacle))
    if not missing and "ours" in cell:
        return cell
    work = workload(circuit, n_qubits, cell["batch"], settings.precision)
    reference = _run(OURS, replace(work, precision="float64"), replace(settings, seconds=0))[1]
    before = measure(OURS, work, reference, settings)
    for peer in missing:
        cell["peers"][peer.name] = _reported(record, cell, peer, measure(peer, work, reference, settings))
    after = measure(OURS, work, reference, settings)
    cell["ours"] = _reported(record, cell, OURS, _joined(before, after))
    for peer in missing:
        if cell["peers"][peer.name]["status"] != "ok":
            continue
        # The factor is taken between numbers of one run, also where a later run adds other peers.
        cell["peers"][peer.name]["ours_median"] = cell["ours"].get("median")
    return cell


def measure(peer: Peer, work: Workload, reference: Found, settings: Settings) -> Entry:
    """One peer at one size; again, and the faster kept, where other processes were busy meanwhile.

    On two cores one busy neighbour can make OpenMP's barriers a hundred times slower.
    """
    best = _measured(peer, work, reference, settings)
    for _ in range(RETRIES):
        if best["status"] != "ok" or best["other_load"] <= QUIET or best["warm_up"] > settings.seconds:
            break
        again = _measured(peer, work, reference, settings)
        if again["status"] != "ok" or again["median"] < best["median"]:
            best = again
    return best


def _measured(peer: Peer, work: Workload, reference: Found, settings: Settings) -> Entry:
    """One process. Values and gradients are compared first: a mismatch has no time."""
    begin, others = time.monotonic(), _others_seconds()
    try:
        timing, found = _run(peer, work, settings)
    except FailedRunError as error:
        return _no_time("failed", str(error))
    error = largest_difference(found, reference)
    if not error <= TOLERANCE[work.precision]:
        return _no_time("mismatch", f"differs by {error:.1e} from our float64 result")
    other_load = _other_load(begin, others)
    return {"status": "ok", "error": error, "other_load": other_load, **_summary(timing)}


def _other_load(begin: float, others: float) -> float:
    """Cores kept busy by others since the time `begin`, when they had used `others` seconds."""
    return round(max(0.0, (_others_seconds() - others) / (time.monotonic() - begin)), 3)


def _others_seconds() -> float:
    """Processor time that went to others than our processes so far, the host's other guests included."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    user, nice, system, _idle, _wait, *rest = map(int, stat.read_text().split("\n", 1)[0].split()[1:9])
    ours = os.times()
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK") - sum(ours[:4])


def largest_difference(found: Found, reference: Found) -> float:
    """Over values and both gradients, relative to the largest entry of each, or to 1."""
    if any(one.shape != other.shape for one, other in zip(found, reference, strict=True)):
        return float("inf")
    differences = [
        np.abs(one - other).max(initial=0.0) / max(1.0, np.abs(other).max(initial=0.0))
        for one, other in zip(found, reference, strict=True)
    ]
    return float("inf") if np.isnan(differences).any() else float(max(differences))


def _run(peer: Peer, work: Workload, settings: Settings) -> tuple[Timing, Found]:
    """Runs one process to its end.

    Raises
    ------
    FailedRunError: it ended in an error, or took too long.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "workload.npz", Path(folder) / "result.npz"
        replace(work, device=peer.device).write(given)
        # -P: a folder that this happens to be started from is no place to import from.
        command = [str(peer.python(settings.peers_dir)), "-P", "-m", "peers.worker", peer.module]
        command += [str(given), str(out)]
        command += ["--threads", str(settings.threads), "--seconds", str(settings.seconds)]
        command += ["--memory", str(_free_bytes())]
        try:
            done = subprocess.run(
                command,
                env=child_environment(settings.threads),
                capture_output=True,
                text=True,
                timeout=settings.timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise FailedRunError(f"not done after {settings.timeout:g} s") from None
        if done.returncode != 0:
            raise FailedRunError(last_line(done.stderr, done.returncode))
        return read_result(out)


def child_environment(threads: int) -> dict[str, str]:
    """Our own environment, with our folder on the path and one thread count for every library."""
    path = os.pathsep.join(filter(None, [str(BENCHMARKS), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, **dict.fromkeys(THREAD_VARIABLES, str(threads))}


def _free_bytes() -> int:
    """Nine tenths of the memory that can be had without swapping."""
    info = Path("/proc/meminfo")
    found = re.search(r"MemAvailable:\s+(\d+) kB", info.read_text()) if info.exists() else None
    if found is None:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(found[1]) * 1024 * 9 // 10


def has_gpu() -> bool:
    """Whether the driver of NVIDIA is there and knows of a device."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


def last_line(text: str, code: int) -> str:
    """What an error said, without the folders of this machine."""
    if code < 0:
        return f"ended by signal {-code}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"(?:/[\w.+@-]+)+/", "", lines[-1])[:200] if lines else f"exit status {code}"


def _no_time(status: str, why: str) -> Entry:
    return {"status": status, "why": why}


def _summary(timing: Timing) -> Entry:
    return {
        "precision": timing.precision,
        "threads": timing.threads,
        "first": timing.first,
        "new_circuit": timing.new_circuit,
        "warm_up": timing.warm_up,
        "median": statistics.median(timing.steps),
        "min": min(timing.steps),
        "steps": list(timing.steps),
        "peak_bytes": timing.peak_bytes,
        "import_bytes": timing.import_bytes,
        "versions": timing.versions,
        **timing.facts,
    }


def _joined(before: Entry, after: Entry) -> Entry:
    """Our two measurements as one: the median over the steps of both, and each one's own."""
    for entry in (before, after):
        if entry["status"] != "ok":
            return entry
    steps = before["steps"] + after["steps"]
    return before | {
        "other_load": max(before["other_load"], after["other_load"]),
        "steps": steps,
        "median": statistics.median(steps),
        "min": min(steps),
        "median_before": before["median"],
        "median_after": after["median"],
    }


def _reported(record: Entry, cell: Mapping[str, Any], peer: Peer, entry: Entry) -> Entry:
    """Prints one line, and gives the entry as it is kept: versions once a peer, steps as their number."""
    line = f"{cell['workload']}, n = {cell['n_qubits']}, {peer.name}: "
    if entry["status"] != "ok":
        print(line + f"{entry['status']}: {entry['why']}", file=sys.stderr, flush=True)
        return entry
    busy = f" (others kept {entry['other_load']:.1f} cores busy)" if entry["other_load"] > QUIET else ""
    print(line + f"{1e3 * entry['median']:.4g} ms{busy}", file=sys.stderr, flush=True)
    record["versions"][peer.name] = entry["versions"]
    kept = {name: value for name, value in entry.items() if name != "versions"}
    return kept | {"steps": len(entry["steps"])}


def _obstacle(record: Entry, cell: Entry, peer: Peer, settings: Settings) -> str | None:
    """Why a peer isn't run at this size: it cannot be, or at a smaller one it failed or was too slow."""
    if peer.device == "cuda" and not has_gpu():
        return "no GPU"
    if not peer.python(settings.peers_dir).exists():
        return f"no environment (python benchmarks/speed.py install {peer.name})"
    for other in record["cells"]:
        entry = other["peers"].get(peer.name, {})
        if other["workload"] != cell["workload"] or other["n_qubits"] >= cell["n_qubits"]:
            continue
        if entry.get("status") == "failed":
            return f"failed at n = {other['n_qubits']}"
        if entry.get("median", 0) > settings.give_up_after:
            return f"a step took {entry['median']:.0f} s at n = {other['n_qubits']}"
    return None


def _cell(record: Entry, circuit: str, n_qubits: int, settings: Settings) -> Entry:
    """The record's cell of that size, made when it isn't there."""
    for cell in record["cells"]:
        if (cell["workload"], cell["n_qubits"]) == (circuit, n_qubits):
            return cell
    batch = settings.batch_at(n_qubits)
    record["cells"].append({"workload": circuit, "n_qubits": n_qubits, "batch": batch, "peers": {}})
    return record["cells"][-1]
