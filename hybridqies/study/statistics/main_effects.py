"""Main effects of a two-level screen, with intervals and half-normal quantiles, from its responses alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridqies.errors import InputError
from hybridqies.options import to_mapping
from hybridqies.study.statistics.designs import Design
from hybridqies.study.statistics.families import holm

Floats = NDArray[np.float64]

LEVEL = 0.05
_NOTHING = 1e-12


@dataclass(frozen=True, slots=True)
class Effect:
    """Mean response at the high level minus that at the low one, with its 95 % interval.

    `p_value` is its own; `p_holm`, corrected over all factors of the screen, decides `active`; it is
    None for what is no factor. `quantile` is the half-normal quantile of its size among all contrasts.
    """

    name: str
    value: float
    standard_error: float
    low: float
    high: float
    p_value: float
    p_holm: float | None = None
    active: bool = False
    quantile: float | None = None


@dataclass(frozen=True, slots=True)
class Screening:
    """What a screen found: an effect for each factor and spare contrast, curvature where it has a centre.

    `error` says where the standard error comes from. Curvature is the mean of the corners minus the centre.
    """

    design: Design
    n_seeds: int
    error: str
    degrees_of_freedom: float
    effects: tuple[Effect, ...]
    spare: tuple[Effect, ...]
    curvature: Effect | None

    def to_mapping(self) -> dict[str, Any]:
        """The screening as JSON values."""
        return to_mapping(self) | {"design": self.design.to_mapping()}


@dataclass(frozen=True, slots=True)
class _Error:
    """Standard deviation of one response, with its degrees of freedom and source."""

    deviation: float
    freedom: float
    source: str


def main_effects(design: Design, responses: Floats) -> Screening:
    """Main effects from `responses` of shape (runs, seeds), runs in the order of `Design.settings`.

    With several seeds each is a whole replicate and a block: the error is what is left of the responses
    after the means of runs and of seeds, with (R − 1)(S − 1) degrees of freedom. With one seed it is Lenth's
    pseudo standard error over all contrasts, with a third of their number as degrees of freedom
    (Technometrics 31, 1989).

    Raises
    ------
    InputError: a response is missing, or there is no variation to judge the effects by.
    """
    values = _checked(design, responses)
    n_runs, n_seeds = len(design.signs), values.shape[1]
    corners = values[:n_runs]
    columns = np.column_stack([np.array(design.signs), *(np.array(each.signs) for each in design.spare)])
    contrasts = 2 / n_runs * (columns.T @ corners.mean(axis=1))
    error = _replicated(corners) if n_seeds > 1 else _lenth(contrasts, n_runs)
    if error.deviation < _NOTHING:
        what, expected = _no_error(values)
        raise InputError(what, expected=expected)
    scale = 2 * error.deviation / math.sqrt(n_runs * n_seeds)
    names = [each.name for each in design.factors]
    p_holm = holm([_p_value(value / scale, error.freedom) for value in contrasts[: len(names)]])
    quantiles = half_normal_quantiles(contrasts)
    effects = [
        _effect(name, value, scale, error.freedom, p, quantile)
        for name, value, p, quantile in zip(
            [*names, *(each.name for each in design.spare)],
            contrasts,
            [*p_holm, *(None for _ in design.spare)],
            quantiles,
            strict=True,
        )
    ]
    return Screening(
        design,
        n_seeds,
        error.source,
        error.freedom,
        tuple(effects[: len(names)]),
        tuple(effects[len(names) :]),
        _curvature(values, error) if design.has_centre else None,
    )


def half_normal_quantiles(effects: Sequence[float] | Floats) -> Floats:
    """For each effect the quantile of |N(0, 1)| at its size's rank, Φ⁻¹(½ + (i − ½) / 2m) (Daniel 1959)."""
    from scipy import stats

    sizes = np.abs(np.asarray(effects, dtype=np.float64))
    ranks = stats.rankdata(sizes, method="ordinal")
    return np.asarray(stats.norm.ppf(0.5 + (ranks - 0.5) / (2 * len(sizes))), dtype=np.float64)


def _checked(design: Design, responses: Floats) -> Floats:
    values = np.asarray(responses, dtype=np.float64)
    wanted = len(design.signs) + design.has_centre
    if values.ndim != 2 or len(values) != wanted or not values.shape[1]:
        raise InputError(
            f"a screen was given responses of shape {values.shape}",
            expected=f"({wanted} runs, seeds) for its design",
        )
    for run, seed in np.argwhere(~np.isfinite(values)):
        raise InputError(
            f"run {run} of the screen has no response for its seed number {seed}",
            expected="every run with every seed",
            todo="resume the study, or leave that seed out of all runs",
        )
    return values


def _no_error(values: Floats) -> tuple[str, str]:
    """Why effects cannot be judged, and what would let them be."""
    if np.ptp(values) < _NOTHING:
        return (
            f"every run gave the same response, {values.flat[0]:.4g}, so no effect can be told",
            "responses that differ, as after longer training or on more validation texts",
        )
    if values.shape[1] > 1:
        return (
            "every seed gave the same responses, so there is no error to judge effects by",
            "seeds that draw different texts, or one seed alone in a design with more runs than factors",
        )
    return (
        "most contrasts of this one seed are 0, so there is no error to judge effects by",
        "several seeds, or more runs than factors",
    )


def _replicated(corners: Floats) -> _Error:
    """The residual of an additive model of runs and seeds."""
    n_runs, n_seeds = corners.shape
    rest = corners - corners.mean(axis=1, keepdims=True) - corners.mean(axis=0) + corners.mean()
    freedom = (n_runs - 1) * (n_seeds - 1)
    return _Error(math.sqrt(float((rest**2).sum()) / freedom), freedom, "replication over seeds")


def _lenth(contrasts: Floats, n_runs: int) -> _Error:
    sizes = np.abs(contrasts)
    first = 1.5 * float(np.median(sizes))
    small = sizes[sizes < 2.5 * first]
    pseudo = 1.5 * float(np.median(small)) if len(small) else 0.0
    return _Error(pseudo * math.sqrt(n_runs) / 2, len(contrasts) / 3, "Lenth's pseudo standard error")


def _p_value(ratio: float, freedom: float) -> float:
    from scipy import stats

    return float(2 * stats.t.sf(abs(ratio), freedom))


def _effect(
    name: str,
    value: float,
    scale: float,
    freedom: float,
    p_holm: float | None = None,
    quantile: float | None = None,
) -> Effect:
    from scipy import stats

    margin = float(stats.t.ppf(0.975, freedom)) * scale
    return Effect(
        name,
        float(value),
        scale,
        float(value - margin),
        float(value + margin),
        _p_value(float(value) / scale, freedom),
        p_holm,
        p_holm is not None and p_holm <= LEVEL,
        None if quantile is None else float(quantile),
    )


def _curvature(values: Floats, error: _Error) -> Effect:
    n_runs, n_seeds = len(values) - 1, values.shape[1]
    scale = error.deviation * math.sqrt((1 + 1 / n_runs) / n_seeds)
    return _effect("curvature", float(values[:-1].mean() - values[-1].mean()), scale, error.freedom)
