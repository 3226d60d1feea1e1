"""Records beside runs of heads and studies of trials: diagnoses, compressions, scaling, language models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridqies.errors import InputError
from hybridqies.records import lacking, parse_json, read_bytes, read_record
from hybridqies.runs.language import read_language_result
from hybridqies.study.conduct import PLAN, RESULT
from hybridqies.training.history import read_history

COMPRESSION = "compression.json"


@dataclass(frozen=True, slots=True)
class DiagnosisRecord:
    """What `hybridqies diagnose --json` printed, kept in a file."""

    name: str
    content: Mapping[str, Any]

    @property
    def title(self) -> str:
        """What kind of record this is."""
        return f"Diagnosis {self.name}"

    @property
    def headline(self) -> str:
        """What was measured, in a few words."""
        return f"Can {self.content['circuit']} be trained?"

    @property
    def lead(self) -> str:
        """What was done."""
        sizes = [row["n_qubits"] for row in self.content["rows"]]
        return (
            f"{self.content['circuit']} with {self.content['samples']:,} random draws of its angles, on "
            f"{min(sizes)} to {max(sizes)} qubits; gradients are those of {self.content['observable']}."
        )


@dataclass(frozen=True, slots=True)
class CompressionRecord:
    """What `hybridqies compress` measured of a model beside its controls."""

    name: str
    content: Mapping[str, Any]

    @property
    def title(self) -> str:
        """What kind of record this is."""
        return f"Compression {self.name}"

    @property
    def headline(self) -> str:
        """What came out, in a few words."""
        before, after = self.content["arms"][:2]
        return f"{after['arm']}: {after['bytes'] / before['bytes']:.0%} of the bytes"

    @property
    def lead(self) -> str:
        """What was done and what came out."""
        config, (before, after) = self.content["config"], self.content["arms"][:2]
        return (
            f"{config['model']} was compressed by {config['method']} from {before['parameters']:,.0f} to "
            f"{after['parameters']:,.0f} parameters, and measured beside every control."
        )


@dataclass(frozen=True, slots=True)
class ScalingRecord:
    """A finished scaling study of language models, with its plan as a file."""

    folder: Path
    result: Mapping[str, Any]
    plan: str

    @property
    def title(self) -> str:
        """What kind of record this is."""
        return f"Scaling study {self.folder.name}"

    @property
    def headline(self) -> str:
        """What was measured, in a few words."""
        arms = {cell["arm"] for cell in self.result["cells"]}
        return f"How the loss of {len(arms)} kinds of language model scales"

    @property
    def lead(self) -> str:
        """What was done."""
        texts = ", ".join(self.result["texts"])
        return (
            f"{self.result['done']} of {self.result['trials']} trainings finished, on {texts}, "
            f"with {len(self.result['plan']['seeds'])} seeds."
        )


@dataclass(frozen=True, slots=True)
class LanguageRecord:
    """A finished run of `hybridqies lm train`."""

    folder: Path
    result: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]

    @property
    def title(self) -> str:
        """What kind of record this is."""
        return f"Language model {self.folder.name}"

    @property
    def headline(self) -> str:
        """What came out, in a few words."""
        return f"{self.result['arm']}: test perplexity {self.result['test_perplexity']:.2f}"

    @property
    def lead(self) -> str:
        """What was done and what came out."""
        return (
            f"A language model of the arm {self.result['arm']} with {self.result['n_parameters']:,} "
            f"parameters was trained on {self.result['n_tokens']:,} tokens; its loss on the test part is "
            f"{self.result['test_loss']:.4f} nats a token."
        )


def read_diagnosis(path: Path) -> DiagnosisRecord:
    """The diagnosis in a JSON file.

    Raises
    ------
    InputError: it cannot be read, or is none.
    """
    needed = {"circuit": str, "observable": str, "vary": list, "samples": int, "rows": list}
    content = _read_plain(path, needed, "what `hybridqies diagnose --json` prints")
    return DiagnosisRecord(path.stem, content)


def read_compression(folder: Path) -> CompressionRecord:
    """The report that `compress` left in a folder.

    Raises
    ------
    InputError: it cannot be read, or is none.
    """
    needed = {"config": dict, "arms": list}
    return CompressionRecord(folder.name, _read_plain(folder / COMPRESSION, needed, "what `compress` writes"))


def read_scaling(folder: Path) -> ScalingRecord:
    """The scaling study in a folder.

    Raises
    ------
    ModelFolderError: its result was damaged or altered.
    """
    needed = {"plan": dict, "texts": dict, "cells": list, "done": int, "trials": int}
    result = read_record(folder / RESULT, needed=needed, what="study")
    return ScalingRecord(folder, result, (folder / PLAN).read_text(encoding="utf-8"))


def read_language_run(folder: Path) -> LanguageRecord:
    """The run of a language model in a folder.

    Raises
    ------
    ModelFolderError: it is not finished, or was damaged or altered.
    """
    return LanguageRecord(folder, read_language_result(folder), read_history(folder))


def _read_plain(path: Path, needed: Mapping[str, Any], expected: str) -> dict[str, Any]:
    """JSON that carries no digest."""
    try:
        content: Any = parse_json(read_bytes(path))
    except (OSError, ValueError) as error:
        raise InputError(f"{str(path)!r} cannot be reported ({error})", expected=expected) from None
    problem = lacking(content, needed) if isinstance(content, dict) else "it is no JSON object"
    if problem:
        raise InputError(f"{str(path)!r} cannot be reported ({problem})", expected=expected)
    return dict(content)
