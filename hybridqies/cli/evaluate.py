"""`hybridqies evaluate`: a saved model measured on a split."""

from __future__ import annotations

from typing import Annotated

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import progress, say_json, show
from hybridqies.cli.planning import check_backend, show_plan


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
    from hybridqies.report import evaluation_tables
    from hybridqies.runs import DataOptions, evaluate_run, plan_evaluation, recorded_columns

    options = None
    if data is not None:
        given = {"text_column": text_column, "pair_column": pair_column, "label_column": label_column}
        columns = recorded_columns(run) | {name: each for name, each in given.items() if each is not None}
        options = DataOptions(data, **columns, drop_empty=drop_empty)
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
        return
    show(*evaluation_tables(record))
    if record["overlap"]:
        show(
            f"{record['overlap']} of {record['n_test']} texts are among those that the model was trained on:"
            " the figures are too optimistic."
        )
