"""Quanta of a saved language model: clusters of tokens with similar gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hybridqies import __version__
from hybridqies.files import sha256_of
from hybridqies.language_model import LanguageModel
from hybridqies.quanta import (
    Cluster,
    Similarity,
    TokenSamples,
    choose_tokens,
    cluster_samples,
    describe_clusters,
    gradient_similarity,
)
from hybridqies.quanta.clusters import check_clusters
from hybridqies.records import write_record
from hybridqies.runs.language import find_text
from hybridqies.saved_model.files import WEIGHTS

QUANTA = "quanta.json"
_EMBEDDING = "embedding."


def discover_quanta(
    folder: Path,
    out: Path,
    *,
    text: str | None = None,
    n_samples: int = 500,
    n_clusters: int = 20,
    below: float = 0.5,
    similarity: Similarity = Similarity.ABSOLUTE,
    block: int = 250,
    seed: int = 0,
    device: str = "cpu",
    on_sample: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Clusters of tokens that a saved model predicts well; returns what `out`/quanta.json holds.

    The text is by default the test part of that of the run. The embedding does not count.

    Raises
    ------
    ModelFolderError: the folder holds no finished model.
    InputError: too few tokens with a loss below `below`, or more clusters than samples.
    """
    # Before any gradient, of which there are many.
    check_clusters(n_samples, n_clusters)
    model = LanguageModel.from_pretrained(folder, device)
    source, content = find_text(folder, text)
    samples = choose_tokens(model.decoder, model.windows(content), n_samples, below=below, seed=seed)
    found = gradient_similarity(
        model.decoder,
        len(samples),
        samples.loss_of,
        similarity=similarity,
        leave_out=[_EMBEDDING],
        block=block,
        on_sample=on_sample,
    )
    clusters = describe_clusters(found, cluster_samples(found, n_clusters, seed=seed))
    record = {
        "arm": model.config.arm,
        "text": source,
        "weights_sha256": sha256_of(folder / WEIGHTS),
        "n_samples": n_samples,
        "below": below,
        "similarity": similarity.value,
        "seed": seed,
        "clusters": [_describe(model, samples, cluster) for cluster in clusters],
        "hybridqies": __version__,
    }
    out.mkdir(parents=True, exist_ok=True)
    write_record(out / QUANTA, record)
    return record


def _describe(model: LanguageModel, samples: TokenSamples, cluster: Cluster) -> dict[str, Any]:
    tokens = []
    for number in cluster.samples:
        before, token = samples.context_of(number)
        tokens.append(
            {
                "before": model.tokens.decode(before),
                "token": model.tokens.decode([token]),
                "loss": float(samples.losses[number]),
            }
        )
    return {**asdict(cluster), "samples": tokens}
