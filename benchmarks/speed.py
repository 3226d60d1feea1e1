"""Our engine beside its peers: one training step, forward and backward, on the same circuits.

    python benchmarks/speed.py install                # an environment for each peer, below .peers/
    python benchmarks/speed.py run                    # everything, which takes hours: see --resume
    python benchmarks/speed.py run --qubits 4 6 --peers default.qubit lightning.qubit
    python benchmarks/speed.py report benchmarks/records/speed.json

A step is the expectations and the gradients for features and weights. Every peer runs in
its own environment and process, builds the circuit in the way that is fastest for it, and
its values and gradients are compared with ours before its time counts.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from peers.bench import FailedRunError, Settings, new_record, run_cell
from peers.install import install
from peers.machine import facts
from peers.report import write_report
from peers.table import PEERS

WORKLOADS = ("rot-ring", "long-range-reupload")
QUBITS = (4, 6, 8, 10, 12, 14, 16, 18, 20)
ROOT = Path(__file__).resolve().parents[1]


def main(words: list[str] | None = None) -> None:
    """Installs, runs or reports."""
    given = _parser().parse_args(words)
    match given.part:
        case "install":
            install(given.peers or list(PEERS), given.peers_dir)
        case "run":
            _run(given)
        case "report":
            write_report(json.loads(given.record.read_text()), given.docs)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = parser.add_subparsers(dest="part", required=True)
    made = parts.add_parser("install", help="make the peers' environments")
    made.add_argument("peers", nargs="*", metavar="PEER", help=f"of {', '.join(PEERS)} (all of them)")
    made.add_argument("--peers-dir", type=Path, default=ROOT / ".peers")
    run = parts.add_parser("run", help="measure, and write the record after each cell")
    run.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS), metavar="PEER")
    run.add_argument("--qubits", nargs="+", type=int, default=list(QUBITS))
    run.add_argument("--workloads", nargs="+", default=list(WORKLOADS), metavar="CIRCUIT")
    run.add_argument("--batch", type=int, help="samples (32; 8 from 18 qubits on)")
    run.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "records" / "speed.json")
    run.add_argument("--threads", type=int, default=os.cpu_count())
    run.add_argument("--seconds", type=float, default=2.0, help="of steady steps in a cell")
    run.add_argument("--give-up-after", type=float, default=40.0, help="seconds a step may take")
    run.add_argument("--timeout", type=float, default=600.0, help="seconds a process may take")
    run.add_argument("--resume", action="store_true", help="keep the cells that --out holds")
    run.add_argument("--peers-dir", type=Path, default=ROOT / ".peers")
    run.add_argument("--here", action="store_true", help="run the peers in this interpreter")
    report = parts.add_parser("report", help="write tables and plots from a record")
    report.add_argument("record", type=Path)
    report.add_argument("--docs", type=Path, default=ROOT / "docs", help="where performance.md lies")
    return parser


def _run(given: argparse.Namespace) -> None:
    settings = Settings(
        threads=given.threads,
        peers_dir=None if given.here else given.peers_dir,
        give_up_after=given.give_up_after,
        timeout=given.timeout,
        seconds=given.seconds,
        batch=given.batch,
    )
    record = _resumed(given.out, settings) if given.resume and given.out.is_file() else new_record(settings)
    for circuit in given.workloads:
        for n_qubits in sorted(given.qubits):
            try:
                run_cell(record, circuit, n_qubits, [PEERS[name] for name in given.peers], settings)
            except FailedRunError as error:
                sys.exit(f"error: there is no float64 result of ours to compare with: {error}")
            _write(given.out, record)


def _resumed(path: Path, settings: Settings) -> dict[str, object]:
    """The record at `path`, which has to be of this machine and as many threads."""
    record = json.loads(path.read_text())
    if (record["machine"], record["roofline"]["threads"]) != (facts(), settings.threads):
        sys.exit(f"error: {path} was measured on another machine or with other threads; choose another --out")
    return record


def _write(path: Path, record: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(record, indent=1) + "\n")
    beside.replace(path)


if __name__ == "__main__":
    main()
