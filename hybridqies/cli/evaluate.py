"""`hybridqies evaluate`: a saved model measured on a split."""

from __future__ import annotations

from typing import Annotated

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import progress, say_json, show


def command(
    run: flags.Run,
    data: flags.OtherData = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    text_column: flags.TextColumn = "text",
    label_column: flags.LabelColumn = "label",
    backend: flags.OtherBackend = None,
    device: flags.Device = "cpu",
    json: flags.AsJson = False,
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
