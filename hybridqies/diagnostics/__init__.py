"""Diagnostics of circuits: whether they can be trained, what states they reach, how entangled those are."""

from hybridqies.diagnostics.entanglement import (
    meyer_wallach,
    random_entropy,
    random_meyer_wallach,
    renyi_entropy,
    schmidt_spectrum,
    von_neumann_entropy,
)
from hybridqies.diagnostics.expressibility import expect_of_random, expressibility, pair_fidelities
from hybridqies.diagnostics.survey import (
    WIDEST_STATE,
    Diagnosis,
    Mean,
    Survey,
    diagnose,
    diagnose_all,
    plan_sizes,
)
from hybridqies.diagnostics.trainability import (
    Decay,
    GradientVariance,
    fit_decay,
    measure_square,
    measure_variance,
    random_variance,
)

__all__ = [
    "WIDEST_STATE",
    "Decay",
    "Diagnosis",
    "GradientVariance",
    "Mean",
    "Survey",
    "diagnose",
    "diagnose_all",
    "expect_of_random",
    "expressibility",
    "fit_decay",
    "measure_square",
    "measure_variance",
    "meyer_wallach",
    "pair_fidelities",
    "plan_sizes",
    "random_entropy",
    "random_meyer_wallach",
    "random_variance",
    "renyi_entropy",
    "schmidt_spectrum",
    "von_neumann_entropy",
]
