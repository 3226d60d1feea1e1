"""What `--dry-run` and `--rates` do, wherever they stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from hybridqies.cli.output import say_json, show
from hybridqies.errors import InputError

if TYPE_CHECKING:
    from hybridqies.backends import DryRun, Rates


def show_plan(
    dry_run: bool, rates: Path | None, plan: Callable[[Rates | None], list[DryRun]], as_json: bool
) -> bool:
    """Whether a dry run was asked for; then it has been printed.

    Raises
    ------
    InputError: rates without a dry run, or such as cannot be read.
    """
    from hybridqies.backends import Rates
    from hybridqies.report import dry_run_table

    if rates is not None and not dry_run:
        raise InputError("--rates was given without --dry-run", expected="both: rates only estimate")
    if not dry_run:
        return False
    rows = [asdict(each) for each in plan(None if rates is None else Rates.read(rates))]
    if as_json:
        say_json(rows)
    else:
        show(dry_run_table(rows))
    return True
