"""Records beside runs and studies of heads: diagnoses, energies, compressions, scaling, language models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridqies.diagnostics import Diagnosis
from hybridqies.errors import InputError
from hybridqies.options import from_mapping, to_mapping
from hybridqies.records import Needed, lacking, parse_json, read_bytes, read_record
from hybridqies.report.html.records import read_plan_text
from hybridqies.runs.language import read_language_result
from hybridqies.study.conduct import RESULT
from hybridqies.training.history import read_history

COMPRESSION = "compression.json"

_OF_DIAGNOSE, _OF_COMPRESS = "what `hybridqies diagnose --json` prints", "what `compress` writes"
_ENDS: Mapping[str, Any] = {"value": float, "low": float, "high": float}
_ENERGY: Needed = {
    "circuit": str,
    "shots": int,
    "gradients": bool,
    "rows": list,
    "crossover": dict,
    "published": list,
}
_CROSSOVER: Needed = dict.fromkeys(("value", "low", "high"), float | str)
_PUBLISHED: Needed = {"qubits": float, "kind": str, "source": str}
_COUNTS = ("n_qubits", "n_weights", "depth", "one_qubit_gates", "two_qubit_gates")
_ENERGY_ROW: Needed = {
    **dict.fromkeys(_COUNTS, int),
    **dict.fromkeys(("flops", "memory_bytes", "gpu", "qpu"), float),
    **dict.fromkeys(("gpu_interval", "qpu_interval"), list),
}


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
class EnergyRecord:
    """What `hybridqies cost --json` printed, kept in a file."""

    name: str
    content: Mapping[str, Any]

    @property
    def title(self) -> str:
        """What kind of record this is."""
        return f"Estimate {self.name}"

    @property
    def headline(self) -> str:
        """What was estimated, in a few words."""
        return f"Energy of {self.content['circuit']} on a GPU and on a quantum processor"

    @property
    def lead(self) -> str:
        """What was estimated."""
        sizes = [row["n_qubits"] for row in self.content["rows"]]
        what = " with the derivatives of one number by all weights" if self.content["gradients"] else ""
        return (
            f"Estimated energy of one evaluation{what} on {min(sizes)} to {max(sizes)} qubits: simulated on "
            f"GPUs, and with {self.content['shots']:,} shots of each circuit on a quantum processor."
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
    content = _read_plain(path, needed, _OF_DIAGNOSE)
    try:
        rows = [_read_row(row, content["vary"]) for row in content["rows"]]
        if not rows:
            raise InputError("it has no rows")
    except InputError as error:
        raise _refuse(path, error, _OF_DIAGNOSE) from None
    return DiagnosisRecord(path.stem, {**content, "rows": rows})


def _read_row(row: Any, vary: Sequence[Any]) -> dict[str, Any]:
    """A row of a diagnosis, with all that is read of it."""
    made = from_mapping(Diagnosis, row, what="member of a row")
    missing = [name for name in vary if not isinstance(name, str) or name not in made.options]
    if missing:
        raise InputError(f"a row has no option {missing[0]!r:.60}")
    if made.n_qubits < 1 or made.random_variance <= 0:
        raise InputError(f"a row has {made.n_qubits} qubits")
    if made.gradient_variance is not None and made.gradient_variance.value <= 0:
        raise InputError(f"a row has a variance of {made.gradient_variance.value:g}")
    return to_mapping(made)


def is_energy(path: Path) -> bool:
    """Whether a file holds what `hybridqies cost --json` prints, and not another estimate or diagnosis."""
    try:
        content: Any = parse_json(read_bytes(path))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and "crossover" in content


def read_energy(path: Path) -> EnergyRecord:
    """The estimate in a JSON file.

    Raises
    ------
    InputError: it cannot be read, or is none.
    """
    expected = "what `hybridqies cost --json` prints"
    content = _read_plain(path, _ENERGY, expected)
    problem = next(_wrong_in_energy(content), "")
    if problem:
        raise InputError(f"{str(path)!r} cannot be reported ({problem})", expected=expected)
    return EnergyRecord(path.stem, content)


def _wrong_in_energy(content: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong inside of an estimate."""
    if not content["rows"]:
        yield "it has no sizes"
    for rows, needed in ((content["rows"], _ENERGY_ROW), (content["published"], _PUBLISHED)):
        for row in rows:
            if not isinstance(row, dict):
                yield "a row is no JSON object"
            elif problem := lacking(row, needed):
                yield problem
    for row in content["rows"]:
        for name in ("gpu_interval", "qpu_interval"):
            ends = dict(zip(("low", "high"), row[name], strict=False))
            if len(row[name]) != 2 or lacking(ends, {"low": float, "high": float}):
                yield f"{name!r} is {row[name]!r:.60}"
    if problem := lacking(content["crossover"], _CROSSOVER):
        yield problem


def read_compression(folder: Path) -> CompressionRecord:
    """The report that `compress` left in a folder.

    Raises
    ------
    InputError: it cannot be read, or is none.
    """
    path = folder / COMPRESSION
    content = _read_plain(path, {"config": dict, "arms": list}, _OF_COMPRESS)
    problem = _lacking_in_compression(content)
    if problem:
        raise _refuse(path, problem, _OF_COMPRESS)
    return CompressionRecord(folder.name, content)


def _lacking_in_compression(content: Mapping[str, Any]) -> str:
    """What is wrong with the report of a compression; empty where nothing is."""
    language = "tokens" in content
    measured = ("perplexity", "ratio") if language else ("accuracy", "difference")
    arm: dict[str, Any] = {"arm": str, "meaning": str, "parameters": float, "layer_parameters": float}
    arm |= {"bytes": float, "tokens_per_second" if language else "texts_per_second": float}
    needed: list[tuple[Any, Mapping[str, Any]]] = [(content["config"], {"model": str, "method": str})]
    if not language:
        needed.append((_within(content, "data", "rows"), {"test": int}))
    for each in content["arms"]:
        needed += [(each, arm), *((_within(each, name), _ENDS) for name in measured)]
    for name in ("profile", "profile_by_type"):
        for each in content.get(name) or ():
            needed += [(each, {"name": str, "n_layers": int}), (_within(each, "measured"), _ENDS)]
    for value, members in needed:
        problem = lacking(value, members) if isinstance(value, Mapping) else "a part of it is no JSON object"
        if problem:
            return problem
    arms = content["arms"]
    return "" if len(arms) > 1 and arms[0]["bytes"] > 0 else f"it has {len(arms)} arms, or they have no bytes"


def _within(value: Any, *names: str) -> Any:
    """What stands under those names, one in the other; None where there is nothing."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def read_scaling(folder: Path) -> ScalingRecord:
    """The scaling study in a folder.

    Raises
    ------
    ModelFolderError: its result was damaged or altered.
    """
    needed = {"plan": dict, "texts": dict, "cells": list, "done": int, "trials": int}
    result = read_record(folder / RESULT, needed=needed, what="study")
    return ScalingRecord(folder, result, read_plan_text(folder))


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
        raise _refuse(path, error, expected) from None
    problem = lacking(content, needed) if isinstance(content, dict) else "it is no JSON object"
    if problem:
        raise _refuse(path, problem, expected)
    return dict(content)


def _refuse(path: Path, problem: object, expected: str) -> InputError:
    return InputError(f"{str(path)!r} cannot be reported ({problem})", expected=expected)
