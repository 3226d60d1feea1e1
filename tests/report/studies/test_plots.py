"""Plots of studies, from recorded numbers alone: every arm, every factor and every interval is in them."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from hybridqies.report.studies.plots import differences, half_normal, metric_against_qubits
from hybridqies.tasks.metric import ACCURACY


def row(arm: str, n_qubits: int | None, mean: float, width: float | None = 0.02) -> dict[str, Any]:
    ends = (None, None) if width is None else (mean - width, mean + width)
    return {"arm": arm, "n_qubits": n_qubits, "mean": mean, "low": ends[0], "high": ends[1]}


def effect(name: str, value: float, quantile: float, *, active: bool = False) -> dict[str, Any]:
    error = {"standard_error": 0.01, "low": value - 0.02, "high": value + 0.02}
    return {"name": name, "value": value, "quantile": quantile, "active": active, **error}


def difference(arm: str, mean: float, verdict: str, width: float | None = 0.01) -> dict[str, Any]:
    ends = (None, None) if width is None else (mean - width, mean + width)
    spread = {"mean": mean, "low": ends[0], "high": ends[1]}
    return {"arm": arm, "reference": "whole", "over_seeds": {"difference": spread}, "verdict": verdict}


def drawn(figure: Figure) -> list[str]:
    """Draws the figure, any warning an error; the names in its legends."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(io.BytesIO(), format="png", dpi=50)
    legends = [*figure.legends, *(each for each in (axes.get_legend() for axes in figure.axes) if each)]
    return [text.get_text() for legend in legends for text in legend.get_texts()]


class TestMetricAgainstQubits:
    def test_curves_with_bands_and_level_arms_with_intervals(self) -> None:
        rows = [row("two-module", 4, 0.72), row("two-module", 2, 0.7), row("svc", None, 0.78)]
        figure = metric_against_qubits(rows, ACCURACY, title="sst2")
        assert drawn(figure) == ["two-module", "svc"]
        curve, beside = figure.axes
        (band,) = curve.collections
        assert list(np.asarray(curve.lines[0].get_xdata())) == [2, 4]
        assert list(np.asarray(curve.lines[0].get_ydata())) == pytest.approx([70, 72])
        assert band.get_paths()[0].get_extents().y0 == pytest.approx(68)
        assert band.get_paths()[0].get_extents().y1 == pytest.approx(74)
        assert list(np.asarray(curve.lines[1].get_ydata())) == pytest.approx([78, 78])
        assert list(np.asarray(beside.lines[1].get_ydata())) == pytest.approx([76, 80])
        assert list(curve.get_xticks()) == [2, 4]

    def test_one_seed_has_no_band(self) -> None:
        rows = [
            row("two-module", 2, 0.7, None),
            row("two-module", 4, 0.7, None),
            row("svc", None, 0.78, None),
        ]
        figure = metric_against_qubits(rows, ACCURACY, title="sst2")
        assert drawn(figure) == ["two-module", "svc"]
        assert [len(axes.collections) for axes in figure.axes] == [0, 0]
        assert len(figure.axes[1].lines) == 1

    @pytest.mark.parametrize("n_qubits", [None, 4])
    def test_arms_of_one_kind_need_one_panel(self, n_qubits: int | None) -> None:
        figure = metric_against_qubits(
            [row("a", n_qubits, 0.7), row("b", n_qubits, 0.8)], ACCURACY, title="sst2"
        )
        assert drawn(figure) == ["a", "b"]
        assert len(figure.axes) == 1

    def test_many_arms_are_told_apart(self) -> None:
        figure = metric_against_qubits([row(f"arm {at}", 4, 0.7) for at in range(20)], ACCURACY, title="a$b")
        drawn(figure)
        looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
        assert len(looks) == 20


class TestHalfNormal:
    def screening(self) -> dict[str, Any]:
        return {
            "design": {"kind": "Plackett-Burman design"},
            "error": "replication over seeds",
            "effects": [effect("qubits", 0.08, 1.8, active=True), effect("$depth", -0.01, 0.2)],
            "spare": [effect("spare 1", 0.005, 0.9)],
        }

    def test_sizes_against_quantiles(self) -> None:
        figure = half_normal(self.screening(), ACCURACY)
        assert drawn(figure) == [
            "active (Holm, 5 %)",
            "not shown to be active",
            "spare contrast: interactions or noise",
            "expected of noise alone",
        ]
        points = np.vstack([np.asarray(each.get_offsets()) for each in figure.axes[0].collections])
        assert points == pytest.approx(np.array([(1.8, 8), (0.2, 1), (0.9, 0.5)]))
        assert [text.get_text() for text in figure.axes[0].texts] == ["qubits"]

    def test_intervals_from_the_top(self) -> None:
        right = half_normal(self.screening(), ACCURACY).axes[1]
        assert [label.get_text() for label in right.get_yticklabels()] == ["qubits", r"\$depth"]
        assert right.yaxis_inverted()
        assert list(np.asarray(right.lines[0].get_xdata())) == pytest.approx([6, 10])
        assert list(np.asarray(right.lines[2].get_xdata())) == pytest.approx([-3, 1])

    def test_nothing_active_and_no_spare_contrast(self) -> None:
        quiet = self.screening() | {"effects": [effect("qubits", 0.0, 0.5)], "spare": []}
        assert drawn(half_normal(quiet, ACCURACY)) == [
            "not shown to be active",
            "expected of noise alone",
        ]


class TestDifferences:
    def test_differences_with_intervals(self) -> None:
        figure = differences(
            [
                difference("no encoder", -0.1, "worse"),
                difference("no PQC 2", 0.01, "no difference was shown"),
            ],
            ACCURACY,
        )
        drawn(figure)
        (panel,) = figure.axes
        assert [label.get_text() for label in panel.get_yticklabels()] == ["no encoder", "no PQC 2"]
        assert list(np.asarray(panel.lines[0].get_xdata())) == pytest.approx([-11, -9])
        assert panel.get_title() == "orange: a difference was shown (Holm, 5 %)"
        assert panel.lines[0].get_color() != panel.lines[2].get_color()

    def test_says_when_nothing_was_shown(self) -> None:
        figure = differences([difference("no encoder", -0.1, "no difference was shown", None)], ACCURACY)
        drawn(figure)
        assert figure.axes[0].get_title() == "no difference was shown"
        assert list(np.asarray(figure.axes[0].lines[0].get_xdata())) == pytest.approx([-10])
