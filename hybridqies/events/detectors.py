"""Detectors: one number for each run, larger where there is more of a release; a row each in a table.

Likelihood ratios are those of Poisson processes: Σ log(1 + s(E, t) / b(E, t)) over the events of a run, less
the expected number of source events, which is the same for all runs and left out. Where the time of the
release is not known, it is scanned in steps of a second and the largest value counts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hybridqies.events.runs import Runs
from hybridqies.events.scene import Floats, Scene

# Source counts for which the likelihood ratios are made: near the limits of detection.
EXPECTED = 50.0
# Releases are followed until this many decay times have passed, after which 0.7 % of them is left.
_DECAYS = 5.0

Detector = Callable[[Runs], Floats]


def count_in_roi(runs: Runs) -> Floats:
    """Events in the region of interest."""
    return _sum_by_run(runs, runs.scene.in_roi().astype(np.float64)[runs.bins])


def compare_spectrum(runs: Runs) -> Floats:
    """The likelihood ratio of the energies, whatever the times."""
    ratio = EXPECTED / runs.scene.background * _ratios(runs.scene)
    return _sum_by_run(runs, np.log1p(ratio)[runs.bins])


def scan_roi(runs: Runs) -> Floats:
    """The likelihood ratio of the times of events in the region of interest, for the best onset."""
    scene, inside = runs.scene, runs.scene.in_roi()
    gain = scene.source_spectrum()[inside].sum() / scene.background_spectrum()[inside].sum()
    return _scan(runs, np.where(inside, gain, 0.0))


def scan_spectrum(runs: Runs) -> Floats:
    """The likelihood ratio of energies and times, for the best onset."""
    return _scan(runs, _ratios(runs.scene))


def know_onset(runs: Runs) -> Floats:
    """The likelihood ratio of energies and times for the true onset: no detector can do better."""
    scene = runs.scene
    since = runs.times - runs.onsets[runs.of_run]
    profile = np.where(since >= 0, np.exp(-np.clip(since, 0, None) / scene.tau) / scene.tau, 0.0)
    return _sum_by_run(runs, np.log1p(EXPECTED / scene.rate * _ratios(scene)[runs.bins] * profile))


DETECTORS: dict[str, Detector] = {
    "roi": count_in_roi,
    "spectrum": compare_spectrum,
    "scanned-roi": scan_roi,
    "scanned-spectrum": scan_spectrum,
    "oracle": know_onset,
}


def _ratios(scene: Scene) -> Floats:
    """The probability of each bin for source events over that for background events."""
    return scene.source_spectrum() / scene.background_spectrum()


def _sum_by_run(runs: Runs, values: Floats) -> Floats:
    return np.bincount(runs.of_run, weights=values, minlength=runs.n_runs).astype(np.float64)


def _scan(runs: Runs, ratios: Floats) -> Floats:
    """The largest likelihood ratio over onsets, a second apart; `ratios` is that of energies, by bin.

    For each energy bin, the histogram of times is correlated with the gain of an event so long after the
    onset, by Fourier transforms that are padded so that nothing wraps around.
    """
    scene = runs.scene
    seconds, used = int(np.ceil(scene.duration)), np.flatnonzero(ratios > 0)
    after = np.arange(min(seconds, int(np.ceil(_DECAYS * scene.tau)))) + 0.5
    profile = np.exp(-after / scene.tau) / scene.tau
    gains = np.log1p(EXPECTED / scene.rate * ratios[used, None] * profile)
    padded = seconds + len(after)
    kernels = np.conj(np.fft.rfft(gains, padded))
    place = np.full(len(ratios), -1)
    place[used] = np.arange(len(used))
    kept = place[runs.bins] >= 0
    best = np.empty(runs.n_runs)
    order = np.argsort(runs.of_run[kept], kind="stable")
    of_run, rows = runs.of_run[kept][order], place[runs.bins[kept]][order]
    columns = runs.times[kept][order].astype(np.int64)
    bounds = np.searchsorted(of_run, np.arange(runs.n_runs + 1))
    for run in range(runs.n_runs):
        mine = slice(bounds[run], bounds[run + 1])
        cells = np.bincount(rows[mine] * seconds + columns[mine], minlength=len(used) * seconds)
        transformed = np.fft.rfft(cells.reshape(len(used), seconds), padded)
        best[run] = np.fft.irfft((transformed * kernels).sum(0), padded)[:seconds].max()
    return best
