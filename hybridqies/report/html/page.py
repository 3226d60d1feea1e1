"""The page: every record with its sections, in one file that loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

from hybridqies import __version__
from hybridqies.figures import render
from hybridqies.files import write_bytes
from hybridqies.report.html.blocks import Picture
from hybridqies.report.html.chapters import make_chapters
from hybridqies.report.html.interactive import to_plotly
from hybridqies.report.html.paper import write_files
from hybridqies.report.html.plots import Plot
from hybridqies.report.html.reading import Record, read_record_of
from hybridqies.report.html.still import draw
from hybridqies.report.words import encode

_PACKAGE = "hybridqies.report.html"


def build_report(paths: Sequence[Path], out: Path, files: Path | None = None) -> list[Path]:
    """Writes the report of runs and studies to `out`, whole or not at all.

    With `files` every table and plot becomes files in that folder, too; returns those.

    Raises
    ------
    InputError: a path that holds no record.
    ModelFolderError: a record that is not finished, or was damaged or altered.
    """
    records = [read_record_of(path) for path in paths]
    write_bytes(out, encode(render_page(records)))
    return [] if files is None else write_files(make_chapters(records), files)


def render_page(records: Sequence[Record]) -> str:
    """The report as HTML."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(_PACKAGE, "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    chapters = make_chapters(records)
    scripts = {name: _asset(name) for name in ("start.js", "plotly-basic.min.js", "page.js")}
    return environment.get_template("page.html.j2").render(
        headline=records[0].headline if len(records) == 1 else f"{len(records)} recorded results",
        version=__version__,
        chapters=chapters,
        style=_asset("page.css"),
        scripts=scripts,
        hashes=[_digest(script) for script in scripts.values()],
        spec=_spec,
        still=_still,
        unfold=lambda table: replace(table, folded=False),
    )


def _spec(plot: Plot) -> str:
    """JSON that can stand in a script element, whatever the names in it are."""
    text = json.dumps(to_plotly(plot), allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _still(block: Plot | Picture) -> str:
    figure = block.figure if isinstance(block, Picture) else draw(block)
    return "data:image/svg+xml;base64," + base64.b64encode(render(figure, "svg")).decode()


def _asset(name: str) -> str:
    return resources.files(_PACKAGE).joinpath("assets", name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    """What a content security policy allows this script by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
