"""The short form of the script that looks at reports."""

from __future__ import annotations

from pathlib import Path

import pytest
from chromium import PROGRAM
from report.html.studies import make_sweep, write_study
from scripts import Load


@pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")
def test_a_page_is_looked_at(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = load("report_pages")
    write_study(make_sweep(arms=("logistic",), n_seeds=1), tmp_path / "films")
    monkeypatch.setattr(script, "VIEWS", script.VIEWS[:1])
    monkeypatch.setattr(script, "MOST_BUILDING", 600.0)
    subject = script.Subject("films", tmp_path / "films", 600.0)
    assert script.examine([subject], tmp_path, pictures=tmp_path / "shots") == []
    assert (tmp_path / "shots" / "films-390.png").read_bytes().startswith(b"\x89PNG")
    # What is wrong is told: a page that loads too long, and one that is too large.
    monkeypatch.setattr(script, "MOST_MB", 0.1)
    faults = script.examine([script.Subject("films", tmp_path / "films", 0.0)], tmp_path)
    assert [fault.split()[0] for fault in faults] == ["films:", "films"]
