"""What the CUDA kernels do on a card, in one run of under five minutes.

    python benchmarks/gpu.py --list                          # what would run, and the seconds set aside
    python benchmarks/gpu.py --prepare --answers answers.npz  # the CPU engine's answers; needs no card
    python benchmarks/gpu.py --answers answers.npz --out gpu.json
    python benchmarks/gpu.py --answers answers.npz --parts steps peers

| part | what it does |
|---|---|
| kernels | compiles the kernels of the card and of the CPU |
| values | holds values and gradients to the CPU engine |
| steps | times whole training steps through torch, beside the project's bounds and the card's own rates |
| tests | runs the tests marked gpu, and counts them |
| peers | times peers on the same card: PennyLane, TensorCircuit, DeepQuantum, as far as they are installed |
| deep | trains on 20 qubits and 1,000 layers |
| graphs | replays captured steps |
| head | trains the paper's head, on the card and on two cores of the CPU |
| cpu | finds where the card overtakes the CPU |

Each part compares what it times with the CPU engine first: what differs has no time. Answers of the CPU
that are not in --answers are computed, which the seconds set aside do not count.
A part that no longer fits into --limit is left out and says so.
Exits with 1 if values differ or a test fails. No run of it on a card has been recorded yet.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from gpu_parts import kernels, rivals, steps, tests, trainings
from gpu_parts.answers import Answers
from gpu_parts.cells import Row, Run, table

PARTS: dict[str, Callable[[Run], list[Row]]] = {
    "kernels": kernels.compile_all,
    "values": steps.check_values,
    "steps": steps.time_steps,
    "tests": tests.run_tests,
    "peers": rivals.time_peers,
    "deep": trainings.train_deep,
    "graphs": steps.time_graphs,
    "head": trainings.train_head,
    "cpu": steps.compare_with_cpu,
}
# Seconds set aside, as (what, how many, seconds of each): estimates, which no card has confirmed.
EXPECTED = kernels.EXPECTED | steps.EXPECTED | tests.EXPECTED | rivals.EXPECTED | trainings.EXPECTED
LIMIT = 300.0


def main(words: list[str] | None = None) -> int:
    """Runs the parts that are asked for, prints their tables, and writes their record."""
    given = _parser().parse_args(words)
    if given.list:
        print(table(list_parts(given.parts)))
        return 0
    answers = Answers(given.answers)
    run = Run(torch.device(given.device), time.perf_counter() + given.limit, answers)
    if given.prepare:
        prepare(run)
        return 0
    record: Row = {"machine": machine(run.device)}
    print(json.dumps(record["machine"]))
    for name in given.parts:
        began = time.perf_counter()
        record[name] = run_part(run, name)
        print(f"\n## {name} ({time.perf_counter() - began:.0f} s)\n\n{table(record[name])}", flush=True)
        if given.out is not None:
            given.out.write_text(json.dumps(record, indent=2))
    answers.save()
    return 1 if any(row.get("failed") for name in given.parts for row in record[name]) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--out", type=Path, help="where the record goes, as JSON")
    parser.add_argument("--answers", type=Path, help="the CPU engine's answers, read and kept")
    parser.add_argument("--prepare", action="store_true", help="compute the answers, and run nothing")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds for all parts (default: 300)")
    parser.add_argument("--list", action="store_true", help="print what would run, and run nothing")
    return parser


def prepare(run: Run) -> None:
    """Computes every answer of the CPU engine, and keeps each at once."""
    for cell in (*steps.all_cells(run), trainings.deep_cell(run)):
        began = time.perf_counter()
        _ = cell.expected
        run.answers.save()
        about = f"{cell.circuit.name}, {cell.circuit.n_qubits} qubits, batch {cell.batch}"
        print(f"{about}: {time.perf_counter() - began:.1f} s", flush=True)


def run_part(run: Run, name: str) -> list[Row]:
    """A part's rows, or one that says why there are none; a fault in one part leaves the others to run."""
    left, wanted = run.left(), expected_seconds(name)
    if left < wanted:
        return [{"left out": f"{left:.0f} s are left of --limit, and {wanted:.0f} s are set aside for it"}]
    try:
        return PARTS[name](run)
    except Exception as error:
        traceback.print_exc()
        said = (str(error).splitlines() or [""])[0]
        return [{"error": f"{type(error).__name__}: {said}", "failed": True}]


def expected_seconds(name: str) -> float:
    """What is set aside for a part."""
    return sum(count * each for _, count, each in EXPECTED[name])


def list_parts(names: list[str]) -> list[Row]:
    """What would run, with the arithmetic of the seconds set aside, and their sum."""
    rows: list[Row] = [
        {"part": name, "what": what, "how many": count, "s each": each, "s": count * each}
        for name in names
        for what, count, each in EXPECTED[name]
    ]
    return [*rows, {"part": "all", "s": sum(map(expected_seconds, names))}]


def machine(device: torch.device) -> Row:
    """The card, its driver and compiler, and this machine's threads."""
    found: Row = {"torch": torch.__version__, "device": str(device), "threads": torch.get_num_threads()}
    if device.type == "cuda":
        from hybridqies.engine.cuda.card import Card

        card = Card.open(device)
        found |= {
            "card": torch.cuda.get_device_name(device),
            "driver": "{}.{}".format(*card.driver.version()),
            "nvrtc": "{}.{}".format(*card.compiler.version()),
        }
    return found


if __name__ == "__main__":
    sys.exit(main())
