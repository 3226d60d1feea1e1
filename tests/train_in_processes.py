"""What tests have two processes do: train each case once whole and once in two goes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from built_heads import built_head
from torch import nn
from training_models import EncodedHead, LanguageModel, NextToken, Sequences, texts

from hybridqies.tensors import save_tensors
from hybridqies.training import (
    ClassWeights,
    Compute,
    CrossEntropy,
    Labelled,
    Outcome,
    Rates,
    Schedule,
    TrainingConfig,
    fit,
)
from hybridqies.training.checkpoint import snapshot

# Batches of 16 leave a last one of 1 row, of which one of two processes has none.
ROWS, D, K = 49, 7, 3
CONFIG = TrainingConfig(
    epochs=3,
    batch_size=16,
    schedule=Schedule.CONSTANT,
    class_weights=ClassWeights.BALANCED,
    label_smoothing=0.1,
    clip_norm=0.7,
    rates=Rates(encoder=0.01),
)
CASES = ("dressed", "encoder", "language")


def train(case: str, encoder: Path, config: TrainingConfig, **rest: Any) -> tuple[nn.Module, Outcome]:
    """One training in float64."""
    if case == "language":
        model: nn.Module = LanguageModel().double()
        # A row of one token has nothing to predict, and the last batch is one row.
        rows: Any = Sequences.of(ROWS, shortest=1)
        return model, fit(model, rows, Sequences.of(9, seed=1), NextToken(), config, **rest)
    if case == "encoder":
        model = EncodedHead(encoder, 2, n_qubits=3).double()
        for part in model.modules():
            # Each process draws masks of its own.
            if isinstance(part, nn.Dropout):
                part.p = 0.0
        rows = texts(ROWS)
        config = replace(config, compute=Compute(accumulation=2))
    else:
        model = built_head(case, D, K, n_qubits=3).double()
        draw = torch.Generator().manual_seed(0)
        labels = torch.randint(K, (ROWS,), generator=draw)
        rows = Labelled(torch.randn(ROWS, D, generator=draw, dtype=torch.float64), labels)
    objective = CrossEntropy.of(config, rows, int(model.n_classes))
    return model, fit(model, rows, rows, objective, config, **rest)


def train_all(encoder: Path, out: Path, rank: int) -> None:
    """Every case; the state of this process goes to `out`."""
    for case in CASES:
        seen: list[dict[str, Any]] = []
        whole, outcome = train(case, encoder, CONFIG, folder=out / case / "whole", on_epoch=seen.append)
        history = [
            {key: value for key, value in each.items() if key != "seconds"} for each in outcome.history
        ]
        save_tensors(
            out / f"{case}-whole-{rank}.safetensors", snapshot(whole), {"seen": len(seen), "history": history}
        )
        train(case, encoder, replace(CONFIG, epochs=1), folder=out / case / "cut")
        resumed, _ = train(case, encoder, CONFIG, folder=out / case / "cut", resume=True)
        save_tensors(out / f"{case}-resumed-{rank}.safetensors", snapshot(resumed), {})
