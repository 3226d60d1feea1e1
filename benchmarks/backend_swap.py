"""One trained model on several backends: accuracy, its shot noise, and how many predictions change.

    python benchmarks/backend_swap.py runs/sst2

Predicts the run's own test texts on each backend of the list (--backends for others), as `hybridqies
evaluate` does, and counts the predictions that differ from the first one's.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from hybridqies import HybridClassifier
from hybridqies.runs.evaluation import evaluation_part
from hybridqies.training import (
    is_sampled,
    predict_probabilities,
    prediction_batch,
    probabilities_with_noise,
)

BACKENDS = (
    "statevector",
    "pennylane:lightning.qubit",
    "aer",
    "statevector,shots=4096",
    "aer:density_matrix,p1=0.001,p2=0.01,readout=0.02,shots=4096",
    "ibm:fake_torino,shots=4096",
)


def main() -> None:
    """Prints the table, or the records."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--backends", nargs="+", default=BACKENDS)
    parser.add_argument("--json", action="store_true", help="print the records as JSON")
    given = parser.parse_args()
    records = compared(given.run, given.backends)
    print(json.dumps(records, indent=2) if given.json else table(records))


def compared(run: Path, backends: list[str]) -> list[dict[str, Any]]:
    """A record for each backend."""
    _, part = evaluation_part(run, None, "test")
    records: list[dict[str, Any]] = []
    first: np.ndarray | None = None
    for backend in backends:
        model = HybridClassifier.from_pretrained(run, backend=backend)
        saved = model.model_
        inputs, labels = saved.read(part.texts), np.array(saved.indices_of(part.labels))
        batch = prediction_batch(model.head_, len(part), saved.training.batch_size)
        started, noise = time.perf_counter(), None
        if is_sampled(model.head_):
            probabilities, noise = probabilities_with_noise(model.head_, inputs, labels, batch)
        else:
            probabilities = predict_probabilities(model.head_, inputs, batch)
        seconds = time.perf_counter() - started
        predicted = probabilities.argmax(axis=1)
        first = predicted if first is None else first
        records.append(
            {
                "backend": backend,
                "texts": len(labels),
                "accuracy": float((predicted == labels).mean()),
                "accuracy_interval": None if noise is None else noise.accuracy_interval,
                "changed": int((predicted != first).sum()),
                "seconds": seconds,
            }
        )
    return records


def table(records: list[dict[str, Any]]) -> str:
    """The records as a table in Markdown."""
    lines = [
        "| backend | accuracy | 95 % of shot noise | predictions that change | seconds |",
        "|---|---|---|---|---|",
    ]
    for each in records:
        interval = each["accuracy_interval"]
        noise = "exact" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"
        changed = f"{each['changed']} of {each['texts']:,}"
        accuracy = f"{100 * each['accuracy']:.2f}"
        lines.append(f"| `{each['backend']}` | {accuracy} | {noise} | {changed} | {each['seconds']:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
