"""Spectra and simulated runs against their closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from hybridqies.errors import InputError
from hybridqies.events import EDGES, ROI, Scene, currie_limit, simulate
from hybridqies.events.scene import COMPTON_EDGE, LINES, PEAK, deviation


def test_the_region_of_interest_is_currie_s_case() -> None:
    scene = Scene()
    inside = scene.in_roi()
    assert (EDGES[:-1][inside][0], EDGES[1:][inside][-1]) == ROI
    background = scene.background * scene.background_spectrum()[inside].sum()
    assert background == pytest.approx(79.8, abs=0.1)
    assert currie_limit(79.8) == pytest.approx(32.1, abs=0.01)
    # 35 % of the source are in the peak, and 0.6 widths on both sides hold 84 % of that.
    share = scene.source_spectrum()[inside].sum()
    assert share == pytest.approx(0.35 * (1 - 2 * stats.norm.sf(0.6 * 2.35482)), abs=2e-3)
    assert currie_limit(background) / share == pytest.approx(109, abs=1)


def test_spectra_equal_numerical_integrals() -> None:
    scene = Scene()

    def source(energy: float) -> float:
        width = deviation(PEAK, scene.resolution)
        edge = deviation(COMPTON_EDGE, scene.resolution)
        compton = stats.norm.sf((energy - COMPTON_EDGE) / edge) / (COMPTON_EDGE - EDGES[0])
        return float(0.35 * stats.norm.pdf(energy, PEAK, width) + 0.65 * compton)

    total, _ = integrate.quad(source, EDGES[0], 900, limit=200, points=[COMPTON_EDGE, PEAK])
    for at in (0, 30, 54, 77, 80):
        wanted, _ = integrate.quad(source, EDGES[at], EDGES[at + 1])
        assert scene.source_spectrum()[at] == pytest.approx(wanted / total, rel=1e-9)
    assert scene.source_spectrum()[-1] < 1e-20
    assert scene.background_spectrum().sum() == pytest.approx(1, abs=1e-14)
    assert scene.background_spectrum().min() > 0
    # Lines above the last edge are in the last bin, with the tail of the continuum.
    above = sum(share for energy, share in LINES.items() if energy > 1000)
    assert scene.background_spectrum()[-1] > above


def test_runs_have_the_counts_and_times_of_their_scene() -> None:
    scene = Scene(duration=300, rate=4, tau=20)
    parts = list(simulate(scene, 50, 600, seed=1))
    assert [part.n_runs for part in parts] == [256, 256, 88]
    counts = np.concatenate([np.bincount(part.of_run, minlength=part.n_runs) for part in parts])
    # Few of the release are lost: onsets are at least one decay time before the end.
    onsets = np.concatenate([part.onsets for part in parts])
    lost = np.exp(-(scene.duration - onsets) / scene.tau).mean()
    expected = scene.background + 50 * (1 - lost)
    assert abs(counts.mean() - expected) < 4 * math.sqrt(expected / len(counts))
    times = np.concatenate([part.times for part in parts])
    assert times.min() >= 0
    assert times.max() < scene.duration
    since = np.concatenate([part.times - part.onsets[part.of_run] for part in parts])
    # Background has a flat share of the first decay time; the source 63 % of its counts.
    early = ((since >= 0) & (since < scene.tau)).sum() / len(counts)
    wanted = scene.rate * scene.tau + 50 * (1 - math.exp(-1))
    assert abs(early - wanted) < 4 * math.sqrt(wanted / len(counts))


def test_a_run_does_not_depend_on_how_many_there_are() -> None:
    first, second = (next(simulate(Scene(duration=20), 5, count, seed=3)) for count in (300, 256))
    assert np.array_equal(first.times, second.times)
    other = next(simulate(Scene(duration=20), 5, 256, seed=4))
    assert not np.array_equal(other.onsets, second.onsets)


def test_spread_widens_the_counts() -> None:
    scene = Scene(duration=100, spread=0.1)
    (part,) = simulate(scene, 0, 256, seed=0)
    counts = np.bincount(part.of_run, minlength=256)
    assert counts.var() == pytest.approx(500 + (0.1 * 500) ** 2, rel=0.3)


@pytest.mark.parametrize(("source", "runs"), [(-1.0, 10), (math.nan, 10), (5.0, 0)])
def test_impossible_runs_are_refused(source: float, runs: int) -> None:
    with pytest.raises(InputError, match="counts ≥ 0"):
        next(simulate(Scene(), source, runs, 0))


@pytest.mark.parametrize("option", [{"tau": 0}, {"rate": -1}, {"photopeak": 1.1}, {"duration": math.nan}])
def test_impossible_scenes_are_refused(option: dict[str, float]) -> None:
    with pytest.raises(InputError, match="scene"):
        Scene(**option)
