"""The page: every record with its sections, in one file that loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from hybridqies import __version__
from hybridqies.figures import render
from hybridqies.files import write_text
from hybridqies.report.html.blocks import Picture
from hybridqies.report.html.interactive import to_plotly
from hybridqies.report.html.plots import Block, Plot
from hybridqies.report.html.reading import Record, read_record_of
from hybridqies.report.html.sections import SECTIONS, Section
from hybridqies.report.html.still import draw

_PACKAGE = "hybridqies.report.html"


@dataclass(frozen=True, slots=True)
class Part:
    """A section of one record as the page shows it: `key` is its anchor."""

    key: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Chapter:
    """One record: its sections, and what is missing because nothing was recorded for it."""

    key: str
    title: str
    lead: str
    parts: tuple[Part, ...]
    missing: tuple[Section, ...]


def build_report(paths: Sequence[Path], out: Path) -> None:
    """Writes the report of runs and studies to `out`, whole or not at all.

    Raises
    ------
    InputError: a path that holds no record.
    ModelFolderError: a record that is not finished, or was damaged or altered.
    """
    write_text(out, render_page([read_record_of(path) for path in paths]))


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


def make_chapters(records: Sequence[Record]) -> list[Chapter]:
    """Every record with the sections that it has something for."""
    return [_chapter(number, record) for number, record in enumerate(records, 1)]


def _chapter(number: int, record: Record) -> Chapter:
    parts, missing = [], []
    for section in SECTIONS:
        if not isinstance(record, section.record):
            continue
        blocks = tuple(section.make(record))
        if blocks:
            parts.append(Part(f"{section.name}-{number}", section.title, blocks))
        elif section.needs:
            missing.append(section)
    return Chapter(f"record-{number}", record.title, record.lead, tuple(parts), tuple(missing))


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
