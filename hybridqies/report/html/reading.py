"""From a path to its record: which kind it is, and the table of kinds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hybridqies.errors import InputError
from hybridqies.records import read_record
from hybridqies.report.html.measurements import (
    COMPRESSION,
    is_energy,
    read_compression,
    read_diagnosis,
    read_energy,
    read_language_run,
    read_scaling,
)
from hybridqies.report.html.records import read_run, read_study
from hybridqies.saved_model import CONFIG
from hybridqies.saved_model.files import LANGUAGE_MODEL
from hybridqies.study.conduct import PLAN, RESULT
from hybridqies.study.kinds.scale import SCALE


class Record(Protocol):
    """What a report can be made from: a chapter's title, its headline, and a sentence on what came out."""

    @property
    def title(self) -> str:
        """What kind of record this is."""

    @property
    def headline(self) -> str:
        """What came out, in a few words."""

    @property
    def lead(self) -> str:
        """What was done and what came out, in a sentence or two."""


@dataclass(frozen=True, slots=True)
class Reader:
    """One kind of record: whether it is at a path, and how it is read."""

    what: str
    is_at: Callable[[Path], bool]
    read: Callable[[Path], Record]


READERS = (
    Reader("a scaling study", lambda path: _kind_of_study(path) == SCALE.name, read_scaling),
    Reader("a study", lambda path: (path / PLAN).is_file(), read_study),
    Reader("a compressed model", lambda path: (path / COMPRESSION).is_file(), read_compression),
    Reader("a language model", lambda path: _kind_of_model(path) == LANGUAGE_MODEL, read_language_run),
    Reader("a run", lambda path: (path / CONFIG).is_file(), read_run),
    Reader("a file of `cost --json`", lambda path: path.is_file() and is_energy(path), read_energy),
    Reader("a file of `diagnose --json`", lambda path: path.is_file(), read_diagnosis),
)


def read_record_of(path: Path) -> Record:
    """The record at a path.

    Raises
    ------
    InputError: there is none, or a study that is not finished.
    ModelFolderError: it is not finished, or was damaged or altered.
    """
    resolved = path.resolve()
    for reader in READERS:
        if reader.is_at(resolved):
            return reader.read(resolved)
    kinds = ", ".join(reader.what for reader in READERS)
    raise InputError(f"{str(path)!r} holds nothing to report", expected=f"one of {kinds}")


def _kind_of_study(folder: Path) -> str | None:
    path = folder / RESULT
    return str(read_record(path, what="study").get("kind")) if path.is_file() else None


def _kind_of_model(folder: Path) -> str | None:
    path = folder / CONFIG
    return str(read_record(path, what="model configuration").get("kind")) if path.is_file() else None
