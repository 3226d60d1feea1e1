"""CSV that spreadsheet programs read as it was meant."""

from __future__ import annotations

from typing import Any

import pytest

from hybridqies.report.spreadsheets import escape_formula, write_csv


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＠x"])
def test_a_formula_becomes_text(text: str) -> None:
    assert escape_formula(text) == f"'{text}"


@pytest.mark.parametrize("cell", ["a=1", "", "'=1", "1-2", -1.5, 7])
def test_other_cells_stay(cell: Any) -> None:
    assert escape_formula(cell) == cell


def test_written_numbers_keep_their_sign() -> None:
    assert write_csv([("-1.5", "+2", "1e-3", "-x", 'a "b", c')]) == '-1.5,+2,1e-3,\'-x,"a ""b"", c"\r\n'
