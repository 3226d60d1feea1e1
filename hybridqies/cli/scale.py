"""`hybridqies scale`: laws of scaling."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridqies.cli import flags, studies
from hybridqies.cli.output import say, say_json, show


def fit(
    table: Annotated[
        Path, typer.Argument(help="A CSV, TSV, JSONL, JSON, Parquet or XLSX file, one row for each training.")
    ],
    loss_column: Annotated[str, typer.Option(help="The column of losses.")] = "loss",
    size_column: Annotated[
        str, typer.Option(help="The column of parameters. none: leave them out of the law.")
    ] = "size",
    tokens_column: Annotated[
        str, typer.Option(help="The column of tokens trained on. none: leave them out of the law.")
    ] = "tokens",
    arm_column: Annotated[
        str, typer.Option(help="The column that names arms, each with a law of its own. none: one law.")
    ] = "arm",
    reference: Annotated[
        str | None, typer.Option(help="The arm that others are compared with. Default: the first.")
    ] = None,
    draws: Annotated[int, typer.Option(help="Number of bootstrap refits.")] = 500,
    seed: Annotated[int, flags.seed_of("the bootstrap")] = 0,
    picture: Annotated[
        Path | None, typer.Option(help="Draw losses and laws into this file, such as fit.png.")
    ] = None,
    json: flags.AsJson = False,
) -> None:
    """Fit loss = E + A / size^α + B / tokens^β to a table of losses, and compare arms.

    Example: `hybridqies scale fit losses.csv --tokens-column none --reference real --picture fit.png`
    """
    from hybridqies.figures import check_picture, save
    from hybridqies.report.scaling import draw_scaling, scaling_table
    from hybridqies.study.loss_table import LossColumns, read_losses
    from hybridqies.study.statistics.law_comparisons import fit_scaling

    if picture is not None:
        check_picture(picture)
    arms = read_losses(table, LossColumns(loss_column, size_column, tokens_column, arm_column))
    scaling = fit_scaling(arms, reference, n_draws=draws, seed=seed)
    record = scaling.to_mapping()
    if picture is not None:
        save(draw_scaling(record), picture)
    if json:
        say_json(record)
        return
    show(scaling_table(record))
    for law in scaling.laws:
        for note in law.notes():
            say(f"{law.arm}: {note}.")
    for comparison in scaling.comparisons:
        say(f"{comparison.statement()}.")
    if picture is not None:
        say(f"Saved {picture}.")


def group() -> typer.Typer:
    """The commands of `scale`."""
    app = typer.Typer(help="Laws of scaling.", no_args_is_help=True, rich_markup_mode="markdown")
    app.command("run")(studies.commands()["scale run"])
    app.command("fit")(fit)
    return app
