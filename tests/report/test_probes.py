"""The picture of probes, from made-up records."""

from __future__ import annotations

import pytest

from hybridqies.probes import wilson
from hybridqies.report.probes import draw_probes


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_an_interval_holds_its_share(share: float) -> None:
    """At 0 and 1 rounding alone decided on which side of it an end was."""
    for count in range(1, 400):
        low, high = wilson(share, count)
        assert low <= share <= high


@pytest.mark.parametrize(("share", "low", "high"), [(1.0, 0.98, 1 - 2**-53), (0.0, 2**-60, 0.02)])
def test_a_probe_that_is_solved_is_drawn(share: float, low: float, high: float) -> None:
    """Matplotlib refuses bars of negative length, however short."""
    row = {"probe": "copy", "arm": "tap", "size": "16k", "chance": 0.1, "n_parameters": 16000}
    record = {
        "plan": {"probes": ["copy"], "arms": ["tap"], "sizes": ["16k"]},
        "rows": [{**row, "accuracy": share, "low": low, "high": high}],
    }
    assert len(draw_probes(record).axes) == 1
