"""Trainability and expressibility against values known by formula, and the diagnosis of recipes."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from hybridqies.circuit import Circuit, Weight, gate, load_recipe
from hybridqies.diagnostics import (
    Survey,
    diagnose,
    diagnose_all,
    expect_of_random,
    expressibility,
    fit_decay,
    measure_square,
    measure_variance,
    pair_fidelities,
    plan_sizes,
    random_variance,
)
from hybridqies.errors import CapabilityError, InputError


def test_one_rotation_has_a_variance_of_a_half() -> None:
    # d⟨Z⟩/dθ of RY(θ) is -sin θ, whose variance over the circle is 1/2; a second qubit moves nothing.
    circuit = Circuit.of(2, [gate("RY", 0, Weight(0)), gate("RY", 1, Weight(1))])
    found = diagnose(circuit, Survey(samples=4000))
    assert found.gradient_variance is not None
    assert found.gradient_variance.moving == 1
    assert abs(found.gradient_variance.value - 0.5) < 4 * found.gradient_variance.error
    # The error of a mean of sin² over 4,000 draws: sqrt(1/8 / 4000).
    assert found.gradient_variance.error == pytest.approx(math.sqrt(1 / 8 / 4000), rel=0.05)
    assert found.widest_cone == 1


def test_a_deep_circuit_reaches_the_values_of_random_ones() -> None:
    circuit = load_recipe("strongly-entangling").build(3, {"layers": 10})
    found = diagnose(circuit, Survey(samples=1500))
    assert found.gradient_variance
    assert found.meyer_wallach
    assert found.entropy
    assert found.expressibility
    # Weights of the first and last layers have less of a random circuit around them.
    assert found.gradient_variance.value == pytest.approx(random_variance(3), rel=0.05)
    for mean in (found.meyer_wallach, found.entropy):
        assert mean.error is not None
        assert abs(mean.value - mean.random) < 5 * mean.error
    assert found.expressibility.value < 1.5 * found.expressibility.random
    assert sum(found.spectrum) == pytest.approx(1)


def test_random_variance_by_hand() -> None:
    # N = 2: 4 / (2 * 3 * 3).
    assert random_variance(1) == pytest.approx(4 / 18)
    assert random_variance(1000) < 1e-300


def test_a_circuit_that_moves_nothing_is_an_idle_one() -> None:
    circuit = Circuit.of(1, [gate("RZ", 0, Weight(0))])
    found = diagnose(circuit, Survey(samples=100))
    assert found.gradient_variance is None
    assert found.meyer_wallach is None
    assert found.entropy is None
    assert found.spectrum == ()
    # All fidelities are 1, in the last of 75 bins, whose probability is 1/75.
    assert found.expressibility is not None
    assert found.expressibility.value == pytest.approx(math.log(75))


def test_expressibility_of_random_fidelities_is_its_bias() -> None:
    random = np.random.default_rng(3)
    fidelities = torch.from_numpy(random.beta(1, 2**3 - 1, size=20_000))
    assert expressibility(fidelities, 3) == pytest.approx(expect_of_random(3, 20_000), abs=2e-3)
    # Doubling the exponent is the divergence between two beta distributions, finite for any number of qubits.
    assert math.isfinite(expressibility(torch.tensor([0.5, 1.0], dtype=torch.float64), 40))


def test_expressibility_refuses_other_numbers() -> None:
    for wrong in (torch.tensor([1.5]), torch.tensor([-0.1]), torch.tensor([math.nan]), torch.zeros(0)):
        with pytest.raises(InputError, match="fidelities from 0 to 1"):
            expressibility(wrong, 2)


def test_fidelities_of_pairs() -> None:
    states = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [0.6, 0.8], [1.0, 0.0]], dtype=torch.float64)
    assert pair_fidelities(states).tolist() == pytest.approx([0.0, 1.0])


def test_the_decay_of_known_variances() -> None:
    decay = fit_decay([2, 4, 6], [4.0**-n for n in (2, 4, 6)])
    assert decay is not None
    assert decay.factor == pytest.approx(4)
    assert decay.low == pytest.approx(4)
    assert decay.high == pytest.approx(4)
    assert "falls by 4.00 a qubit" in decay.verdict
    assert "barren plateau" in decay.verdict
    flat = fit_decay([2, 4, 6, 8], [0.2, 0.21, 0.19, 0.2])
    assert flat is not None
    assert "no fall" in flat.verdict
    growing = fit_decay([2, 4, 6], [0.1, 0.2, 0.4])
    assert growing is not None
    assert "grows" in growing.verdict
    two = fit_decay([2, 4], [0.2, 0.05])
    assert two is not None
    assert two.factor == pytest.approx(2)
    assert "three sizes" in two.verdict
    assert fit_decay([4, 4], [0.2, 0.1]) is None


def test_weights_that_rounding_moves_do_not_count() -> None:
    gradients = torch.tensor([[1.0, 1e-17], [-1.0, -1e-17], [1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    found = measure_variance(gradients)
    assert found is not None
    assert found.moving == 1
    assert found.value == pytest.approx(4 / 3)
    assert measure_variance(torch.zeros(4, 2)) is None


def test_draws_repeat_and_parts_join(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit, survey = load_recipe("rot-ring").build(3, {"layers": 1}), Survey(samples=64, seed=5)
    first = diagnose(circuit, survey)
    assert diagnose(circuit, survey) == first
    assert diagnose(circuit, dataclasses.replace(survey, seed=6)) != first
    monkeypatch.setattr("hybridqies.diagnostics.gradients._AT_ONCE", 2**7)
    parts = diagnose(circuit, survey)
    assert parts.gradient_variance
    assert first.gradient_variance
    # The same uniform numbers in another order: equal in distribution, not in value.
    assert (
        abs(parts.gradient_variance.value - first.gradient_variance.value) < 5 * first.gradient_variance.error
    )


def test_amplitudes_are_drawn_where_a_circuit_starts_from_them() -> None:
    found = diagnose(load_recipe("long-range-encoder").build(3, {}), Survey(samples=8))
    assert found.meyer_wallach is not None


def test_wide_circuits_have_gradients_alone() -> None:
    found = diagnose(load_recipe("data-reuploading").build(32, {"layers": 1}), Survey(samples=8))
    assert found.meyer_wallach is None
    assert found.expressibility is None
    assert found.gradient_variance is not None
    assert found.widest_cone is not None
    assert found.widest_cone < 10


def test_every_size_is_checked_before_the_first_is_run() -> None:
    recipe = load_recipe("long-range-reupload")
    with pytest.raises(CapabilityError, match="light cone"):
        plan_sizes(recipe, [2, 40], {}, {})
    with pytest.raises(InputError, match="given a value and is varied"):
        plan_sizes(recipe, [2], {"layers": 1}, {"layers": [1, 2]})
    with pytest.raises(InputError, match=r"readout 4 .* expected 0 to"):
        plan_sizes(load_recipe("rot-ring"), [4], {}, {}, readout=4)


def test_progress_names_the_next_size() -> None:
    heard: list[tuple[int, int, str]] = []
    planned = plan_sizes(load_recipe("rot-ring"), [2, 3], {}, {"layers": [1]})
    found = diagnose_all(planned, Survey(samples=4), lambda *told: heard.append(told))
    assert [each.n_qubits for each in found] == [2, 3]
    assert found[0].options == {"layers": 1}
    assert heard == [(0, 2, "2 qubits"), (1, 2, "3 qubits"), (2, 2, "")]


def test_a_mean_square_counts_what_all_draws_share() -> None:
    gradients = torch.tensor([[3.0, 0.0], [5.0, 0.0]], dtype=torch.float64)
    found = measure_square(gradients)
    assert found is not None
    # The second weight moves nothing; 9 and 25 have a standard error of 16 / √2 / √2.
    assert (found.value, found.moving) == (17.0, 1)
    assert found.error == pytest.approx(8.0)
    assert measure_square(torch.zeros(4, 2)) is None
