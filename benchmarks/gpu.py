"""What the CUDA kernels do on a card, in one run of under five minutes.

    python benchmarks/gpu.py --out gpu.json
    python benchmarks/gpu.py --parts values steps

| part | what it does |
|---|---|
| values | holds values and gradients to the CPU engine |
| steps | times whole training steps through torch, beside the project's bounds and the card's own rates |
| graphs | replays captured steps |
| deep | trains on 20 qubits and 1,000 layers |
| head | trains the paper's head, on the card and on the CPU |
| cpu | finds where the card overtakes the CPU |
| tests | runs the tests marked gpu |

Exits with 1 if values differ or a test fails. No run of it on a card has been recorded yet.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hybridqies import load_circuit
from hybridqies.circuit import Circuit, Weight, feature, gate
from hybridqies.engine import Plan, compile_plan, count_costs, expectations

ROOT = Path(__file__).resolve().parents[1]
CIRCUITS = ("rot-ring", "long-range-reupload")
SIZES = {4: 256, 8: 256, 10: 256, 12: 256, 14: 256, 16: 256, 20: 8, 24: 2}
# Milliseconds that a step of rot-ring may take on an H100.
BOUNDS = {4: 0.25, 8: 0.25, 10: 0.25, 12: 0.3, 14: 1, 16: 4, 20: 2, 24: 20}
TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-10}
CHECKED = (2, 4, 8, 11, 13, 15, 17)
GRAPHED = (4, 6, 8, 10)
CROSSED = {"qubits": (2, 4, 6, 8, 10, 12, 14, 16), "batches": (1, 16, 256)}
DEEP_QUBITS, DEEP_LAYERS, DEEP_SAMPLES, DEEP_BATCH = 20, 1000, 50, 10
HEAD_QUBITS, HEAD_CPU_EPOCHS = (10, 14), 2
# Seconds that one figure is measured for, and steps at most.
SECONDS, REPEATS = 0.4, 50
Row = dict[str, Any]
Inputs = tuple[Tensor, Tensor]


def main(words: list[str] | None = None) -> int:
    """Runs the parts that are asked for, prints their tables, and writes their record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--out", type=Path, help="where the record goes, as JSON")
    given = parser.parse_args(words)
    device = torch.device(given.device)
    record: Row = {"machine": machine(device)}
    print(json.dumps(record["machine"]))
    for name in given.parts:
        began = time.perf_counter()
        record[name] = PARTS[name](device)
        print(f"\n## {name} ({time.perf_counter() - began:.0f} s)\n\n{table(record[name])}", flush=True)
        if given.out is not None:
            given.out.write_text(json.dumps(record, indent=2))
    return 1 if any(row.get("failed") for name in given.parts for row in record[name]) else 0


def machine(device: torch.device) -> Row:
    """The card, its driver and compiler, and its rates."""
    found: Row = {"torch": torch.__version__, "device": str(device), "threads": torch.get_num_threads()}
    if device.type == "cuda":
        from hybridqies.engine.cuda.card import Card

        card = Card.open(device)
        found |= {
            "card": torch.cuda.get_device_name(device),
            "driver": "{}.{}".format(*card.driver.version()),
            "nvrtc": "{}.{}".format(*card.compiler.version()),
        }
    return found | rates(device)


def rates(device: torch.device, size: int = 2**26) -> Row:
    """Bytes and floating-point operations a second, measured: a copy, and a matrix product without TF32."""
    a = torch.zeros(size if device.type == "cuda" else size // 16, device=device)
    side = 4096 if device.type == "cuda" else 512
    m = torch.zeros(side, side, device=device)
    copied = timed(device, a.clone)
    multiplied = timed(device, lambda: m @ m)
    return {
        "bytes_per_second": 2 * a.numel() * a.element_size() / copied,
        "flops_per_second": 2 * side**3 / multiplied,
    }


def wait(device: torch.device) -> None:
    """Until the card has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(device: torch.device, step: Callable[[], Any]) -> float:
    """The median of the seconds that a step takes, after two that are not counted."""
    step(), step()
    wait(device)
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < 3 or (len(times) < REPEATS and time.perf_counter() - began < SECONDS):
        started = time.perf_counter()
        step()
        wait(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def inputs_of(circuit: Circuit, batch: int, dtype: torch.dtype, device: torch.device | str) -> Inputs:
    """Features (B, F) and weights (W,), the same on every device."""
    random = torch.Generator().manual_seed(circuit.n_qubits)
    features = torch.rand(batch, circuit.n_features, generator=random, dtype=torch.float64) * 6 - 3
    weights = torch.rand(circuit.n_weights, generator=random, dtype=torch.float64) * 6 - 3
    return features.to(device, dtype).requires_grad_(), weights.to(device, dtype).requires_grad_()


def train(plan: Plan, inputs: Inputs) -> tuple[Tensor, ...]:
    """Values, and the gradients of a weighted sum of them."""
    values = expectations(plan, *inputs)
    cotangent = torch.linspace(-1, 1, values.numel(), dtype=values.dtype, device=values.device)
    wanted = [each for each in inputs if each.numel()]
    return values.detach(), *torch.autograd.grad((values * cotangent.reshape(values.shape)).sum(), wanted)


def check_values(device: torch.device) -> list[Row]:
    """The largest difference from the CPU engine in double, relative to the largest entry or 1."""
    rows = []
    for name in CIRCUITS:
        for n_qubits in CHECKED:
            circuit = load_circuit(name, n_qubits)
            plan = compile_plan(circuit)
            expected = train(plan, inputs_of(circuit, 9, torch.float64, "cpu"))
            for dtype, tolerance in TOLERANCES.items():
                found = train(plan, inputs_of(circuit, 9, dtype, device))
                apart = max(
                    ((ours.cpu().double() - theirs).abs().max() / theirs.abs().max().clamp(min=1)).item()
                    for ours, theirs in zip(found, expected, strict=True)
                )
                row = {"circuit": name, "qubits": n_qubits, "dtype": str(dtype).removeprefix("torch.")}
                rows.append({**row, "difference": apart, "failed": not apart <= tolerance})
    return rows


def time_steps(device: torch.device) -> list[Row]:
    """Whole steps in float32, beside the least time that the plan's arithmetic and traffic can take."""
    rows, fastest = [], rates(device)
    for name in CIRCUITS:
        for n_qubits, batch in SIZES.items():
            circuit = load_circuit(name, n_qubits)
            plan = compile_plan(circuit)
            inputs = inputs_of(circuit, batch, torch.float32, device)
            began = time.perf_counter()
            train(plan, inputs)
            wait(device)
            first = time.perf_counter() - began
            seconds, costs = timed(device, lambda p=plan, i=inputs: train(p, i)), count_costs(plan, batch)  # type: ignore[misc]
            arithmetic = costs.flops / fastest["flops_per_second"]
            traffic = costs.bytes / fastest["bytes_per_second"]
            bound = BOUNDS[n_qubits] if name == "rot-ring" else None
            rows.append(
                {
                    "circuit": name,
                    "qubits": n_qubits,
                    "batch": batch,
                    "ms": 1e3 * seconds,
                    "at most, ms (H100)": bound,
                    "within": None if bound is None else 1e3 * seconds <= bound,
                    "arithmetic, ms": 1e3 * arithmetic,
                    "memory, ms": 1e3 * traffic,
                    "times the roofline": seconds / max(arithmetic, traffic),
                    "first call, ms": 1e3 * first,
                }
            )
    return rows


def time_graphs(device: torch.device) -> list[Row]:
    """Steps captured as CUDA graphs: what is left without Python and launches."""
    if device.type != "cuda":
        return [{"note": "CUDA graphs need a CUDA device"}]
    rows = []
    for n_qubits in GRAPHED:
        circuit = load_circuit("rot-ring", n_qubits)
        plan, inputs = compile_plan(circuit), inputs_of(circuit, 256, torch.float32, device)
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            expected = train(plan, inputs)
            train(plan, inputs)
        torch.cuda.current_stream(device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = train(plan, inputs)
        seconds = timed(device, graph.replay)
        same = all(map(torch.equal, found, expected))
        rows.append({"qubits": n_qubits, "batch": 256, "ms": 1e3 * seconds, "failed": not same})
    return rows


def compare_with_cpu(device: torch.device) -> list[Row]:
    """Milliseconds a step of rot-ring on the card and on this machine's CPU, for each size of a batch."""
    rows = []
    for n_qubits in CROSSED["qubits"]:
        circuit = load_circuit("rot-ring", n_qubits)
        plan, row = compile_plan(circuit), {"qubits": n_qubits}
        for batch in CROSSED["batches"]:
            for where in ("cpu", device):
                inputs = inputs_of(circuit, batch, torch.float32, where)
                seconds = timed(torch.device(where), lambda p=plan, i=inputs: train(p, i))  # type: ignore[misc]
                row[f"{torch.device(where).type}, batch {batch}"] = 1e3 * seconds
        rows.append(row)
    return rows


def deep_circuit() -> Circuit:
    """A feature on each qubit, and layers of general rotations and a ring of CNOTs."""
    n_qubits = DEEP_QUBITS
    gates = [gate("RY", qubit, feature(qubit)) for qubit in range(n_qubits)]
    for layer in range(DEEP_LAYERS):
        for qubit in range(n_qubits):
            first = 3 * (layer * n_qubits + qubit)
            gates.append(gate("ROT", qubit, *(Weight(first + i) for i in range(3))))
        gates += [gate("CNOT", (qubit, (qubit + 1) % n_qubits)) for qubit in range(n_qubits)]
    return Circuit.of(n_qubits, gates, name="deep")


def train_deep(device: torch.device) -> list[Row]:
    """An epoch over some samples, and what 1,000 would take."""
    circuit = deep_circuit()
    began = time.perf_counter()
    plan = compile_plan(circuit)
    compiled = time.perf_counter() - began
    first = inputs_of(circuit, DEEP_BATCH, torch.float32, device)
    train(plan, first)
    wait(device)
    began = time.perf_counter()
    for _ in range(DEEP_SAMPLES // DEEP_BATCH):
        train(plan, first)
    wait(device)
    seconds = time.perf_counter() - began
    row = {"qubits": DEEP_QUBITS, "layers": DEEP_LAYERS, "weights": circuit.n_weights}
    row |= {"samples": DEEP_SAMPLES, "batch": DEEP_BATCH, "plan, s": compiled, "s": seconds}
    row["1,000 samples, s"] = seconds * 1000 / DEEP_SAMPLES
    if device.type == "cuda":
        row["peak memory, GiB"] = torch.cuda.max_memory_allocated(device) / 2**30
    return [row]


def train_head(device: torch.device) -> list[Row]:
    """50 epochs of the paper's head on 435 embeddings; on the CPU a few, whose time is scaled."""
    import head_speed

    from hybridqies.training import CrossEntropy, Labelled, TrainingConfig, fit

    rows = []
    for n_qubits in HEAD_QUBITS:
        row: Row = {"qubits": n_qubits, "epochs": head_speed.EPOCHS}
        for where, epochs in ((device, head_speed.EPOCHS), (torch.device("cpu"), HEAD_CPU_EPOCHS)):
            head, data = head_speed.build(n_qubits, 8)
            moved = Labelled(data.inputs.to(where), data.labels.to(where))
            model = head.to(where)
            for count in (1, epochs):
                began = time.perf_counter()
                config = TrainingConfig(epochs=count, batch_size=head_speed.BATCH)
                fit(model, moved, None, CrossEntropy(), config)
                wait(where)
                seconds = time.perf_counter() - began
            row[f"{where.type}, s"] = seconds * head_speed.EPOCHS / epochs
        rows.append(row)
    return rows


def run_tests(device: torch.device) -> list[Row]:
    """The tests that need a card."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "tests/engine"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    last = (done.stdout.strip().splitlines() or ["no output"])[-1]
    # 5: no test was collected, as where the device is not a card.
    return [{"device": str(device), "pytest": last, "failed": done.returncode not in (0, 5)}]


def table(rows: list[Row]) -> str:
    """Rows as Markdown."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(_cell(row.get(name)) for name in columns) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else str(value)


PARTS: dict[str, Callable[[torch.device], list[Row]]] = {
    "values": check_values,
    "steps": time_steps,
    "graphs": time_graphs,
    "deep": train_deep,
    "head": train_head,
    "cpu": compare_with_cpu,
    "tests": run_tests,
}


if __name__ == "__main__":
    sys.exit(main())
