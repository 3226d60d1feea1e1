"""What the records of a scaling study say: cells, laws of scaling, and differences between arms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from hybridqies.errors import InputError
from hybridqies.study.cells import spread_of
from hybridqies.study.decoders.trial import DecoderRecord, DecoderTrial
from hybridqies.study.statistics.law_comparisons import fit_scaling
from hybridqies.study.statistics.matched_costs import SizedLosses, compare_costs, compare_sizes
from hybridqies.study.statistics.power_laws import Measured
from hybridqies.study.trials.journal import JournalState

COSTS = {"parameters": "n_parameters", "operations": "flops_per_token"}
"""What arms are held equal in, and the field of a record that counts it."""
_FEWEST_TOKENS = 3
_DRAWS = 200


def summarise_cells(
    planned: Sequence[DecoderTrial], state: JournalState[DecoderRecord]
) -> list[dict[str, Any]]:
    """Trials that differ in their seed alone, and what their records show."""
    grouped: dict[tuple[str, int, str, str], list[DecoderTrial]] = {}
    for trial in planned:
        place = (trial.text, trial.model.n_tokens, trial.model.size, trial.arm)
        grouped.setdefault(place, []).append(trial)
    return [_cell(members, state) for members in grouped.values()]


def fit_laws(
    cells: Sequence[Mapping[str, Any]], reference: str, n_draws: int = _DRAWS
) -> list[dict[str, Any]]:
    """Laws of the arms of each text, against parameters and against operations; or why there is none.

    Tokens are a second quantity where there are at least three numbers of them; else the largest number
    counts. Arms that are trained at one size alone have no law.
    """
    measured = [cell for cell in cells if cell["losses"] and "@" not in cell["arm"]]
    return [
        {"text": text, "by": by, **_fit(own, field, reference, n_draws)}
        for text in dict.fromkeys(cell["text"] for cell in measured)
        for own in [[cell for cell in measured if cell["text"] == text]]
        for by, field in COSTS.items()
    ]


def compare_arms(cells: Sequence[Mapping[str, Any]], reference: str) -> list[dict[str, Any]]:
    """Every arm against the reference, of each text and number of tokens, at equal size and equal costs."""
    found: list[dict[str, Any]] = []
    for text, n_tokens in dict.fromkeys((cell["text"], cell["planned_tokens"]) for cell in cells):
        own = [cell for cell in cells if (cell["text"], cell["planned_tokens"]) == (text, n_tokens)]
        arms = [arm for arm in dict.fromkeys(cell["arm"] for cell in own) if arm != reference]
        for by, field in {"size": "n_parameters", **COSTS}.items():
            base = _sized(own, reference, field)
            for arm in arms:
                other = _sized(own, arm, field)
                if base is None or other is None:
                    continue
                made = (
                    compare_sizes(other, base, len(arms))
                    if by == "size"
                    else compare_costs(other, base, by, len(arms))
                )
                if made is not None:
                    found.append({"text": text, "n_tokens": n_tokens, **made.to_mapping()})
    return found


def _cell(trials: Sequence[DecoderTrial], state: JournalState[DecoderRecord]) -> dict[str, Any]:
    records = {trial.seed: state.records[trial.key] for trial in trials if trial.key in state.records}
    first = next(iter(records.values()), None)
    costs = ("n_parameters", "flops_per_token", "n_tokens")
    measured = ("training_seconds", "processor_seconds")
    return {
        "text": trials[0].text,
        "arm": trials[0].arm,
        "size": trials[0].model.size,
        "planned_tokens": trials[0].model.n_tokens,
        **{name: None if first is None else getattr(first, name) for name in costs},
        "losses": {str(seed): record.test["loss"] for seed, record in records.items()},
        **{
            name: spread_of(record.test[name] for record in records.values())
            for name in ("loss", "bits_per_byte")
        },
        "rates": {str(seed): record.chosen["learning_rate"] for seed, record in records.items()},
        **{name: spread_of(getattr(record, name) for record in records.values()) for name in measured},
        "curve": _curve(records.values()),
        "errors": {
            str(trial.seed): state.failures[trial.key].error
            for trial in trials
            if trial.key in state.failures
        },
    }


def _curve(records: Iterable[DecoderRecord]) -> list[dict[str, Any]]:
    """Validation losses after each part of the training, over seeds."""
    return [
        {"tokens": parts[0]["tokens"], "loss": spread_of(part["validation_loss"] for part in parts)}
        for parts in zip(*(record.curve for record in records), strict=False)
    ]


def _fit(measured: Sequence[Mapping[str, Any]], field: str, reference: str, n_draws: int) -> dict[str, Any]:
    counts = {cell["planned_tokens"] for cell in measured}
    with_tokens = len(counts) >= _FEWEST_TOKENS
    if not with_tokens:
        measured = [cell for cell in measured if cell["planned_tokens"] == max(counts)]
    arms: dict[str, Measured] = {}
    unfitted: dict[str, str] = {}
    for arm in dict.fromkeys(cell["arm"] for cell in measured):
        own = [cell for cell in measured if cell["arm"] == arm]
        points = [(cell[field], cell["n_tokens"], loss) for cell in own for loss in cell["losses"].values()]
        values = np.array(points, dtype=np.float64)
        names = ("size", "tokens") if with_tokens else ("size",)
        try:
            arms[arm] = Measured(names, values[:, : len(names)], values[:, -1], f"arm {arm!r}")
        except InputError as error:
            unfitted[arm] = str(error)
    if not arms:
        return {"fit": None, "unfitted": unfitted}
    fitted = fit_scaling(arms, reference if reference in arms else None, n_draws=n_draws)
    return {"fit": fitted.to_mapping(), "unfitted": unfitted}


def _sized(cells: Sequence[Mapping[str, Any]], arm: str, field: str) -> SizedLosses | None:
    own = [cell for cell in cells if cell["arm"] == arm and cell["losses"]]
    if not own:
        return None
    return SizedLosses(
        arm,
        tuple(cell["size"] for cell in own),
        tuple(float(cell[field]) for cell in own),
        tuple(tuple(cell["losses"].values()) for cell in own),
    )
