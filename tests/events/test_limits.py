"""Detectors against their definitions, limits against Currie's formula, and a small attention model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import ndtr

from hybridqies.errors import InputError
from hybridqies.events import (
    DETECTORS,
    AttentionConfig,
    AttentionDetector,
    Readout,
    Runs,
    Scene,
    as_detector,
    count_windows,
    currie_limit,
    find_limits,
    make_rows,
    simulate,
    train_detector,
)
from hybridqies.events.detectors import EXPECTED
from hybridqies.events.limits import _crossing
from hybridqies.roles import Role, roles_of
from hybridqies.training import TrainingConfig

SHORT = Scene(duration=60, rate=2, tau=8)


def some_runs(source: float = 20, count: int = 5, seed: int = 2) -> Runs:
    return next(simulate(SHORT, source, count, seed))


def test_detectors_equal_sums_over_events() -> None:
    runs = some_runs()
    background, source = SHORT.background_spectrum(), SHORT.source_spectrum()
    inside = SHORT.in_roi()
    gain = source[inside].sum() / background[inside].sum()
    for run in range(runs.n_runs):
        mine = runs.of_run == run
        bins, times = runs.bins[mine], runs.times[mine]
        assert DETECTORS["roi"](runs)[run] == inside[bins].sum()
        ratio = EXPECTED * source[bins] / (SHORT.background * background[bins])
        assert DETECTORS["spectrum"](runs)[run] == pytest.approx(np.log1p(ratio).sum())
        # In the middle of the second after its own, an event has waited half a second more.
        seconds = np.floor(times)

        def best(ratios: np.ndarray, seconds: np.ndarray = seconds) -> float:
            totals = []
            for onset in range(60):
                since = seconds - onset + 0.5
                profile = np.where((since > 0) & (since < 40), np.exp(-since / 8) / 8, 0)
                totals.append(np.log1p(EXPECTED / SHORT.rate * ratios * profile).sum())
            return max(totals)

        assert DETECTORS["scanned-spectrum"](runs)[run] == pytest.approx(
            best(source[bins] / background[bins])
        )
        assert DETECTORS["scanned-roi"](runs)[run] == pytest.approx(best(gain * inside[bins]))
        since = times - runs.onsets[run]
        profile = np.where(since >= 0, np.exp(-np.abs(since) / 8) / 8, 0)
        told = np.log1p(EXPECTED / SHORT.rate * source[bins] / background[bins] * profile).sum()
        assert DETECTORS["oracle"](runs)[run] == pytest.approx(told)


def test_a_run_without_events_scores_nothing() -> None:
    empty = next(simulate(Scene(duration=1, rate=1e-3), 0, 3, 0))
    assert len(empty.times) == 0
    for detect in DETECTORS.values():
        assert np.abs(detect(empty)).max() < 1e-12


def test_limits_are_in_order_and_roi_is_currie_s() -> None:
    scene = Scene()
    chosen = {name: DETECTORS[name] for name in ("roi", "spectrum", "oracle")}
    limits = {each.detector: each for each in find_limits(scene, [30, 60, 90, 120, 150], 400, 1, chosen)}
    inside = scene.in_roi()
    background = scene.background * scene.background_spectrum()[inside].sum()
    expected = currie_limit(background) / scene.source_spectrum()[inside].sum()
    assert limits["roi"].counts == pytest.approx(expected, rel=0.1)
    bounds = [(each.low or 0, each.counts or 0, each.high or 0) for each in limits.values()]
    assert all(low < counts < high for low, counts, high in bounds)
    roi, spectrum, oracle = bounds
    assert oracle[2] < spectrum[0] < spectrum[2] < roi[0]
    # 20 of 400 runs without source are expected over a threshold that others set.
    assert all(0.01 < each.false_alarms < 0.11 for each in limits.values())


def test_the_crossing_of_a_known_curve() -> None:
    sources = np.array([10.0, 30, 50, 70, 90])
    assert _crossing(sources, ndtr((sources - 40) / 20), 10**6) == pytest.approx(40 + 20 * 1.6449, abs=0.05)
    # Shares of nothing and of everything do not break the fit.
    assert 50 < _crossing(sources, np.array([0.0, 0, 0.5, 1, 1]), 100) < 70


def test_limits_out_of_reach_have_no_value() -> None:
    (low,) = find_limits(SHORT, [1, 2, 3], 50, 0, {"roi": DETECTORS["roi"]})
    assert low.counts is low.low is low.high is None
    assert max(low.found) < 0.95
    (high,) = find_limits(SHORT, [300, 400, 500], 50, 0, {"roi": DETECTORS["roi"]})
    assert high.counts is None
    assert min(high.found) == 1
    with pytest.raises(InputError, match="three or more"):
        find_limits(SHORT, [1, 2], 50)


@pytest.mark.parametrize("readout", list(Readout))
def test_an_attention_model_learns_to_find_strong_sources(readout: Readout) -> None:
    config = AttentionConfig(window=5, width=16, heads=2, layers=1, readout=readout, qubits=2)
    training = TrainingConfig(epochs=12, batch_size=32, learning_rate=0.01, seed=1)
    losses: list[float] = []
    model = train_detector(
        SHORT, config, training, 512, (60, 60), lambda record: losses.append(record["train_loss"])
    )
    assert losses[-1] < 0.8 * losses[0]
    detect = as_detector(model)
    null, found = (detect(next(simulate(SHORT, source, 200, 77))) for source in (0.0, 60.0))
    assert (found > np.quantile(null, 0.95)).mean() > 0.8


def test_a_training_repeats() -> None:
    config = AttentionConfig(window=5, width=8, heads=1, layers=1)
    training = TrainingConfig(epochs=2, seed=1)
    first, second = (train_detector(SHORT, config, training, 64) for _ in range(2))
    assert all(torch.equal(*pair) for pair in zip(first.parameters(), second.parameters(), strict=True))


def test_windows_hold_every_event() -> None:
    runs, config = some_runs(), AttentionConfig(window=7)
    counts = count_windows(runs, config)
    assert counts.shape == (5, 9 * 37)
    assert counts.sum(1).tolist() == np.bincount(runs.of_run, minlength=5).tolist()
    first = int(np.flatnonzero(runs.of_run == 3)[0])
    cell = int(runs.times[first] // 7) * 37 + int(runs.bins[first] // 3)
    assert counts[3, cell] >= 1


def test_rows_are_half_without_source_and_repeat() -> None:
    rows = make_rows(SHORT, AttentionConfig(), 100, 3, (10, 20))
    assert rows.labels.tolist() == [0] * 32 + [1] * 32 + [0] * 32 + [1] * 4
    assert torch.equal(rows.inputs, make_rows(SHORT, AttentionConfig(), 100, 3, (10, 20)).inputs)
    assert rows.inputs.shape[0] == 100


def test_roles_and_parameters_of_the_model() -> None:
    model = AttentionDetector(SHORT, AttentionConfig(readout=Readout.CIRCUIT))
    roles = roles_of(model)
    assert roles["decide.1.weights"] is Role.CIRCUIT
    assert roles["decide.0.weight"] is Role.READOUT
    assert roles["read.weight"] is Role.BODY
    assert model(torch.zeros(2, 6 * 37)).isfinite().all()


def test_a_width_that_heads_cannot_share_is_refused() -> None:
    with pytest.raises(InputError, match="'width' was given 30 with heads=4"):
        AttentionConfig(width=30)
