"""Intervals, paired tests, verdicts: against scipy where it has them, and calibrated on simulated studies."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from hybridqies.errors import InputError, UnknownNameError
from hybridqies.study.statistics.comparisons import ArmResults, Comparison, Marked, Verdict, compare
from hybridqies.study.statistics.families import holm
from hybridqies.study.statistics.intervals import cohen_dz, spread
from hybridqies.study.statistics.mcnemar import mcnemar
from hybridqies.study.statistics.sign_flips import detectable_dz, pairs_needed, sign_flip_test, smallest_p

STUDIES = 200


def arm(name: str, accuracies: list[float], *, budget: int = 1) -> ArmResults:
    return ArmResults(name, budget, dict(enumerate(accuracies)))


def one(name: str, ours: list[float], theirs: list[float]) -> Comparison:
    return compare([arm(name, ours), arm("reference", theirs)], "reference")[0]


class TestSpread:
    def test_is_the_t_interval(self) -> None:
        values = [0.781, 0.764, 0.79, 0.775, 0.769]
        found = spread(values)
        low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (found.n, found.mean, found.deviation) == (
            5,
            float(np.mean(values)),
            float(np.std(values, ddof=1)),
        )
        assert (found.low, found.high) == pytest.approx((low, high), rel=1e-12)

    def test_one_seed_has_no_interval(self) -> None:
        found = spread([0.8])
        assert (found.mean, found.deviation, found.low, found.high) == (0.8, None, None, None)

    @pytest.mark.parametrize("values", [[], [0.5, math.nan], [[0.5], [0.6]]])
    def test_what_is_no_number_a_seed(self, values: list[float]) -> None:
        with pytest.raises(InputError, match="one finite number a seed"):
            spread(values)


class TestSignFlips:
    def test_counts_every_pattern(self) -> None:
        differences = np.array([0.011, 0.02, -0.004, 0.03, 0.001, 0.0])
        patterns = np.array(np.meshgrid(*[[-1, 1]] * 6)).reshape(6, -1).T
        sums = np.abs(patterns @ differences)
        assert sign_flip_test(differences) == pytest.approx(
            (sums >= abs(differences.sum()) - 1e-12).mean(), abs=1e-12
        )

    @pytest.mark.parametrize("n_pairs", [1, 2, 5, 6, 10, 14])
    def test_the_smallest_p(self, n_pairs: int) -> None:
        same_side = np.linspace(0.01, 0.02, n_pairs)
        assert sign_flip_test(same_side) == smallest_p(n_pairs) == 2 / 2**n_pairs

    def test_five_seeds_are_too_few(self) -> None:
        assert smallest_p(5) == 2 / 32 > 0.05
        assert pairs_needed(0.05) == 6
        assert pairs_needed(0.05 / 3) == 7

    def test_many_pairs_are_drawn_from_the_seed(self) -> None:
        differences = np.random.default_rng(1).normal(0.3, 1, 40)
        drawn = sign_flip_test(differences, seed=3)
        assert drawn == sign_flip_test(differences, seed=3)
        assert drawn == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.01)

    def test_drawn_patterns_never_give_zero(self) -> None:
        assert sign_flip_test(np.linspace(1, 2, 60)) == pytest.approx(2 / (2**14 + 1))
        assert smallest_p(60) == 2 / (2**14 + 1)

    def test_no_difference_at_all(self) -> None:
        assert sign_flip_test([0.0] * 7) == 1

    def test_flags_five_percent_under_the_null(self) -> None:
        draws = np.random.default_rng(0).standard_t(5, (3 * STUDIES, 10))
        flagged = np.mean([sign_flip_test(each) <= 0.05 for each in draws])
        assert 0.02 <= flagged <= 0.08

    def test_shows_what_is_there(self) -> None:
        draws = np.random.default_rng(6).normal(1.5, 1, (100, 10))
        assert np.mean([sign_flip_test(each) <= 0.05 for each in draws]) > 0.95


class TestEffectSizes:
    def test_cohen_dz(self) -> None:
        differences = [0.01, 0.03, 0.02, 0.05]
        assert cohen_dz(differences) == pytest.approx(np.mean(differences) / np.std(differences, ddof=1))

    def test_no_spread_no_dz(self) -> None:
        assert cohen_dz([0.1 + 0.2 - 0.3] * 3) is None
        assert cohen_dz([0.2]) is None

    @pytest.mark.parametrize(("n_pairs", "level"), [(6, 0.05), (8, 0.0125), (10, 0.05)])
    def test_the_detectable_effect_is_shown_four_times_in_five(self, n_pairs: int, level: float) -> None:
        effect = detectable_dz(n_pairs, level)
        assert effect is not None
        draws = np.random.default_rng(7).normal(effect, 1, (600, n_pairs))
        assert np.mean([sign_flip_test(each) <= level for each in draws]) == pytest.approx(0.8, abs=0.05)

    def test_nothing_is_detectable_with_too_few(self) -> None:
        assert detectable_dz(5, 0.05) is None

    def test_many_pairs_in_a_large_family(self) -> None:
        """Where the patterns of all signs would not fit into any memory."""
        effect = detectable_dz(40, 0.05 / 24)
        # In the normal limit it is (3.078 + 0.842) / √40 = 0.620; the t test asks for a little more.
        assert effect == pytest.approx(0.62 * 1.06, rel=0.02)


class TestHolm:
    def test_by_hand(self) -> None:
        assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
        assert holm([0.6, 0.7]) == [1.0, 1.0]
        assert holm([]) == []

    def test_one_alone_is_itself(self) -> None:
        assert holm([0.03]) == [0.03]


def mark(rng: np.random.Generator, n: int, chance: float) -> np.ndarray:
    return rng.random(n) < chance


def overlapping_null(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Five seeds on most of 300 texts; each arm's answer to a text is nearly the same with every seed."""
    answers = rng.integers(0, 2, (2, 300))
    labels = rng.integers(0, 2, 300)
    texts = np.concatenate([rng.permutation(300)[:280] for _ in range(5)])
    changed = rng.random((2, len(texts))) < 0.05
    right = (answers[:, texts] ^ changed) == labels[texts]
    return texts, right[0], right[1]


class TestMcNemar:
    @pytest.mark.parametrize(("arm_only", "reference_only"), [(3, 9), (12, 5), (0, 4), (6, 6), (60, 90)])
    def test_each_text_once_is_the_binomial_test(self, arm_only: int, reference_only: int) -> None:
        right = np.repeat([True, False, True], [arm_only, reference_only, 20])
        other = np.repeat([False, True, True], [arm_only, reference_only, 20])
        found = mcnemar(np.arange(len(right)), right, other)
        exact = stats.binomtest(arm_only, arm_only + reference_only, 0.5).pvalue
        assert found.p_value == pytest.approx(exact, rel=1e-9)
        assert (found.arm_only, found.reference_only) == (arm_only, reference_only)
        assert found.difference == pytest.approx((right.sum() - other.sum()) / len(right))

    def test_odds_of_single_predictions(self) -> None:
        right = np.repeat([True, False, True], [12, 5, 20])
        other = np.repeat([False, True, True], [12, 5, 20])
        found = mcnemar(np.arange(37), right, other)
        error = math.sqrt(1 / 12 + 1 / 5)
        assert found.odds == 12 / 5
        assert (found.odds_low, found.odds_high) == pytest.approx(
            (2.4 * math.exp(-1.96 * error), 2.4 * math.exp(1.96 * error))
        )

    def test_no_odds_where_one_is_never_alone(self) -> None:
        found = mcnemar(np.arange(3), np.array([True, True, False]), np.array([False, True, False]))
        assert (found.odds, found.odds_low, found.odds_high) == (None, None, None)

    def test_a_text_is_one_unit_over_its_seeds(self) -> None:
        rng = np.random.default_rng(0)
        units = np.array([3, 3, -2, 1, 1, -1, 2, 0])
        texts, right, other = [], [], []
        for text, unit in enumerate(units):
            for seed in range(3):
                texts.append(text)
                right.append(unit > 0 and seed < unit)
                other.append(unit < 0 and seed < -unit)
        order = rng.permutation(len(texts))
        patterns = np.array(np.meshgrid(*[[-1, 1]] * 8)).reshape(8, -1).T
        found = mcnemar(np.array(texts)[order], np.array(right)[order], np.array(other)[order])
        assert found.p_value == pytest.approx(
            (np.abs(patterns @ units) >= abs(units.sum())).mean(), rel=1e-12
        )
        assert (found.n_texts, found.n_predictions) == (8, 24)

    def test_the_same_models_twice_say_no_more_than_once(self) -> None:
        rng = np.random.default_rng(1)
        right, other = mark(rng, 200, 0.8), mark(rng, 200, 0.7)
        once = mcnemar(np.arange(200), right, other)
        twice = mcnemar(np.tile(np.arange(200), 2), np.tile(right, 2), np.tile(other, 2))
        assert twice.p_value == pytest.approx(once.p_value, rel=1e-9)
        assert (twice.odds_low, twice.odds_high) == pytest.approx((once.odds_low, once.odds_high))
        assert twice.detectable == pytest.approx(once.detectable)

    def test_flags_five_percent_under_the_null_where_counting_predictions_does_not(self) -> None:
        rng = np.random.default_rng(2)
        by_text, by_prediction = [], []
        for _ in range(STUDIES):
            texts, right, other = overlapping_null(rng)
            by_text.append(mcnemar(texts, right, other).p_value <= 0.05)
            by_prediction.append(mcnemar(np.arange(len(texts)), right, other).p_value <= 0.05)
        assert 0.02 <= np.mean(by_text) <= 0.08
        assert np.mean(by_prediction) > 0.2

    def test_shows_its_detectable_difference_four_times_in_five(self) -> None:
        rng = np.random.default_rng(3)
        shown, gap = [], 0.0
        for _ in range(STUDIES):
            right, other = mark(rng, 400, 0.8 + gap), mark(rng, 400, 0.8)
            found = mcnemar(np.arange(400), right, other)
            shown.append(found.p_value <= 0.05)
            assert found.detectable is not None
            gap = found.detectable
        assert np.mean(shown[1:]) == pytest.approx(0.8, abs=0.08)

    def test_a_large_test_set_is_quick(self) -> None:
        rng = np.random.default_rng(4)
        texts = np.concatenate([rng.permutation(9613)[:9101] for _ in range(5)])
        found = mcnemar(texts, mark(rng, len(texts), 0.78), mark(rng, len(texts), 0.77))
        assert found.n_texts <= 9613
        assert 0 < found.p_value < 1

    def test_answers_without_texts(self) -> None:
        with pytest.raises(InputError, match="3 texts with 2 and 3 answers"):
            mcnemar(np.arange(3), np.ones(2, bool), np.ones(3, bool))


class TestComparison:
    def test_better_and_worse(self) -> None:
        low, high = [0.70, 0.71, 0.69, 0.70, 0.72, 0.71], [0.80, 0.82, 0.79, 0.80, 0.81, 0.83]
        better, worse = one("arm", high, low), one("arm", low, high)
        assert (better.verdict, worse.verdict) == (Verdict.BETTER, Verdict.WORSE)
        assert better.over_seeds.p_value == 2 / 64
        assert better.statement().startswith("arm against reference: better (+10.33 points, ")
        assert worse.statement().startswith("arm against reference: worse (−10.33 points, ")

    def test_no_difference_says_what_could_have_been_shown(self) -> None:
        found = one("arm", [0.7, 0.8, 0.75, 0.7, 0.8, 0.75, 0.7], [0.75, 0.7, 0.8, 0.75, 0.75, 0.7, 0.7])
        assert found.verdict.value == "no difference was shown"
        effect, deviation = detectable_dz(7, 0.05), found.over_seeds.difference.deviation
        assert effect is not None
        assert deviation is not None
        assert found.over_seeds.detectable == pytest.approx(effect * deviation)
        assert f"could have been shown is {100 * effect * deviation:.2f} points" in found.statement()

    def test_five_seeds_say_that_they_cannot_show_any(self) -> None:
        found = one("arm", [0.9, 0.91, 0.92, 0.9, 0.93], [0.5, 0.52, 0.51, 0.5, 0.5])
        assert found.verdict is Verdict.NOT_SHOWN
        assert (found.over_seeds.can_show, found.over_seeds.detectable) == (False, None)
        assert "5 seeds cannot show any difference, at least 6 are needed" in found.statement()

    def test_a_family_needs_more_seeds(self) -> None:
        arms = [arm(name, [0.9] * 6) for name in "abc"] + [arm("reference", [0.5] * 6)]
        found = compare(arms, "reference")
        assert {each.over_seeds.p_holm for each in found} == {3 * 2 / 64}
        assert {(each.over_seeds.can_show, each.over_seeds.seeds_needed) for each in found} == {(False, 7)}

    def test_a_single_seed(self) -> None:
        found = one("arm", [0.9], [0.5])
        assert found.over_seeds.p_value == 1
        assert "1 seed cannot show any difference" in found.statement()

    def test_is_json(self) -> None:
        marked = {seed: Marked(np.arange(4), np.array([True, False, True, seed > 0])) for seed in range(2)}
        ours = ArmResults("ours", 3, {0: 0.5, 1: 0.75}, marked)
        other = ArmResults("reference", 3, {0: 0.5, 1: 0.5}, marked)
        found = compare([other, ours], "reference")[0].to_mapping()
        assert json.loads(json.dumps(found, allow_nan=False)) == found
        assert found["verdict"] == found["over_texts"]["verdict"] == "no difference was shown"
        assert found["statement"].startswith("ours against reference: no difference was shown (+12.50 points")

    def test_texts_are_paired_whatever_their_order(self) -> None:
        rng = np.random.default_rng(0)
        right, other, order = mark(rng, 50, 0.9), mark(rng, 50, 0.5), rng.permutation(50)
        ours = ArmResults("ours", 1, {0: 0.9}, {0: Marked(order, right[order])})
        theirs = ArmResults("reference", 1, {0: 0.5}, {0: Marked(np.arange(50), other)})
        found = compare([ours, theirs], "reference")[0].over_texts
        assert found is not None
        assert found.paired == mcnemar(np.arange(50), right, other)
        assert found.verdict is Verdict.BETTER

    def test_seeds_that_one_lacks_are_left_out_and_named(self) -> None:
        ours = ArmResults("ours", 1, {0: 0.5, 2: 0.75, 3: 0.6})
        found = compare([ours, arm("reference", [0.5, 0.5, 0.5])], "reference")[0]
        assert (found.over_seeds.n_seeds, found.left_out) == (2, (1, 3))
        assert "not paired: seeds 1, 3" in found.statement()


class TestRefusals:
    def test_a_searched_arm_against_an_unsearched_one(self) -> None:
        with pytest.raises(
            InputError, match=r"'ours' was searched with 20 configurations a seed and 'svc' with no search"
        ):
            compare([arm("ours", [0.5] * 6, budget=20), arm("svc", [0.5] * 6)], "svc")

    def test_no_such_reference(self) -> None:
        with pytest.raises(UnknownNameError, match="did you mean 'logistic'"):
            compare([arm("logistic", [0.5]), arm("svc", [0.5])], "logistik")

    @pytest.mark.parametrize("names", [["svc"], ["svc", "svc"], ["svc", "mlp", "mlp"]])
    def test_not_each_once(self, names: list[str]) -> None:
        with pytest.raises(InputError, match="at least one other arm, each once"):
            compare([arm(name, [0.5]) for name in names], "svc")

    def test_no_seed_in_common(self) -> None:
        with pytest.raises(InputError, match="no seed in common"):
            compare([ArmResults("ours", 1, {1: 0.5}), arm("svc", [0.5])], "svc")

    def test_other_texts(self) -> None:
        right = np.array([True, False])
        ours = ArmResults("ours", 1, {0: 0.5}, {0: Marked(np.array([0, 1]), right)})
        theirs = ArmResults("svc", 1, {0: 0.5}, {0: Marked(np.array([0, 2]), right)})
        with pytest.raises(InputError, match="different texts with seed 0"):
            compare([ours, theirs], "svc")

    def test_a_seed_without_texts(self) -> None:
        marked = {0: Marked(np.array([0]), np.array([True]))}
        ours = ArmResults("ours", 1, {0: 1.0, 1: 1.0}, marked)
        with pytest.raises(InputError, match="'ours' has no marked test set of seed 1"):
            compare([ours, ArmResults("svc", 1, {0: 1.0, 1: 1.0}, marked)], "svc")


def null_study(rng: np.random.Generator) -> list[ArmResults]:
    """Four arms that know nothing of the labels, ten seeds on overlapping draws of 100 of 120 texts."""
    labels = rng.integers(0, 2, 120)
    arms: dict[str, dict[int, Marked]] = {name: {} for name in ("reference", "a", "b", "c")}
    for seed in range(10):
        texts = rng.permutation(120)[:100]
        for marked in arms.values():
            marked[seed] = Marked(texts, rng.integers(0, 2, 100) == labels[texts])
    return [
        ArmResults(name, 1, {seed: float(each.right.mean()) for seed, each in marked.items()}, marked)
        for name, marked in arms.items()
    ]


def by_seeds(found: Comparison) -> Verdict:
    return found.over_seeds.verdict


def by_texts(found: Comparison) -> Verdict:
    assert found.over_texts is not None
    return found.over_texts.verdict


@pytest.fixture(scope="module")
def null_studies() -> list[tuple[Comparison, ...]]:
    rng = np.random.default_rng(8)
    return [compare(null_study(rng), "reference") for _ in range(STUDIES)]


@pytest.mark.parametrize("verdict", [by_seeds, by_texts])
def test_a_study_of_nothing_raises_a_flag_in_five_percent(
    null_studies: list[tuple[Comparison, ...]], verdict: Callable[[Comparison], Verdict]
) -> None:
    flagged = np.mean(
        [any(verdict(each) is not Verdict.NOT_SHOWN for each in study) for study in null_studies]
    )
    assert 0.02 <= flagged <= 0.08


def test_a_vanishing_chance_is_not_said_to_be_zero() -> None:
    from hybridqies.study.statistics.comparisons import _p

    assert [_p(0.0), _p(0.04686), _p(1e-12)] == ["p < 1e-300", "p = 0.0469", "p = 1e-12"]
