"""Table and plot of an ablation, from its recorded result alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hybridqies.report.studies.cells import cells_notes, cells_table, write_differences
from hybridqies.report.studies.report import StudyReport


def ablation_notes(result: Mapping[str, Any]) -> Iterator[str]:
    """What each variant is, each comparison in words, and what the table alone would hide."""
    for cell in result["cells"]:
        if cell["module"] is not None:
            yield f"{cell['label']}: {cell['meaning']}."
    yield ""
    yield from cells_notes(result)


REPORT = StudyReport(cells_table, ablation_notes, write_differences)
