"""`hybridqies lm analyse`: what mixing layers of a trained language model do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import say, say_json, show

Run = Annotated[Path, typer.Argument(help="The folder of `lm train`, or of a saved language model.")]


def analyse(
    run: Run,
    text: Annotated[
        str | None, typer.Option(help="A UTF-8 file. Default: the test part of the text of the run.")
    ] = None,
    windows: Annotated[int, typer.Option(help="How many windows of the text to read.", min=2)] = 64,
    sentence: Annotated[
        list[str] | None,
        typer.Option(
            help="A sentence to draw; may be repeated. Default: two of the text.", metavar="SENTENCE"
        ),
    ] = None,
    replacement: Annotated[
        str, typer.Option(help="What an ablated stride adds: its mean over the text, or zero.")
    ] = "mean",
    device: flags.Device = "cpu",
    out: Annotated[
        Path | None, typer.Option(help="The folder of the record and pictures. Default: RUN/analysis.")
    ] = None,
    json: flags.AsJson = False,
) -> None:
    """Analyse mixing layers: entanglement before and after training, correlation with the loss, ablations.

    Example: `hybridqies lm analyse runs/entangled --windows 64`
    """
    from hybridqies.analysis import Replacement
    from hybridqies.options import parse
    from hybridqies.report.language_analysis import analysis_tables
    from hybridqies.report.language_pictures import write_analysis_pictures
    from hybridqies.runs.language_analysis import ANALYSIS, analyse_language_model

    target = run / "analysis" if out is None else out
    record = analyse_language_model(
        run,
        target,
        text=text,
        n_windows=windows,
        sentences=sentence or (),
        replacement=parse(replacement, Replacement, "--replacement"),
        device=device,
    )
    pictures = write_analysis_pictures(record, target)
    if json:
        say_json(record)
        return
    for table in analysis_tables(record):
        show(table)
    say(f"Saved in {target}/: {', '.join([ANALYSIS, *(path.name for path in pictures)])}.")
