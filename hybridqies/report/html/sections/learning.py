"""Loss and validation over the epochs, for every head of a run."""

from __future__ import annotations

from collections.abc import Iterator

from hybridqies.report.html.plots import GREY, Axis, Plot, Series, Shape
from hybridqies.report.html.records import ArmRecord, RunRecord


def draw_learning(run: RunRecord) -> Iterator[Plot]:
    """The validation metric and the training loss over the epochs; solved heads are level lines."""
    if not any(len(arm.history) > 1 for arm in run.arms):
        return
    metric = run.metrics[0]
    wanted = (
        ("validation", f"validation_{metric.name}", metric.name_with_unit("validation"), metric.scale),
        ("loss", "train_loss", "training loss", 1),
        ("validation-loss", "validation_log_loss", "validation log loss", 1),
    )
    for name, key, label, scale in wanted:
        series = tuple(_series(run, key, scale))
        if series:
            text = f"{label} of each head over the epochs; circles mark the epoch that was kept."
            caption = f"{label[0].upper()}{label[1:]}"
            yield Plot(name, caption, text, Axis("epoch", whole=True), Axis(label), series)


def _series(run: RunRecord, key: str, scale: int) -> Iterator[Series]:
    trained = [arm for arm in run.arms if len(arm.history) > 1 and key in arm.history[0]]
    if not trained:
        return
    for at, arm in enumerate(run.arms):
        if key not in arm.history[0]:
            continue
        values = tuple(scale * epoch[key] for epoch in arm.history)
        if len(values) > 1:
            yield Series(arm.name, tuple(epoch["epoch"] for epoch in arm.history), values, style=at)
        else:
            yield Series(f"{arm.name} (solved)", (1,), values, shape=Shape.LEVEL, style=at)
    kept = [(arm.result["best_epoch"], scale * _at_best(arm)[key]) for arm in trained]
    x, y = zip(*kept, strict=True)
    yield Series("kept epoch", x, y, shape=Shape.DOTS, style=GREY, notes=tuple(arm.name for arm in trained))


def _at_best(arm: ArmRecord) -> dict[str, float]:
    return dict(arm.history[arm.result["best_epoch"] - 1])
