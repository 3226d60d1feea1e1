"""`hybridqies evaluate`: a saved model measured on a split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import progress, say_json, show
from hybridqies.cli.planning import show_plan
from hybridqies.errors import InputError

if TYPE_CHECKING:
    from hybridqies.backends import Backend
    from hybridqies.backends.jobs.runner import Progress


def command(
    run: flags.Run,
    data: flags.OtherData = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    text_column: flags.TextColumn = "text",
    label_column: flags.LabelColumn = "label",
    backend: flags.OtherBackend = None,
    dry_run: flags.DryRun = False,
    rates: flags.RatesFile = None,
    max_shots: flags.MaxShots = None,
    max_jobs: flags.MaxJobs = None,
    journal: flags.JournalFile = None,
    device: flags.Device = "cpu",
    json: flags.AsJson = False,
) -> None:
    """Measure a saved model on one split of some data, on any backend.

    Example: `hybridqies evaluate runs/demo --backend aer,shots=4096`

    Jobs at a remote service are journalled in the run's folder: after an interruption the same command
    goes on where it was. `--dry-run` tells what would be sent, and sends nothing.
    """
    from hybridqies.report import evaluation_table
    from hybridqies.study import DataOptions, evaluate_run, plan_evaluation

    options = None if data is None else DataOptions(data, text_column, label_column)
    if show_plan(
        dry_run,
        rates,
        lambda figures: plan_evaluation(run, options, split, backend=backend, rates=figures),
        json,
    ):
        return
    with progress(json) as hooks:
        placed = _bounded(run, backend, max_shots, max_jobs, journal, hooks.on_text)
        record = evaluate_run(run, options, split, backend=placed, device=device, hooks=hooks)
    if json:
        say_json(record)
    else:
        show(*evaluation_table(record))


def _bounded(
    run: Path,
    backend: str | None,
    max_shots: int | None,
    max_jobs: int | None,
    journal: Path | None,
    on_progress: Progress,
) -> Backend:
    """The backend with its caps and its journal.

    Raises
    ------
    InputError: caps or a journal for a backend whose circuits run here, where nothing is paid.
    """
    from hybridqies.backends import RemoteBackend, load_backend
    from hybridqies.backends.jobs import Limits
    from hybridqies.classifier import read_config

    placed = load_backend(backend or read_config(run)["model"]["backend"])
    if isinstance(placed, RemoteBackend) and placed.has_jobs:
        limits = Limits(max_shots, max_jobs)
        placed.jobs = replace(placed.jobs, limits=limits, journal=journal, on_progress=on_progress)
        return placed
    given = {"--max-shots": max_shots, "--max-jobs": max_jobs, "--journal": journal}
    for flag, value in given.items():
        if value is not None:
            raise InputError(
                f"{flag} was given with backend {placed.label!r}, which costs nothing",
                expected="a backend at a remote service (see: hybridqies backends)",
            )
    return placed
