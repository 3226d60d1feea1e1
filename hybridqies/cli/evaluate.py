"""`hybridqies evaluate`: a saved model measured on a split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import progress, say_json, show
from hybridqies.cli.planning import check_backend, show_plan

if TYPE_CHECKING:
    from hybridqies.runs import DataOptions


def command(
    run: flags.Run,
    data: flags.OtherData = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    text_column: flags.KnownTextColumn = None,
    pair_column: flags.KnownPairColumn = None,
    label_column: flags.KnownLabelColumn = None,
    drop_empty: flags.DropEmpty = False,
    backend: flags.OtherBackend = None,
    dry_run: flags.DryRun = False,
    rates: flags.RatesFile = None,
    max_shots: flags.MaxShots = None,
    max_jobs: flags.MaxJobs = None,
    journal: flags.JournalFile = None,
    device: flags.Device = "cpu",
    no_cache: flags.NoCache = False,
    json: flags.AsJson = False,
) -> None:
    """Measure a saved model on one split of some data, on any backend.

    Example: `hybridqies evaluate runs/demo --backend aer,shots=4096`

    Jobs at a remote service are recorded in the run's folder: after an interruption, run the same command
    again to continue. `--dry-run` prints what would be sent, without sending it.
    """
    from hybridqies.backends.jobs import Limits
    from hybridqies.runs import evaluate_run, plan_evaluation

    columns = {"text_column": text_column, "pair_column": pair_column, "label_column": label_column}
    options = None if data is None else _options(run, data, columns, drop_empty)
    limits = Limits(max_shots, max_jobs)
    check_backend(run, backend)
    if show_plan(
        lambda figures: plan_evaluation(run, options, split, backend=backend, limits=limits, rates=figures),
        dry_run=dry_run,
        rates=rates,
        limits=limits,
        journal=journal,
        as_json=json,
    ):
        return
    with progress(json) as hooks:
        record = evaluate_run(
            run,
            options,
            split,
            backend=backend,
            device=device,
            limits=limits,
            journal=journal,
            hooks=hooks,
            cached=not no_cache,
        )
    if json:
        say_json(record)
    else:
        _show(record)


def _options(run: Path, data: str, columns: Mapping[str, str | None], drop_empty: bool) -> DataOptions:
    """The data to measure on; columns that are not named are those of training."""
    from hybridqies.runs import DataOptions, recorded_columns

    named = {name: column for name, column in columns.items() if column is not None}
    return DataOptions(data, **{**recorded_columns(run), **named}, drop_empty=drop_empty)


def _show(record: Mapping[str, Any]) -> None:
    from hybridqies.report import evaluation_tables

    show(*evaluation_tables(record))
    if record["overlap"]:
        show(
            f"{record['overlap']} of {record['n_test']} texts are among those that the model was trained on:"
            " the figures are too optimistic."
        )
