"""Quanta of a model from gradients: samples whose gradients lie along one line are learnt by one skill."""

from typing import TYPE_CHECKING

from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.quanta.clusters import Cluster, cluster_samples, describe_clusters, shuffle_similarity
    from hybridqies.quanta.known import KnownQuanta, check_discovery
    from hybridqies.quanta.similarity import Similarity, gradient_similarity
    from hybridqies.quanta.tokens import TokenSamples, choose_tokens

__all__ = [
    "Cluster",
    "KnownQuanta",
    "Similarity",
    "TokenSamples",
    "check_discovery",
    "choose_tokens",
    "cluster_samples",
    "describe_clusters",
    "gradient_similarity",
    "shuffle_similarity",
]

__getattr__, __dir__ = import_lazily(__name__, __all__, ("clusters", "similarity", "tokens", "known"))
