"""Samples in clusters of similar gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybridqies.errors import InputError

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cluster:
    """The samples of a cluster, from the most typical on.

    `inside` is the mean similarity of its samples to each other (None for one sample), `outside` that to
    all others (None where there are none).
    """

    samples: tuple[int, ...]
    inside: float | None
    outside: float | None


def cluster_samples(similarity: Floats, n_clusters: int, *, seed: int = 0) -> Whole:
    """The cluster (N,) of every sample, by spectral clustering; the largest cluster is number 0.

    Raises
    ------
    InputError: fewer samples than clusters, or fewer than two clusters.
    """
    from sklearn.cluster import SpectralClustering

    check_clusters(len(similarity), n_clusters)
    clustering = SpectralClustering(n_clusters, affinity="precomputed", n_init=30, random_state=seed)
    found = clustering.fit_predict(similarity)
    order = np.argsort(-np.bincount(found, minlength=n_clusters), kind="stable")
    return np.asarray(np.argsort(order)[found], dtype=np.int64)


def check_clusters(n_samples: int, n_clusters: int) -> None:
    """Refuses numbers that do not fit, before anything is computed.

    Raises
    ------
    InputError: fewer samples than clusters, or fewer than two clusters.
    """
    if not 2 <= n_clusters < n_samples:
        raise InputError(
            f"{n_samples} samples were to be put into {n_clusters} clusters",
            expected="at least 2 clusters, and more samples",
        )


def describe_clusters(similarity: Floats, clusters: Whole) -> tuple[Cluster, ...]:
    """Every cluster, from the largest on. The most typical sample is the most similar one to the others."""
    described = []
    for number in range(int(clusters.max()) + 1):
        own, others = np.flatnonzero(clusters == number), np.flatnonzero(clusters != number)
        inner = similarity[np.ix_(own, own)]
        n_own = len(own)
        to_others = (inner.sum(axis=1) - inner.diagonal()) / max(n_own - 1, 1)
        described.append(
            Cluster(
                tuple(own[np.argsort(-to_others, kind="stable")].tolist()),
                float(to_others.mean()) if n_own > 1 else None,
                float(similarity[np.ix_(own, others)].mean()) if len(others) else None,
            )
        )
    return tuple(described)


def shuffle_similarity(similarity: Floats, seed: int = 0) -> Floats:
    """The same similarities of pairs in random places; clusters that are found in them mean nothing."""
    above = np.triu_indices(len(similarity), 1)
    shuffled = np.diag(similarity.diagonal()).astype(np.float64)
    shuffled[above] = np.random.default_rng(seed).permutation(similarity[above])
    return shuffled + np.triu(shuffled, 1).T
