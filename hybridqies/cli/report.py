"""`hybridqies report`: recorded runs and studies as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridqies.cli.output import say
from hybridqies.errors import InputError

_SUFFIXES = (".html", ".htm")


def command(
    records: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of runs, studies and compressed models, and files of `diagnose` or `cost --json`."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("report.html"),
    files: Annotated[
        Path | None,
        typer.Option(
            help="Also write every table as CSV, Markdown and LaTeX, and every plot as SVG and PNG, here."
        ),
    ] = None,
) -> None:
    """Write one HTML file about runs and studies, from what they recorded; it needs no network.

    Example: `hybridqies report runs/demo --out demo.html`
    """
    from hybridqies.report.html import build_report

    if out.suffix.lower() not in _SUFFIXES:
        raise InputError(f"--out was given {str(out)!r}", expected=f"a name in {' or '.join(_SUFFIXES)}")
    written = build_report(records, out, files)
    if files is not None:
        say(f"{len(written)} files for a paper are in {files}/.")
    say(f"Written to {out} ({out.stat().st_size / 1e6:.1f} MB): open it in a browser.")
