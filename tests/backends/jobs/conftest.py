"""Fixtures of the tests of runners."""

from __future__ import annotations

from pathlib import Path

import pytest
from backends.jobs.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here pulls the plug, and thousands of synced writes take minutes."""
    monkeypatch.setattr("hybridqies.journals.os.fsync", lambda descriptor: None)
