"""Two-level designs and main effects: orthogonal, open about aliasing, right on screens of known effects."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy import stats

from hybridqies.errors import InputError, MissingExtraError
from hybridqies.study.statistics.designs import Alias, Design, Factor, fractional_factorial, plackett_burman
from hybridqies.study.statistics.main_effects import Screening, half_normal_quantiles, main_effects

NAMES = ("qubits", "depth", "connectivity", "rate", "reuploads", "encoders", "shots", "noise")
EFFECTS = np.array([0.06, 0.0, -0.03, 0.04, 0.0, 0.0, 0.0, -0.05])
SCREENS = 200

Build = Callable[[Sequence[Factor]], Design]


def factors(count: int) -> list[Factor]:
    return [Factor(f"f{at}", 0, 1) for at in range(count)]


def named(count: int = 8) -> list[Factor]:
    return [Factor(name, 0, 1) for name in NAMES[:count]]


def responses(
    design: Design,
    rng: np.random.Generator,
    n_seeds: int,
    *,
    effects: np.ndarray = EFFECTS,
    noise: float = 0.02,
) -> np.ndarray:
    """What a screen would measure: effects, a level of each seed, and noise; (R, S)."""
    clean = 0.75 + np.array(design.signs) @ effects / 2
    return clean[:, None] + rng.normal(0, 0.03, n_seeds) + rng.normal(0, noise, (len(clean), n_seeds))


class TestDesigns:
    @pytest.mark.parametrize(
        ("count", "runs"),
        [(2, 4), (3, 4), (4, 8), (7, 8), (8, 12), (11, 12), (12, 16), (19, 20), (23, 24), (25, 32)],
    )
    def test_plackett_burman_is_orthogonal_and_saturated(self, count: int, runs: int) -> None:
        design = plackett_burman(factors(count))
        columns = np.column_stack([np.array(design.signs), *(np.array(each.signs) for each in design.spare)])
        assert columns.shape == (runs, runs - 1)
        assert np.array_equal(columns.T @ columns, runs * np.eye(runs - 1))
        assert not columns.sum(axis=0).any()

    @pytest.mark.parametrize(
        ("count", "resolution", "runs"), [(3, 3, 4), (3, 4, 8), (5, 5, 16), (7, 3, 8), (8, 4, 16), (6, 5, 32)]
    )
    def test_a_fraction_has_its_resolution(self, count: int, resolution: int, runs: int) -> None:
        design = fractional_factorial(factors(count), resolution=resolution)
        columns = np.column_stack([np.array(design.signs), *(np.array(each.signs) for each in design.spare)])
        assert np.array_equal(columns.T @ columns, runs * np.eye(runs - 1))
        assert design.resolution() == (None if runs == 2**count else resolution)

    def test_settings_are_the_levels(self) -> None:
        given = [Factor("qubits", 4, 8), Factor("noise", "none", "depolarizing"), Factor("shots", None, 1000)]
        settings = plackett_burman(given).settings()
        assert len(settings) == 4
        assert {tuple(run) for run in settings} == {("qubits", "noise", "shots")}
        for name, low, high in (("qubits", 4, 8), ("noise", "none", "depolarizing"), ("shots", None, 1000)):
            assert (
                [run[name] for run in settings].count(low) == [run[name] for run in settings].count(high) == 2
            )

    def test_the_centre_comes_last(self) -> None:
        given = [Factor("qubits", 4, 8, 6), Factor("rate", 1e-3, 1e-1, 1e-2)]
        design = plackett_burman(given, centre=True)
        assert len(design.settings()) == 5
        assert design.settings()[-1] == {"qubits": 6, "rate": 1e-2}
        assert "2 factors in 4 runs and a centre run" in design.statement()

    def test_generators(self) -> None:
        design = fractional_factorial(named(4), generators="a b c -abc")
        signs = np.array(design.signs)
        assert np.array_equal(signs[:, 3], -signs[:, :3].prod(axis=1))
        assert design.resolution() == 4

    def test_is_json(self) -> None:
        mapping = plackett_burman(named()).to_mapping()
        assert json.loads(json.dumps(mapping, allow_nan=False)) == mapping


class TestAliasing:
    def test_a_third_of_each_interaction_in_twelve_runs(self) -> None:
        design = plackett_burman(named())
        for name, found in design.aliases().items():
            assert len(found) == math.comb(7, 2)
            assert {abs(alias.coefficient) for alias in found} == {1 / 3}
            assert not any(name in alias.factors for alias in found)
        assert design.resolution() == 3
        assert design.statement() == (
            "Plackett-Burman design, 8 factors in 12 runs, resolution III: each main effect also holds"
            " up to ±0.333 of every two-factor interaction that the factor is not part of"
        )

    def test_the_interactions_that_a_main_effect_is(self) -> None:
        design = fractional_factorial(named(5), generators="a b c ab -bc")
        assert design.aliases()["depth"] == (
            Alias(("qubits", "rate"), 1.0),
            Alias(("connectivity", "reuploads"), -1.0),
        )
        assert "depth is confounded with qubits × rate − connectivity × reuploads; " in design.statement()
        assert "reuploads is confounded with −depth × connectivity" in design.statement()
        assert [each.name for each in design.spare] == [
            "qubits × connectivity − rate × reuploads",
            "−qubits × reuploads + connectivity × rate",
        ]

    def test_resolution_four_keeps_main_effects_clear(self) -> None:
        statement = fractional_factorial(named()).statement()
        assert "resolution IV: no main effect is confounded with a two-factor interaction" in statement
        assert "qubits × depth + connectivity × reuploads + rate × encoders + shots × noise" in statement

    def test_a_full_factorial_confounds_nothing(self) -> None:
        assert fractional_factorial(named(3)).statement() == (
            "Full factorial, 3 factors in 8 runs: no effect is confounded with another"
        )

    def test_a_doubled_design_is_confounded_wholly_and_in_part(self) -> None:
        found = plackett_burman(factors(23))
        assert "f0 is confounded with f11 × f12 and up to ±0.333 of" in found.statement()

    @pytest.mark.parametrize(
        "design", [plackett_burman(named()), fractional_factorial(named(5), resolution=3)]
    )
    def test_coefficients_are_what_an_interaction_does_to_an_effect(self, design: Design) -> None:
        signs = np.array(design.signs)
        interaction = 0.1 * (signs[:, 1] * signs[:, 3])
        noise = np.random.default_rng(0).normal(0, 1e-6, (len(signs), 2))
        found = main_effects(design, (interaction / 2)[:, None] + noise)
        for effect in found.effects:
            expected = [
                each.coefficient
                for each in design.aliases()[effect.name]
                if each.factors == (NAMES[1], NAMES[3])
            ]
            assert effect.value == pytest.approx(0.1 * sum(expected), abs=1e-5)


class TestMainEffects:
    def screens(self, design: Design, n_seeds: int, effects: np.ndarray = EFFECTS) -> list[Screening]:
        rng = np.random.default_rng(1)
        return [
            main_effects(design, responses(design, rng, n_seeds, effects=effects)) for _ in range(SCREENS)
        ]

    @pytest.mark.parametrize("build", [plackett_burman, fractional_factorial])
    def test_recovers_known_effects(self, build: Build) -> None:
        design = build(named())
        found = self.screens(design, 5)
        values = np.array([[each.value for each in one.effects] for one in found])
        assert values.mean(axis=0) == pytest.approx(EFFECTS, abs=0.002)
        covered = np.array(
            [
                [each.low <= true <= each.high for each, true in zip(one.effects, EFFECTS, strict=True)]
                for one in found
            ]
        )
        assert covered.mean() == pytest.approx(0.95, abs=0.02)
        active = np.array([[each.active for each in one.effects] for one in found])
        assert active[:, EFFECTS != 0].mean() > 0.95
        assert active[:, EFFECTS == 0].any(axis=1).mean() <= 0.05

    def test_each_p_value_is_calibrated(self) -> None:
        found = self.screens(plackett_burman(named()), 5, np.zeros(8))
        p_values = np.array([[each.p_value for each in one.effects] for one in found])
        assert (p_values <= 0.05).mean() == pytest.approx(0.05, abs=0.02)
        assert np.mean([any(each.active for each in one.effects) for one in found]) <= 0.08

    def test_lenth_without_replicates(self) -> None:
        found = self.screens(fractional_factorial(named()), 1)
        covered = [
            each.low <= true <= each.high
            for one in found
            for each, true in zip(one.effects, EFFECTS, strict=True)
        ]
        assert 0.94 <= np.mean(covered) <= 1
        active = np.array([[each.active for each in one.effects] for one in found])
        assert active[:, EFFECTS == 0].any(axis=1).mean() <= 0.05
        assert found[0].error == "Lenth's pseudo standard error"
        assert found[0].degrees_of_freedom == 5

    def test_lenth_by_hand(self) -> None:
        design = fractional_factorial(named(3))
        wanted = np.array([10.0, 0.1, -0.2, 0.3, -0.4, 0.5, 8.0])
        columns = np.column_stack([np.array(design.signs), *(np.array(each.signs) for each in design.spare)])
        found = main_effects(design, (columns @ wanted / 2)[:, None])
        assert [each.value for each in (*found.effects, *found.spare)] == pytest.approx(wanted)
        # median 0.4, so that 10 and 8 are set aside; the median of the rest is 0.3
        assert found.effects[0].standard_error == pytest.approx(1.5 * 0.3)
        assert found.effects[0].high == pytest.approx(10 + stats.t.ppf(0.975, 7 / 3) * 0.45)

    def test_is_the_regression_on_factors_and_seeds(self) -> None:
        design = plackett_burman(named())
        measured = responses(design, np.random.default_rng(2), 4)
        found = main_effects(design, measured)
        columns = np.column_stack([np.array(design.signs), *(np.array(each.signs) for each in design.spare)])
        seeds = np.kron(np.ones((12, 1)), np.eye(4))
        matrix = np.hstack([seeds, np.kron(columns / 2, np.ones((4, 1)))])
        coefficients, rest, _, _ = np.linalg.lstsq(matrix, measured.ravel(), rcond=None)
        assert [each.value for each in found.effects] == pytest.approx(coefficients[4:12])
        freedom = 48 - 15
        error = math.sqrt(rest[0] / freedom * np.linalg.inv(matrix.T @ matrix)[4, 4])
        assert found.degrees_of_freedom == freedom
        assert found.effects[0].standard_error == pytest.approx(error)
        assert found.effects[0].p_value == pytest.approx(
            2 * stats.t.sf(abs(coefficients[4]) / error, freedom)
        )

    def test_curvature(self) -> None:
        given = [Factor(name, 0, 2, 1) for name in NAMES]
        design = plackett_burman(given, centre=True)
        rng, covered, measured = np.random.default_rng(3), [], np.empty((13, 5))
        for _ in range(SCREENS):
            runs = np.append(0.75 + np.array(design.signs) @ EFFECTS / 2, 0.7)
            measured = runs[:, None] + rng.normal(0, 0.03, 5) + rng.normal(0, 0.02, (13, 5))
            found = main_effects(design, measured).curvature
            assert found is not None
            covered.append(found.low <= 0.05 <= found.high)
        assert np.mean(covered) == pytest.approx(0.95, abs=0.03)
        assert main_effects(plackett_burman(given), measured[:-1]).curvature is None

    def test_half_normal_quantiles(self) -> None:
        found = half_normal_quantiles([0.3, -2.0, 0.1])
        assert found == pytest.approx(stats.halfnorm.ppf([1.5 / 3, 2.5 / 3, 0.5 / 3]))

    def test_is_json(self) -> None:
        design = plackett_burman(named())
        mapping = main_effects(design, responses(design, np.random.default_rng(4), 3)).to_mapping()
        assert json.loads(json.dumps(mapping, allow_nan=False)) == mapping
        assert [each["name"] for each in mapping["effects"]] == list(NAMES)
        assert mapping["design"]["resolution"] == 3


class TestRefusals:
    @pytest.mark.parametrize("given", [[], factors(1), [Factor("a", 0, 1), Factor("a", 0, 1)]])
    def test_factors(self, given: list[Factor]) -> None:
        with pytest.raises(InputError, match="two or more, each once"):
            plackett_burman(given)

    def test_equal_levels(self) -> None:
        with pytest.raises(InputError, match="factor 'b' has 3 as both levels"):
            fractional_factorial([Factor("a", 0, 1), Factor("b", 3, 3)])

    def test_no_centre(self) -> None:
        with pytest.raises(InputError, match="factor 'b' has no centre"):
            plackett_burman([Factor("a", 0, 2, 1), Factor("b", "x", "y")], centre=True)

    @pytest.mark.parametrize("generators", ["a b aa", "a b -ab -ab", "a b cd", "a b", "a -a b", ""])
    def test_generators(self, generators: str) -> None:
        with pytest.raises(InputError, match=r"generators|no fraction"):
            fractional_factorial(factors(3), generators=generators)

    def test_resolution(self) -> None:
        with pytest.raises(InputError, match="no fraction has 3 factors, resolution 2"):
            fractional_factorial(factors(3), resolution=2)

    @pytest.mark.parametrize("shape", [(12,), (11, 3), (13, 3), (12, 0)])
    def test_shape(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(InputError, match=r"expected \(12 runs, seeds\)"):
            main_effects(plackett_burman(named()), np.ones(shape))

    def test_a_missing_response(self) -> None:
        measured = np.random.default_rng(5).random((12, 3))
        measured[4, 2] = np.nan
        with pytest.raises(InputError, match="run 4 of the screen has no response for its seed number 2"):
            main_effects(plackett_burman(named()), measured)

    def test_no_variation(self) -> None:
        with pytest.raises(InputError, match="no error to judge effects by"):
            main_effects(plackett_burman(named()), np.tile(np.arange(12.0)[:, None], (1, 3)))

    def test_without_the_library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pydoe", None)
        with pytest.raises(MissingExtraError, match=r"hybridqies\[study\]"):
            plackett_burman(named())
