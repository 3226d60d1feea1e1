"""Kicked Ising on a heavy-hex lattice: the package beside quimb's CircuitPEPSSimpleUpdate, in one process.

    python benchmarks/lattice_speed.py --size 127 --steps 5 --chi 32

Needs quimb (1.15 works with the versions that constraints.txt pins); without it only the package is timed.
Both get the circuit as it is written; the package leaves out the last layer of RZZ, which no ⟨Z⟩ depends on.
`--whole` reads ⟨X⟩ of site 62 as well, so that nothing can be left out.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from importlib.util import find_spec
from typing import Any

SITE = 62


def main() -> None:
    """Times, compares and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="127", choices=["127", "433", "1121"])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--theta", type=float, default=0.6)
    parser.add_argument("--chi", type=int, default=32)
    parser.add_argument(
        "--times", type=int, default=3, help="the fastest of so many runs counts (default: 3)"
    )
    parser.add_argument("--whole", action="store_true", help="apply the last layer, too")
    parser.add_argument("--json", action="store_true", help="print the record as JSON")
    given = parser.parse_args()
    # Before numpy and torch start their threads.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    record = measure(given)
    print(json.dumps(record, indent=2) if given.json else table(record))


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Seconds and ⟨Z62⟩ of both."""
    from dataclasses import replace

    import torch

    from hybridqies.circuit import PauliString, load_circuit

    torch.set_num_threads(1)
    lattice = f"heavy-hex:{given.size}"
    circuit = load_circuit(
        "kicked-ising", int(given.size), lattice=lattice, theta_h=given.theta, steps=given.steps
    )
    if given.whole:
        read = (*circuit.observables, *(PauliString.on("X", site) for site in range(circuit.n_qubits)))
        circuit = replace(circuit, observables=read)
    rows = [{"simulator": "hybridqies", **best(run_ours, circuit, given)}]
    if find_spec("quimb"):
        rows.append({"simulator": "quimb", **best(run_quimb, circuit, given)})
    return {**vars(given), "rows": rows}


def best(run: Any, circuit: Any, given: argparse.Namespace) -> dict[str, float]:
    """The fastest of some runs."""
    found = []
    for _ in range(given.times):
        start = time.perf_counter()
        value = run(circuit, given.chi)
        found.append((time.perf_counter() - start, value))
    seconds, value = min(found)
    return {"seconds": seconds, "z62": value}


def run_ours(circuit: Any, chi: int) -> float:
    """⟨Z62⟩ of the package, of all that the circuit reads."""
    import torch

    from hybridqies.tensornet import Program

    none = torch.zeros(1, 0)
    return float(Program.of(circuit).run(none, none, chi).values[0, SITE])


def run_quimb(circuit: Any, chi: int) -> float:
    """⟨Z62⟩ alone of quimb."""
    import quimb as qu
    import quimb.tensor as qtn

    pairs = sorted({each.qubits for each in circuit.gates if len(each.qubits) == 2})
    peps = qtn.CircuitPEPSSimpleUpdate(edges=pairs, max_bond=chi, cutoff=1e-14)
    for each in circuit.gates:
        peps.apply_gate(each.type.name, each.angles[0].value, *each.qubits)
    return float(peps.local_expectation(qu.pauli("Z"), SITE, max_distance=0).real)


def table(record: dict[str, Any]) -> str:
    """The rows as text."""
    lines = [f"{record['size']} sites, {record['steps']} steps, θ = {record['theta']}, χ = {record['chi']}"]
    lines += [f"{row['simulator']:12} {row['seconds']:8.3f} s  {row['z62']:.15f}" for row in record["rows"]]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
