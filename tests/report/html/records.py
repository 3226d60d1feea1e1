"""Records to report on, made without training anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hybridqies.circuit import load_circuit
from hybridqies.options import to_mapping
from hybridqies.report.html.records import ArmRecord, RunRecord
from hybridqies.runs import RunConfig
from hybridqies.tasks.metric import ACCURACY, MACRO_F1
from hybridqies.training import measure_classes, record_confusion

HOSTILE = ("<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "{{ 7 * 7 }} <!-- & \" '")


def make_result(head: str, classes: list[Any], counts: Any, **changes: Any) -> dict[str, Any]:
    counts = np.array(counts)
    right = float(counts.trace() / counts.sum())
    return {
        "head": head,
        "n_parameters": 1234,
        "parameters": "9 * 9",
        "circuit": None,
        "n_qubits": None,
        "data": "films",
        "data_fingerprint": "d" * 64,
        "encoder_fingerprint": "e" * 64,
        "seed": 0,
        "best_epoch": 2,
        "epochs": 3,
        "seconds": 1.5,
        "n_train": 100,
        "validation_accuracy": 0.5,
        "accuracy": right,
        "macro_f1": right,
        "log_loss": 0.25,
        "calibration_error": 0.1,
        "reliability": [
            {"n": 30, "confidence": 0.6, "accuracy": 0.5},
            {"n": 54, "confidence": 0.9, "accuracy": 0.95},
            {"n": 4, "confidence": 0.99, "accuracy": 0.25},
        ],
        "n_test": int(counts.sum()),
        "confusion": record_confusion(counts),
        "per_class": measure_classes(counts, classes),
        "classes": classes,
        "verdicts": [],
        "hybridqies": "0.1.0",
    } | changes


def make_mistakes(result: dict[str, Any]) -> dict[str, Any]:
    """The first rows are wrong; of the first two the texts are kept."""
    n_wrong = round((1 - result["accuracy"]) * result["n_test"])
    listed = [
        {
            "row": row,
            "texts": [HOSTILE[row]],
            "true": result["classes"][0],
            "predicted": result["classes"][1],
            "probability": 0.9 - 0.1 * row,
            "probability_of_true": 0.05,
        }
        for row in (0, 1)
    ]
    return {"n_test": result["n_test"], "wrong": list(range(n_wrong)), "listed": listed}


def make_diagnosis() -> dict[str, Any]:
    """What `diagnose` recorded of two encoders side by side on four qubits, and of a circuit on three."""

    def row(layer: str, copy: int, gates: int, before: float, after: float) -> dict[str, Any]:
        n_qubits = 4 if layer == "encoders" else 3
        measured = {
            when: {"meyer_wallach": value, "entropy": 2 * value}
            for when, value in (("before", before), ("after", after), ("random", n_qubits / 8))
        }
        return {
            "layer": layer,
            "copy": copy,
            "n_qubits": n_qubits,
            "gates": gates,
            "all_gates": 8,
            **measured,
        }

    def variance(value: float, error: float) -> dict[str, Any]:
        return {"value": value, "error": error, "moving": 9}

    def gradient(layer: str, observable: str, value: float) -> dict[str, Any]:
        about = {
            "layer": layer,
            "circuit": "rot-ring",
            "observable": observable,
            "n_qubits": 3,
            "n_weights": 12,
        }
        stages = (("random", value, 0.001), ("before", 2 * value, 0.001), ("after", value / 100, 0.001))
        found = {name: variance(size, error) if size else None for name, size, error in stages}
        return {**about, **found, "two_design": 0.0625}

    return {
        "most_texts": 64,
        "samples": 200,
        "seed": 0,
        "rows": [
            *(row("encoders", copy, gates, 0.25 + copy / 2, 0.5) for copy in (0, 1) for gates in (4, 8)),
            *(row("circuit", 0, gates, gates / 16, gates / 8) for gates in (2, 8)),
        ],
        "gradients": [gradient("encoders", "Z0", 0.125), gradient("circuit", "Z0", 0.0)],
        "weights_sha256": "w" * 64,
    }


def make_run(classes: list[Any] | None = None, **changes: Any) -> RunRecord:
    """A run of two heads; `changes` are those of the result of its own."""
    classes = classes or ["bad", "good"]
    counts = np.full((len(classes), len(classes)), 2) + 40 * np.eye(len(classes), dtype=int)
    own = make_result("two-module", classes, counts, circuit="long-range-reupload", n_qubits=3) | changes
    moved = counts.copy()
    moved[0, :2] += (-1, 1)
    other = make_result("logistic", classes, moved, epochs=1, best_epoch=1)
    history = [
        {
            "epoch": at,
            "train_loss": 1 / at,
            "validation_accuracy": 1 - 1 / (at + 1),
            "validation_log_loss": 0.5,
        }
        for at in (1, 2, 3)
    ]
    comparison = {
        "data": {"name": "films", "rows": {"train": 100, "validation": 10, "test": own["n_test"]}},
        "metrics": [to_mapping(ACCURACY), to_mapping(MACRO_F1)],
        "overlap": 0,
        "results": [own, other],
    }
    solved = [{"epoch": 1, "validation_accuracy": 0.75}]
    cost = {"peak_memory_bytes": 123_400_000, "circuit_operations": 5_000_000}
    arms = (
        ArmRecord(own, history, make_mistakes(own), cost, "NVML GPU 0 40 J"),
        ArmRecord(other, solved, make_mistakes(other)),
    )
    circuit = load_circuit("long-range-reupload", 3)
    return RunRecord(
        Path("runs/films"), RunConfig(), comparison, arms, {"circuit": circuit}, make_diagnosis()
    )
