"""`hybridqies evaluate`: a saved model measured on a split."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridqies.cli.output import progress, say_json, show


def command(
    run: Annotated[Path, typer.Argument(help="A run's folder, or any saved model's.")],
    data: Annotated[str | None, typer.Option(help="Data to measure on; the run's own when left out.")] = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    text_column: Annotated[str, typer.Option(help="The column that holds the texts.")] = "text",
    label_column: Annotated[str, typer.Option(help="The column that holds the labels.")] = "label",
    backend: Annotated[
        str | None, typer.Option(help="Run the circuit elsewhere than the model was trained.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    json: Annotated[bool, typer.Option("--json", help="Print the record as JSON, no bars.")] = False,
) -> None:
    """Measure a saved model on one split of some data.

    Example: `hybridqies evaluate runs/demo --data reviews/ --split test`
    """
    from hybridqies.report import evaluation_table
    from hybridqies.study import DataOptions, evaluate_run

    options = None if data is None else DataOptions(data, text_column, label_column)
    with progress(json) as hooks:
        record = evaluate_run(run, options, split, backend=backend, device=device, hooks=hooks)
    if json:
        say_json(record)
    else:
        show(*evaluation_table(record))
