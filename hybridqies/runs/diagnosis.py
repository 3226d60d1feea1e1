"""The diagnosis of a trained run: entanglement and gradients of its circuits, kept beside its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hybridqies import __version__
from hybridqies.backends.registry import DEFAULT_BACKEND
from hybridqies.circuit import Circuit
from hybridqies.diagnostics import WIDEST_STATE, Survey
from hybridqies.errors import InputError, ModelFolderError
from hybridqies.files import sha256_of
from hybridqies.options import to_mapping
from hybridqies.records import Needed, read_record, write_record
from hybridqies.runs.assembly import prepare
from hybridqies.runs.circuit_layers import circuit_layers
from hybridqies.runs.entanglement import measure_entanglement
from hybridqies.runs.folder import DIAGNOSTICS, recorded_config
from hybridqies.runs.trainability import measure_gradients
from hybridqies.saved_model import WEIGHTS, load_model
from hybridqies.training.loop import adapt

ROWS = 64
"""Validation texts that circuits are measured on."""
DRAWS = 200
"""Random angles, where nothing else is said: they give the variance of gradients to a few per cent."""

_NEEDED: Needed = {"weights_sha256": str, "most_texts": int, "samples": int, "rows": list, "gradients": list}


def diagnose_training(folder: Path, survey: Survey | None = None) -> dict[str, Any]:
    """Measures every circuit of a finished run on validation texts, before and after its training.

    The result has JSON values: `rows` of entanglement (`LayerRow`) and `gradients` (`GradientRow`), and the
    digest of the weights that were measured. States and gradients are exact, also where the run had shots or
    noise. `survey` gives the number of random angles and their seed.

    Raises
    ------
    ModelFolderError: the folder holds no finished run.
    InputError: its head has no circuit, or one of too many or too few qubits, or its encoder was tuned.
    """
    survey, config = survey or Survey(samples=DRAWS), recorded_config(folder)
    if config.tuning:
        raise InputError(
            f"the encoder of {str(folder)!r} was tuned",
            expected="a run with a frozen encoder: the embeddings that training began with are gone",
        )
    trained = load_model(folder, backend=DEFAULT_BACKEND).head
    weights_sha256 = sha256_of(folder / WEIGHTS)
    layers = circuit_layers(trained)
    if not layers:
        raise InputError(
            f"head {config.head!r} of {str(folder)!r} runs no circuit", expected="a run of a head with one"
        )
    for layer in layers.values():
        _check_width(layer.circuit)
    prepared = prepare(replace(config, compare=(), backend=DEFAULT_BACKEND))
    rows = prepared.rows(prepared.arm)
    adapt(prepared.arm.model, rows.train)
    inputs, untrained = rows.validation.inputs[:ROWS], prepared.arm.head
    entangled = measure_entanglement(untrained, trained, inputs)
    gradients = measure_gradients(untrained, trained, inputs, survey.samples, survey.seed)
    return {
        "most_texts": ROWS,
        "samples": survey.samples,
        "seed": survey.seed,
        "rows": [to_mapping(each) for each in entangled],
        "gradients": [to_mapping(each) for each in gradients],
        "weights_sha256": weights_sha256,
        "hybridqies": __version__,
    }


def write_diagnosis(folder: Path, diagnosis: Mapping[str, Any]) -> None:
    """Writes `diagnostics.json` into the folder of the run, whole or not at all.

    Raises
    ------
    InputError: the run was trained further since it was measured.
    OSError: the file cannot be written.
    """
    if sha256_of(folder / WEIGHTS) != diagnosis["weights_sha256"]:
        raise InputError(
            f"the weights of {str(folder)!r} changed while they were measured",
            expected="a run that nobody trains",
            todo="diagnose it again",
        )
    write_record(folder / DIAGNOSTICS, diagnosis)


def read_diagnosis(folder: Path) -> dict[str, Any] | None:
    """The checked `diagnostics.json` of a run; None where nobody has diagnosed it.

    Raises
    ------
    ModelFolderError: it is damaged or altered, or of other weights than the run has.
    """
    path, todo = folder / DIAGNOSTICS, "write it again by: hybridqies diagnose, or delete it"
    if not path.is_file():
        return None
    diagnosis = read_record(path, needed=_NEEDED, what="record of a diagnosis", todo=todo)
    if sha256_of(folder / WEIGHTS) != diagnosis["weights_sha256"]:
        raise ModelFolderError(f"{str(path)!r} is of other weights than the run has now", todo=todo)
    return diagnosis


def _check_width(circuit: Circuit) -> None:
    if not 2 <= circuit.n_qubits <= WIDEST_STATE:
        raise InputError(
            f"circuit {circuit.name!r} has {circuit.n_qubits} qubit(s)", expected=f"2 to {WIDEST_STATE}"
        )
