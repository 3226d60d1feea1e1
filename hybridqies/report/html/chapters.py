"""What a report holds before it is written: a chapter for each record, with its sections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hybridqies.report.html.plots import Block
from hybridqies.report.html.reading import Record
from hybridqies.report.html.sections import SECTIONS, Section


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
        elif section.needs and section.concerns(record):
            missing.append(section)
    return Chapter(f"record-{number}", record.title, record.lead, tuple(parts), tuple(missing))
