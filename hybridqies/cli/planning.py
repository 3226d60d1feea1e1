"""The flags about jobs that commands share: `--dry-run`, `--rates`, caps, `--backend`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from hybridqies.cli.output import say_json, show
from hybridqies.errors import InputError

if TYPE_CHECKING:
    from hybridqies.backends import DryRun, Rates
    from hybridqies.backends.jobs import Limits


def show_plan(
    plan: Callable[[Rates | None], list[DryRun]],
    *,
    dry_run: bool,
    rates: Path | None,
    limits: Limits,
    journal: Path | None = None,
    as_json: bool,
) -> bool:
    """Whether a dry run was asked for; then it has been printed.

    Raises
    ------
    InputError: rates without a dry run, rates that cannot be read, or a journal with a dry run.
    CapabilityError: after printing, when the plan would pass a cap.
    """
    from hybridqies.backends import Rates
    from hybridqies.report import dry_run_table
    from hybridqies.runs import check_limits

    if rates is not None and not dry_run:
        raise InputError(
            "--rates was given without --dry-run", expected="both: rates are only used for estimates"
        )
    if not dry_run:
        return False
    if journal is not None:
        raise InputError(
            "--journal was given together with --dry-run",
            expected="one of them: a dry run does not read the journal",
        )
    plans = plan(None if rates is None else Rates.read(rates))
    rows = [asdict(each) for each in plans]
    if as_json:
        say_json(rows)
    else:
        # Heads that are compared may have the same circuit.
        show(dry_run_table([row | {"circuit": f"{row['head']}: {row['circuit']}"} for row in rows]))
    check_limits(plans, limits)
    return True


def check_backend(run: Path, backend: str | None) -> None:
    """Refuses a backend for a saved model whose head runs no circuit.

    Raises
    ------
    InputError: its head runs no circuit.
    """
    from hybridqies.runs import check_runs_circuit
    from hybridqies.saved_model import read_config

    if backend is not None:
        check_runs_circuit((read_config(run)["model"]["head"],), f"--backend {backend!r} was given")
