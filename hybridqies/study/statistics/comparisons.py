"""Every arm of a study against one named reference: two paired tests, effect sizes, a verdict."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridqies.errors import InputError, UnknownNameError
from hybridqies.options import to_mapping
from hybridqies.study.statistics.families import holm
from hybridqies.study.statistics.intervals import Spread, cohen_dz, spread
from hybridqies.study.statistics.mcnemar import Paired, mcnemar
from hybridqies.study.statistics.sign_flips import detectable_dz, pairs_needed, sign_flip_test, smallest_p
from hybridqies.tasks.metric import ACCURACY, Metric

LEVEL = 0.05


class Verdict(enum.Enum):
    """What a comparison shows of an arm against the reference."""

    BETTER = "better"
    WORSE = "worse"
    NOT_SHOWN = "no difference was shown"


@dataclass(frozen=True, slots=True)
class Marked:
    """One trial's test set, (N,) each: numbers of its texts in the data, and which were answered rightly."""

    texts: NDArray[np.int64]
    right: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ArmResults:
    """What a study recorded of one arm: the metric's `values` by seed and, where kept, marked test sets.

    `budget` is the number of configurations that were tried for each seed.
    """

    name: str
    budget: int
    values: Mapping[int, float]
    marked: Mapping[int, Marked] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OverSeeds:
    """The method against the reference: a sign-flip test of paired differences in the metric, one a seed.

    `detectable` is the difference that 80 % of such studies would have shown, given the spread of
    this one; None where no difference could be shown, and then `seeds_needed` says from how many on it could.
    """

    n_seeds: int
    difference: Spread
    cohen_dz: float | None
    p_value: float
    p_holm: float
    can_show: bool
    seeds_needed: int
    detectable: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class OverTexts:
    """The trained models against those of the reference: McNemar's test on the texts of both."""

    paired: Paired
    p_holm: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Comparison:
    """One arm against the reference, in a family of `family` comparisons at 5 % together.

    The verdict is on the method, and so by seeds. `left_out` are seeds that only one of the two has.
    """

    arm: str
    reference: str
    family: int
    over_seeds: OverSeeds
    over_texts: OverTexts | None
    left_out: tuple[int, ...]
    metric: Metric = ACCURACY

    @property
    def verdict(self) -> Verdict:
        """What is shown of the arm as a method: retraining included."""
        return self.over_seeds.verdict

    def statement(self) -> str:
        """The comparison as one sentence, with what it could have shown."""
        seeds, difference = self.over_seeds, self.over_seeds.difference
        parts = [f"{self._signed(difference.mean)} {self._unit}"]
        if difference.low is not None and difference.high is not None:
            parts.append(f"95 % t interval {self._signed(difference.low)} to {self._signed(difference.high)}")
        parts.append(
            f"{_p(seeds.p_holm)} by sign flips over {_seeds(seeds.n_seeds)}, Holm over {self.family}"
        )
        said = f"{self.arm} against {self.reference}: {self.verdict.value} ({', '.join(parts)})"
        return said + self._limits() + self._by_texts()

    def _by_texts(self) -> str:
        if self.over_texts is None:
            return ""
        paired = self.over_texts.paired
        return (
            f"; the trained models on the same {paired.n_texts:,} texts: {self.over_texts.verdict.value}"
            f" (alone right {paired.arm_only:,} times against {paired.reference_only:,},"
            f" {_p(self.over_texts.p_holm)} by McNemar's test, Holm over {self.family})"
        )

    def _limits(self) -> str:
        seeds, limits = self.over_seeds, ""
        if not seeds.can_show:
            limits = (
                f"; {_seeds(seeds.n_seeds)} cannot show any difference,"
                f" at least {seeds.seeds_needed} are needed"
            )
        elif self.verdict is Verdict.NOT_SHOWN and seeds.detectable is not None:
            limits = (
                "; the smallest difference that could have been shown is"
                f" {self.metric.write(seeds.detectable)} {self._unit}"
            )
        if self.left_out:
            limits += f"; not paired: seeds {', '.join(map(str, self.left_out))}"
        return limits

    def _signed(self, difference: float) -> str:
        return self.metric.write_difference(difference).replace("-", "−")

    @property
    def _unit(self) -> str:
        return self.metric.unit_of_differences or f"in {self.metric.label}"

    def to_mapping(self) -> dict[str, Any]:
        """The comparison as JSON values, with its verdict and statement; the metric is the study's."""
        content = to_mapping(self) | {"verdict": self.verdict.value, "statement": self.statement()}
        del content["metric"]
        return content


def describe_seeds(family: int, n_seeds: int) -> str:
    """How many seeds a difference takes in a family of so many comparisons, and whether there are as many."""
    needed = pairs_needed(LEVEL / family)
    comparisons = "1 comparison" if family == 1 else f"{family} comparisons"
    said = f"{comparisons} at 5 % together: a difference can be shown with at least {_seeds(needed)}"
    if n_seeds >= needed:
        return f"{said}; {n_seeds} are planned"
    planned = "1 is" if n_seeds == 1 else f"{n_seeds} are"
    return f"{said}; {planned} planned, so none can be shown; use --seeds {needed} or fewer arms"


def compare(
    arms: Sequence[ArmResults], reference: str, metric: Metric = ACCURACY, *, seed: int = 0
) -> tuple[Comparison, ...]:
    """Every other arm against `reference`, paired by seed; either test is Holm-corrected over the arms.

    `metric` is what the arms' values are. `seed` draws sign patterns where there are too many to count (more
    than 14 seeds).

    Raises
    ------
    UnknownNameError: no arm is called `reference`.
    InputError: an arm was searched with another budget than the reference, shares no seed with
        it, or was tested on other texts; or an arm stands there twice or alone.
    """
    named = {arm.name: arm for arm in arms}
    if reference not in named:
        raise UnknownNameError("reference arm", reference, named)
    against = named[reference]
    others = [arm for arm in arms if arm.name != reference]
    if len(named) != len(arms) or not others:
        raise InputError(
            f"a comparison was given the arms {', '.join(arm.name for arm in arms)}",
            expected="the reference and at least one other arm, each once",
        )
    for arm in others:
        _check_pair(arm, against)
    over_seeds = _over_seeds(others, against, metric, seed)
    over_texts = _over_texts(others, against)
    return tuple(
        Comparison(
            arm.name,
            reference,
            len(others),
            over_seeds[arm.name],
            over_texts.get(arm.name),
            tuple(sorted(set(arm.values) ^ set(against.values))),
            metric,
        )
        for arm in others
    )


def _check_pair(arm: ArmResults, reference: ArmResults) -> None:
    if arm.budget != reference.budget:
        raise InputError(
            f"arm {arm.name!r} was searched with {_configurations(arm.budget)}"
            f" and {reference.name!r} with {_configurations(reference.budget)}",
            expected="the same search budget for every arm that is compared",
            todo="search both alike, or search neither",
        )
    if not _shared(arm, reference):
        raise InputError(
            f"arms {arm.name!r} and {reference.name!r} have no seed in common",
            expected="at least one seed that both finished",
        )


def _shared(arm: ArmResults, reference: ArmResults) -> list[int]:
    return sorted(set(arm.values) & set(reference.values))


def _over_seeds(
    others: Sequence[ArmResults], reference: ArmResults, metric: Metric, seed: int
) -> dict[str, OverSeeds]:
    differences = {
        arm.name: np.array([arm.values[s] - reference.values[s] for s in _shared(arm, reference)])
        for arm in others
    }
    p_values = [sign_flip_test(each, seed=seed) for each in differences.values()]
    # What Holm asks of the first in the family is what a single true difference has to pass.
    level = LEVEL / len(others)
    effects = {n: detectable_dz(n, level) for n in {len(each) for each in differences.values()}}
    lowest = holm([smallest_p(len(each)) for each in differences.values()])
    found = {}
    for (name, each), p_value, p_holm, least in zip(
        differences.items(), p_values, holm(p_values), lowest, strict=True
    ):
        of, effect = spread(each), effects[len(each)]
        found[name] = OverSeeds(
            n_seeds=len(each),
            difference=of,
            cohen_dz=cohen_dz(each),
            p_value=p_value,
            p_holm=p_holm,
            can_show=least <= LEVEL,
            seeds_needed=pairs_needed(level),
            detectable=None if effect is None or of.deviation is None else effect * of.deviation,
            verdict=_verdict(p_holm, metric.orient(of.mean)),
        )
    return found


def _over_texts(others: Sequence[ArmResults], reference: ArmResults) -> dict[str, OverTexts]:
    paired = {arm.name: _paired(arm, reference) for arm in others if arm.marked and reference.marked}
    adjusted = holm([each.p_value for each in paired.values()])
    return {
        name: OverTexts(each, p_holm, _verdict(p_holm, each.difference))
        for (name, each), p_holm in zip(paired.items(), adjusted, strict=True)
    }


def _paired(arm: ArmResults, reference: ArmResults) -> Paired:
    texts, ours, theirs = [], [], []
    for seed in _shared(arm, reference):
        for each in (arm, reference):
            if seed not in each.marked:
                raise InputError(
                    f"arm {each.name!r} has no marked test set of seed {seed}",
                    expected="one for every seed or none",
                )
        own, other = _in_order(arm.marked[seed]), _in_order(reference.marked[seed])
        if not np.array_equal(own.texts, other.texts):
            raise InputError(
                f"arms {arm.name!r} and {reference.name!r} were tested on different texts with seed {seed}",
                expected="one test set for every arm of a seed",
            )
        texts.append(own.texts)
        ours.append(own.right)
        theirs.append(other.right)
    return mcnemar(np.concatenate(texts), np.concatenate(ours), np.concatenate(theirs))


def _in_order(marked: Marked) -> Marked:
    order = np.argsort(marked.texts, kind="stable")
    return Marked(marked.texts[order], marked.right[order])


def _p(value: float) -> str:
    """A chance in words; one below what a float can hold is no zero."""
    return f"p = {value:.3g}" if value > 0 else "p < 1e-300"


def _verdict(p_value: float, gain: float) -> Verdict:
    if p_value > LEVEL:
        return Verdict.NOT_SHOWN
    return Verdict.BETTER if gain > 0 else Verdict.WORSE


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def _configurations(count: int) -> str:
    return "no search (1 configuration)" if count == 1 else f"{count} configurations a seed"
