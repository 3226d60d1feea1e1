"""What tests of the page share: one page, since drawing its plots takes longer than everything else."""

from __future__ import annotations

import pytest
from report.html.records import HOSTILE, make_run

from hybridqies.report.html import render_page


@pytest.fixture(scope="session")
def page() -> str:
    """The page of a run whose every name is an attack, and of a plain one."""
    named = {"head": HOSTILE[1], "data": HOSTILE[0], "verdicts": [HOSTILE[2]], "parameters": HOSTILE[0]}
    return render_page([make_run(list(HOSTILE), **named), make_run()])
