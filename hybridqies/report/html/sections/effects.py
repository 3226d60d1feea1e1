"""Main effects of a screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hybridqies.report.html.plots import GREY, Axis, Plot, Series, Shape
from hybridqies.report.html.records import StudyRecord


def draw_effects(study: StudyRecord) -> Iterator[Plot]:
    """Each effect with its 95 % interval, and the sizes of all against half-normal quantiles."""
    screening = study.result.get("screening")
    if screening is None:
        return
    scale, unit = study.metric.scale, study.metric.unit_of_differences
    effects = sorted(screening["effects"], key=lambda each: -abs(each["value"]))
    names = tuple(each["name"] for each in effects)
    label = "high level minus low level" + (f" ({unit})" if unit else "")
    groups = (("active (Holm, 5 %)", True, 1), ("not shown to be active", False, 0))
    bars = [
        _bars(
            title, [(at, each) for at, each in enumerate(effects) if each["active"] is active], scale, style
        )
        for title, active, style in groups
    ]
    zero = Series("no effect", (0.0, 0.0), (-0.5, len(names) - 0.5), style=GREY)
    text = "A dot and a bar for the main effect of each factor and its 95 % interval, the largest first."
    series = (*(each for each in bars if each.x), zero)
    response = study.result["response"]
    yield Plot(
        "effects", f"Main effects on {response}", text, Axis(label), Axis("factor", names=names), series
    )
    yield _half_normal(screening, scale, unit)


def _bars(title: str, effects: Sequence[tuple[int, Mapping[str, Any]]], scale: int, style: int) -> Series:
    places = tuple(float(at) for at, _ in effects)
    x, low, high = (tuple(scale * each[name] for _, each in effects) for name in ("value", "low", "high"))
    return Series(title, x, places, low, high, shape=Shape.DOTS, style=style)


def _half_normal(screening: Mapping[str, Any], scale: int, unit: str) -> Plot:
    """Noise alone lies on the line through the origin."""
    effects, spare = screening["effects"], screening["spare"]
    groups = (
        ("active (Holm, 5 %)", [each for each in effects if each["active"]], 1),
        ("not shown to be active", [each for each in effects if not each["active"]], 0),
        ("spare contrast: interactions or noise", spare, 2),
    )
    series = [_points(title, rows, scale, style) for title, rows, style in groups if rows]
    end = max(each["quantile"] for each in (*effects, *spare))
    line = (0.0, scale * effects[0]["standard_error"] * end)
    series.append(Series("expected of noise alone", (0.0, end), line, style=GREY))
    size = "size of the effect" + (f" ({unit})" if unit else "")
    text = "Sizes of effects against half-normal quantiles; what lies far above the dotted line is no noise."
    return Plot(
        "half-normal", "Effects against noise", text, Axis("half-normal quantile"), Axis(size), tuple(series)
    )


def _points(title: str, rows: Sequence[Mapping[str, Any]], scale: int, style: int) -> Series:
    x = tuple(each["quantile"] for each in rows)
    y = tuple(scale * abs(each["value"]) for each in rows)
    return Series(title, x, y, shape=Shape.DOTS, style=style, notes=tuple(str(each["name"]) for each in rows))
