"""The detection limit: how many source counts are found with 95 % at 5 % false alarms."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize
from scipy.special import ndtr, ndtri

from hybridqies.errors import InputError
from hybridqies.events.detectors import DETECTORS, Detector
from hybridqies.events.runs import simulate
from hybridqies.events.scene import Floats, Scene

FALSE_ALARMS, DETECTED = 0.05, 0.95
_RESAMPLES = 200


@dataclass(frozen=True, slots=True)
class Limit:
    """Mean source counts that a detector finds with 95 %, and the 95 % interval over resampled runs.

    They are None where 95 % does not lie between the shares `found` of the least and the most counts.
    `false_alarms` is the share over the threshold among runs that did not set it.
    """

    detector: str
    counts: float | None
    low: float | None
    high: float | None
    false_alarms: float
    found: tuple[float, ...]


def currie_limit(background: float) -> float:
    """Net counts that are found with 95 % at 5 % false alarms over a known mean background.

    2.71 + 3.29 √B, L. A. Currie, Anal. Chem. 40, 586 (1968), for a background that is known exactly.
    """
    return 2.71 + 3.29 * math.sqrt(background)


def find_limits(
    scene: Scene,
    sources: Sequence[float],
    n_runs: int = 2000,
    seed: int = 0,
    detectors: Mapping[str, Detector] | None = None,
    on_part: Callable[[int, int, str], None] = lambda _done, _total, _note: None,
) -> list[Limit]:
    """The limit of every detector, from `n_runs` runs for its threshold and for each of `sources`.

    All detectors see the same runs. The false alarms are counted on further runs without source.
    Between the given counts the share found is a probit curve in the counts, fitted by maximum likelihood.

    Raises
    ------
    InputError: fewer than three counts.
    """
    if len(sources) < 3:
        raise InputError(f"{len(sources)} numbers of source counts were given", expected="three or more")
    chosen = DETECTORS if detectors is None else detectors
    counts = [0.0, 0.0, *sorted(sources)]
    scores: list[dict[str, Floats]] = []
    for at, source in enumerate(counts):
        on_part(at, len(counts), f"{source:g} source counts")
        # Runs of different counts have seeds of their own.
        parts = list(simulate(scene, source, n_runs, seed * 1000 + at))
        scores.append({name: np.concatenate([run(part) for part in parts]) for name, run in chosen.items()})
    on_part(len(counts), len(counts), "")
    return [
        _limit_of(name, [score[name] for score in scores], np.array(counts[2:]), np.random.default_rng(seed))
        for name in chosen
    ]


def _limit_of(name: str, scores: list[Floats], sources: Floats, random: np.random.Generator) -> Limit:
    null, fresh, *found = scores
    threshold = _threshold(null)
    shares = np.array([(each > threshold).mean() for each in found])
    alarms = float((fresh > threshold).mean())
    if not shares[0] < DETECTED < shares[-1]:
        return Limit(name, None, None, None, alarms, tuple(shares.tolist()))
    resampled = [_resample(null, found, sources, random) for _ in range(_RESAMPLES)]
    low, high = np.quantile(resampled, [0.025, 0.975])
    counts = _crossing(sources, shares, len(found[0]))
    return Limit(name, counts, float(low), float(high), alarms, tuple(shares.tolist()))


def _resample(null: Floats, found: list[Floats], sources: Floats, random: np.random.Generator) -> float:
    threshold = _threshold(random.choice(null, len(null)))
    shares = np.array([(random.choice(each, len(each)) > threshold).mean() for each in found])
    return _crossing(sources, shares, len(found[0]))


def _threshold(null: Floats) -> float:
    return float(np.quantile(null, 1 - FALSE_ALARMS, method="higher"))


def _crossing(sources: Floats, shares: Floats, n_runs: int) -> float:
    """Where the probit curve through the shares reaches 95 %."""
    hits = shares * n_runs

    def surprise(line: Floats) -> float:
        expected = np.clip(ndtr(line[0] + line[1] * sources / 100), 1e-12, 1 - 1e-12)
        return float(-(hits * np.log(expected) + (n_runs - hits) * np.log1p(-expected)).sum())

    # A straight line through the probits of the shares, pulled away from 0 and 1, to start from.
    start = np.polyfit(sources / 100, ndtri((hits + 0.5) / (n_runs + 1)), 1)[::-1]
    fitted = optimize.minimize(surprise, start, method="Nelder-Mead").x
    return float(100 * (ndtri(DETECTED) - fitted[0]) / fitted[1])
