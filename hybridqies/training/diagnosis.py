"""Diagnoses of a training from its record: verdicts in words."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WINDOW, TOLERANCE, FEWEST = 0.2, 0.05, 5
NEARLY_ALL, EVEN = 0.95, 0.75
"""One class counts as the only one predicted if it has this share of the predictions, and no more than that
share of the true labels."""


class TrainingWarning(UserWarning):
    """A training ended with a result that is probably worth little."""


class Symptom(enum.Enum):
    """What a record can show to be wrong."""

    NOT_CONVERGED = "not converged"
    NEVER_FELL = "loss never fell"
    ONE_CLASS = "predicts one class"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One symptom: what was seen, and what usually helps."""

    symptom: Symptom
    seen: str
    todo: str

    def __str__(self) -> str:
        return f"{self.symptom.value}: {self.seen}; {self.todo}"


@dataclass(frozen=True, slots=True)
class Convergence:
    """Whether a training came to its end, and what says so."""

    reached: bool
    why: str


def judge_history(history: Sequence[Mapping[str, Any]]) -> Convergence:
    """Judges the epochs of a training by gradients.

    Epochs are weighted by their learning rate: under a schedule that ends near zero, the loss is flat in the
    last epochs of any training. A training has converged if the loss moved by at most 5 % of its whole fall
    in the last fifth of the summed learning rate.
    """
    losses = [float(record["train_loss"]) for record in history]
    if len(losses) < FEWEST:
        epochs = "1 epoch is" if len(losses) == 1 else f"{len(losses)} epochs are"
        return Convergence(False, f"{epochs} too few to tell")
    fall = losses[0] - min(losses)
    if fall <= 0:
        return Convergence(False, "the training loss never fell")
    start = _window([float(record["learning_rate"]) for record in history])
    share = (losses[start] - losses[-1]) / fall
    moved = "fell" if share >= 0 else "rose"
    return Convergence(
        abs(share) <= TOLERANCE,
        f"in the last fifth of the training, weighted by learning rate, the loss {moved} by "
        f"{100 * abs(share):.1f} % of its whole fall (converged: at most {100 * TOLERANCE:g} %)",
    )


def judge_solver(complaints: Sequence[str]) -> Convergence:
    """Judges a model with a solver of its own by the solver's warnings."""
    return Convergence(not complaints, complaints[0] if complaints else "the solver's own tolerance")


def diagnose(
    history: Sequence[Mapping[str, Any]],
    predicted: Sequence[int] = (),
    classes: Sequence[object] = (),
    *,
    truth: Sequence[int] | None = None,
    stopped_early: bool = False,
) -> tuple[Verdict, ...]:
    """The verdicts on a training: none for a healthy one.

    `predicted` are the classes that the trained model gives to some rows, as indices into `classes`;
    `truth` are their own, without which they are taken to have several. A training that `stopped_early`,
    because validation no longer improved, counts as converged; one by a solver has no losses to judge.
    """
    found = []
    if any("train_loss" in record for record in history):
        found += _of_losses(history, stopped_early)
    seen = _describe_one_class(predicted, classes, truth)
    if seen:
        todo = "train for more epochs, with class_weights=balanced, or with more rows of the other classes"
        found.append(Verdict(Symptom.ONE_CLASS, seen, todo))
    return tuple(found)


def _describe_one_class(
    predicted: Sequence[int], classes: Sequence[object], truth: Sequence[int] | None
) -> str:
    """That all rows, or nearly all where the truth is more even, are predicted as one class; else empty."""
    has_several = len(classes) > 1 if truth is None else len(set(truth)) > 1
    if not predicted or not has_several:
        return ""
    most, count = Counter(predicted).most_common(1)[0]
    if count == len(predicted):
        return f"all {count} rows measured are predicted as {classes[most]!r}"
    true = len(predicted) if truth is None else sum(label == most for label in truth)
    if count >= NEARLY_ALL * len(predicted) and true <= EVEN * len(predicted):
        return (
            f"{count} of {len(predicted)} rows measured are predicted as {classes[most]!r}, which {true} are"
        )
    return ""


def _of_losses(history: Sequence[Mapping[str, Any]], stopped_early: bool) -> list[Verdict]:
    losses = [float(record["train_loss"]) for record in history]
    if len(losses) > 1 and losses[0] <= min(losses[1:]):
        seen = f"the training loss was {losses[0]:.3g} after the first epoch and {losses[-1]:.3g} at the end"
        return [Verdict(Symptom.NEVER_FELL, seen, "lower learning_rate, or check that labels fit the texts")]
    verdict = judge_history(history)
    if verdict.reached or stopped_early:
        return []
    seen = f"after {len(losses)} epochs, {verdict.why}" if len(losses) >= FEWEST else verdict.why
    return [Verdict(Symptom.NOT_CONVERGED, seen, "train for more epochs or raise learning_rate")]


def _window(rates: Sequence[float]) -> int:
    """The last epoch (from 0) with at least a fifth of the summed learning rate still to come."""
    ahead, wanted = 0.0, WINDOW * sum(rates)
    for at in range(len(rates) - 1, 0, -1):
        ahead += rates[at]
        if ahead >= wanted:
            return at - 1
    return 0
