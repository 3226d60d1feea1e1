"""Simulated runs: events with their energies and times, with and without a release."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybridqies.errors import InputError
from hybridqies.events.scene import Floats, Scene

Counts = NDArray[np.int64]

# Runs are made this many at a time; their histograms then take some 30 MB.
PART = 256


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Some runs of a scene: their events one after the other.

    Event e of run `of_run[e]` has the energy bin `bins[e]` and the time `times[e]`. `onsets` (R,) are the
    times at which releases begin, drawn for runs without source, too.
    """

    scene: Scene
    n_runs: int
    of_run: Counts
    bins: Counts
    times: Floats
    onsets: Floats


def simulate(scene: Scene, source: float, n_runs: int, seed: int) -> Iterator[Runs]:
    """`n_runs` runs with a mean of `source` counted events of Cs-137 each, in parts of at most PART.

    The part of a release after the end of the run is lost with its events. Onsets are uniform over the run,
    at least min(τ, duration/2) before its end. Runs of one seed do not depend on how many there are.

    Raises
    ------
    InputError: `source` is negative, or fewer than one run.
    """
    if not source >= 0 or n_runs < 1:
        raise InputError(
            f"{n_runs} runs with {source} source counts were asked for", expected="counts ≥ 0 and runs ≥ 1"
        )
    for part, start in enumerate(range(0, n_runs, PART)):
        yield _simulate_part(scene, source, min(PART, n_runs - start), np.random.default_rng([seed, part]))


def _simulate_part(scene: Scene, source: float, n_runs: int, random: np.random.Generator) -> Runs:
    latest = scene.duration - min(scene.tau, scene.duration / 2)
    onsets = random.uniform(0, latest, n_runs)
    rates = scene.background * np.clip(random.normal(1, scene.spread, n_runs), 0, None)
    backgrounds, sources = random.poisson(rates), random.poisson(source, n_runs)
    runs = np.arange(n_runs)
    of_background, of_source = np.repeat(runs, backgrounds), np.repeat(runs, sources)
    bins = np.concatenate(
        [
            _draw_bins(scene.background_spectrum(), len(of_background), random),
            _draw_bins(scene.source_spectrum(), len(of_source), random),
        ]
    )
    times = np.concatenate(
        [
            random.uniform(0, scene.duration, len(of_background)),
            onsets[of_source] + random.exponential(scene.tau, len(of_source)),
        ]
    )
    seen = times < scene.duration
    of_run = np.concatenate([of_background, of_source])
    return Runs(scene, n_runs, of_run[seen], bins[seen], times[seen], onsets)


def _draw_bins(spectrum: Floats, count: int, random: np.random.Generator) -> Counts:
    drawn: Counts = np.searchsorted(np.cumsum(spectrum), random.random(count), side="right")
    # The cumulative sum may end a rounding below one.
    return np.minimum(drawn, len(spectrum) - 1)
