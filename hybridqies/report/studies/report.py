"""What the report of a study is, and where each kind of study has its own."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hybridqies.study.kinds import STUDIES

if TYPE_CHECKING:
    from rich.table import Table


class StudyReport(NamedTuple):
    """How a kind of study shows its result: a table, what the table alone would hide, and a picture.

    `write_plot` writes nothing where there is nothing to draw. `costs` is the table of a dry run, for kinds
    that have one.
    """

    table: Callable[[Mapping[str, Any]], Table]
    notes: Callable[[Mapping[str, Any]], Iterable[str]]
    write_plot: Callable[[Mapping[str, Any], Path], None]
    costs: Callable[[Mapping[str, Any]], Table] | None = None


def report_of(kind: str) -> StudyReport:
    """The report of the kind of study with that name."""
    module, _, attribute = STUDIES[kind].report.partition(":")
    found: StudyReport = getattr(importlib.import_module(module), attribute)
    return found
