"""Notes on a lattice scan: which values are nothing to rely on."""

from __future__ import annotations

from typing import Any

from hybridqies.report.lattices import lattice_notes, lattice_table


def row(theta: float, chi: int, *, discarded: float, drift: float | None, converged: bool) -> dict[str, Any]:
    measured = {"mean": 0.7, "site": 0.8, "bond": chi, "seconds": 1.0}
    judged = {"discarded": discarded, "drift": drift, "converged": converged}
    return {"theta": theta, "steps": 5, "chi": chi, **measured, **judged}


RESULT: dict[str, Any] = {
    "plan": {"lattice": "chain:2", "site": 0, "chis": [2, 4]},
    "n_sites": 2,
    "n_edges": 1,
    "threshold": 1e-4,
    "rows": [
        row(0.1, 2, discarded=0.5, drift=None, converged=False),
        row(0.1, 4, discarded=0.0, drift=0.1, converged=True),
        row(0.6, 2, discarded=0.5, drift=None, converged=False),
        row(0.6, 4, discarded=0.25, drift=0.25, converged=False),
        row(0.9, 2, discarded=0.5, drift=None, converged=False),
    ],
}


def test_a_note_for_each_angle_whose_largest_chi_has_not_converged():
    first, second = lattice_notes(RESULT)
    assert "θ = 0.6, 5 steps: not converged at χ = 4 (discarded 2.5e-01, drift 2.5e-01;" in first
    assert "θ = 0.9, 5 steps: not converged at χ = 2 (discarded 5.0e-01; both" in second


def test_a_row_for_each_point():
    table = lattice_table(RESULT)
    assert table.row_count == 5
    assert [*table.columns[-1].cells] == ["not converged", "", *3 * ["not converged"]]
