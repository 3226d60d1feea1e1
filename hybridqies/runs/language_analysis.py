"""Analysis of a saved language model: entanglement before and after training, correlations, ablations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hybridqies import __version__
from hybridqies.analysis import (
    Replacement,
    ablate_mixers,
    correlate,
    map_sentence,
    map_windows,
    window_losses,
)
from hybridqies.errors import InputError
from hybridqies.files import sha256_of
from hybridqies.language_model import LanguageModel
from hybridqies.lm import Decoder, Mixing, measure_entanglement
from hybridqies.lm.entanglement import haar_operator, haar_purity, haar_renyi2, haar_von_neumann
from hybridqies.records import write_record
from hybridqies.runs.language import find_text
from hybridqies.saved_model.files import WEIGHTS

ANALYSIS = "analysis.json"
_SHORTEST_SENTENCE = 12
_N_SENTENCES = 2


def analyse_language_model(
    folder: Path,
    out: Path,
    *,
    text: str | None = None,
    n_windows: int = 64,
    sentences: Sequence[str] = (),
    replacement: Replacement = Replacement.MEAN,
    device: str = "cpu",
) -> dict[str, Any]:
    """Analyses a saved model on the first windows of a text; returns what `out`/analysis.json holds.

    The text is by default the test part of that of the run, and `sentences` the first two in it.
    Arms without gates have ablations alone.

    Raises
    ------
    ModelFolderError: the folder holds no finished model.
    InputError: an arm without mixing layers, fewer than two windows, or sentences that do not fit.
    """
    model = LanguageModel.from_pretrained(folder, device)
    if model.decoder.config.mixing is Mixing.NONE:
        raise InputError(
            f"arm {model.config.arm!r} has no mixing layers to analyse", expected="a model with them"
        )
    source, content = find_text(folder, text)
    windows = model.windows(content, "to analyse")[:n_windows]
    if len(windows) < 2:
        raise InputError(
            f"{len(windows)} windows of {windows.shape[1]} tokens were to be analysed",
            expected="at least 2",
            todo="give a longer text",
        )
    has_gates = model.decoder.config.mixing is not Mixing.TAP
    if sentences and not has_gates:
        raise InputError(f"sentences were given for arm {model.config.arm!r}", expected="an arm with gates")
    chosen = [_encode(model, each) for each in sentences] or _find_sentences(model, content)
    losses = window_losses(model.decoder, windows)
    record = {
        "arm": model.config.arm,
        "text": source,
        "n_windows": len(windows),
        "context": windows.shape[1],
        "loss": float(losses.mean()),
        "weights_sha256": sha256_of(folder / WEIGHTS),
        "replacement": replacement.value,
        "ablation": [asdict(row) for row in ablate_mixers(model.decoder, windows, replacement)],
        **(_analyse_gates(model, windows, losses) if has_gates else {}),
        "sentences": [_map(model, ids) for ids in chosen] if has_gates else [],
        "hybridqies": __version__,
    }
    out.mkdir(parents=True, exist_ok=True)
    write_record(out / ANALYSIS, record)
    return record


def _analyse_gates(model: LanguageModel, windows: Tensor, losses: Tensor) -> dict[str, Any]:
    """Entanglement and its correlation with the loss, of the model and of the same one before training."""
    config = model.decoder.config
    untrained = Decoder(config, model.config.training.seed).to(model.config.device).eval()
    rank, strides = config.rank, [stride for stride in config.strides if stride < windows.shape[1]]
    covariates = _covariates(windows)
    found: dict[str, Any] = {
        "rank": rank,
        "haar": {
            "renyi2": haar_renyi2(rank),
            "von_neumann": haar_von_neumann(rank),
            "purity": haar_purity(rank),
            "operator": haar_operator(rank),
        },
    }
    for name, decoder in (("untrained", untrained), ("trained", model.decoder)):
        levels = map_windows(decoder, windows)[:, : len(strides)]
        found[name] = {
            "entanglement": [
                row.to_mapping() for row in measure_entanglement(decoder, windows.to(model.config.device))
            ],
            "by_position": _known(levels.mean(2).nanmean(0)),
            "correlation": _correlate(levels, strides, losses, covariates),
        }
    return found


def _correlate(
    levels: Tensor, strides: Sequence[int], losses: Tensor, covariates: Tensor
) -> list[dict[str, Any]]:
    """With the loss of the next token: the mean of all gates, then each block and stride."""
    # The last token of a window has no next one.
    seen = levels[..., :-1]
    rows: list[tuple[int | None, int | None, Tensor]] = [(None, None, seen.nanmean((0, 1)))]
    rows += [
        (block, stride, seen[block, head])
        for block in range(len(seen))
        for head, stride in enumerate(strides)
    ]
    return [
        {"block": block, "stride": stride, **asdict(correlate(values, losses, covariates))}
        for block, stride, values in rows
    ]


def _covariates(windows: Tensor) -> Tensor:
    """Log frequency of the token that is read and of the next one, and log position, (3, N, T − 1)."""
    counts = torch.bincount(windows.flatten()).clamp(min=1).double().log()
    logs = counts[windows]
    places = torch.arange(1, windows.shape[1]).double().log().expand(len(windows), -1)
    return torch.stack([logs[:, :-1], logs[:, 1:], places])


def _known(values: Tensor) -> list[list[float | None]]:
    return [[None if each != each else each for each in row] for row in values.tolist()]


def _find_sentences(model: LanguageModel, text: str) -> list[list[int]]:
    """The first sentences of a text that fit into the context and are long enough to show something."""
    found = []
    for match in re.finditer(r"[^\s.!?][^.!?]*[.!?]", text):
        ids = model.tokens.encode(match[0])
        if min(_SHORTEST_SENTENCE, model.config.context) <= len(ids) <= model.config.context:
            found.append(ids)
        if len(found) == _N_SENTENCES:
            break
    return found


def _encode(model: LanguageModel, sentence: str) -> list[int]:
    ids = model.tokens.encode(sentence)
    if not 2 <= len(ids) <= model.config.context:
        raise InputError(
            f"a sentence of {len(ids)} tokens was given",
            expected=f"2 to {model.config.context}, the context of the model",
        )
    return ids


def _map(model: LanguageModel, ids: Sequence[int]) -> dict[str, Any]:
    tokens = [model.tokens.decode([each]) for each in ids]
    return map_sentence(model.decoder, ids, tokens).to_mapping()
