"""CSV that spreadsheet programs read as it was meant."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

# What a formula begins with, and what some programs skip before one; full-width forms count as well.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def escape_formula(cell: Any) -> Any:
    """A cell that no spreadsheet program takes for a formula: text that could be one gets an apostrophe."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULAS) else cell


def write_csv(rows: Iterable[Sequence[str]]) -> str:
    """Rows as CSV; written numbers stay as they are, with their sign."""
    made = io.StringIO()
    safe = ([cell if _is_number(cell) else escape_formula(cell) for cell in row] for row in rows)
    csv.writer(made).writerows(safe)
    return made.getvalue()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
