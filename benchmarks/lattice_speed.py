"""Kicked Ising on a heavy-hex lattice: the package beside quimb's CircuitPEPSSimpleUpdate, in one process.

    python benchmarks/lattice_speed.py --size 127 --steps 5 --chi 32

Needs quimb (1.15 works with the versions that constraints.txt pins); without it only the package is timed.
Both get the circuit as it is written; the package leaves out the last layer of RZZ, which no ⟨Z⟩ depends on.
`--whole` reads ⟨X⟩ of every site as well, so that nothing can be left out.
`--growth` times the package alone, over sites and over χ, beside the multiplications that are counted
before it runs. All times are processor time of one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from importlib.util import find_spec
from typing import Any

SITE = 62
# Sites, steps and χ: bonds of all 32 values are reached after some steps alone.
GROWTH = (("127", 5, 32), ("433", 5, 32), ("1121", 5, 32), ("127", 20, 8), ("127", 20, 16), ("127", 20, 32))


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
    parser.add_argument("--growth", action="store_true", help="the package over sites and over χ")
    parser.add_argument("--json", action="store_true", help="print the record as JSON")
    given = parser.parse_args()
    # Before numpy and torch start their threads.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    record = measure_growth(given) if given.growth else measure(given)
    tell = growth_table if given.growth else table
    print(json.dumps(record, indent=2) if given.json else tell(record))


def measure_growth(given: argparse.Namespace) -> dict[str, Any]:
    """Seconds and counted multiplications of the rows of GROWTH."""
    import torch

    from hybridqies.circuit import load_circuit
    from hybridqies.tensornet import Program

    torch.set_num_threads(1)
    rows = []
    for size, steps, chi in GROWTH:
        lattice = f"heavy-hex:{size}"
        circuit = load_circuit("kicked-ising", int(size), lattice=lattice, theta_h=given.theta, steps=steps)
        timed = argparse.Namespace(chi=chi, times=given.times)
        row = {"size": size, "steps": steps, "chi": chi, "work": Program.of(circuit).count_work(chi)}
        rows.append({**row, **best(run_ours, circuit, timed)})
    return {"theta": given.theta, "times": given.times, "rows": rows}


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
        start = time.process_time()
        value = run(circuit, given.chi)
        found.append((time.process_time() - start, value))
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


def growth_table(record: dict[str, Any]) -> str:
    """The rows as text, with the time of a billion counted multiplications."""
    lines = [" sites  steps    χ  counted        seconds  seconds a billion"]
    lines += [
        f"{row['size']:>6}  {row['steps']:5}  {row['chi']:3}  {row['work']:13,}  {row['seconds']:7.2f}  "
        f"{1e9 * row['seconds'] / row['work']:.2f}"
        for row in record["rows"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
