"""The files of a saved model: its configuration, and the digests of its weights."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hybridqies import __version__
from hybridqies.errors import ModelFolderError
from hybridqies.files import sha256_of
from hybridqies.records import Needed, lacking, read_record, write_record
from hybridqies.tuning.methods import FILES as TUNED

CONFIG, WEIGHTS, TRAINED_ON = "config.json", "model.safetensors", "trained_on.json"
FORMAT = 3
LANGUAGE_MODEL = "language model"
"""The kind in the configuration of a folder that `hybridqies lm train` wrote."""
TASK = "task"
"""What the configuration of a model calls its task; that of a text classifier does not have it."""
_NEEDED: Needed = {"format": int, "model": dict | None, "run": dict | None, "fingerprints": dict | None}
_NEEDED_OF_MODEL: Needed = {"head": str, "circuits": dict, "weights_sha256": str}


def check_weights(folder: Path, model: Mapping[str, Any]) -> None:
    """Refuses weights other than those that the configuration records.

    Raises
    ------
    ModelFolderError: they are missing, truncated or altered.
    """
    recorded = {
        WEIGHTS: model["weights_sha256"],
        TRAINED_ON: model.get("trained_on_sha256"),
        **{name: model.get("tuned_files", {}).get(name) for name in TUNED},
    }
    for name, digest in recorded.items():
        path = folder / name
        if digest is None:
            continue
        if not path.is_file():
            raise ModelFolderError(
                f"{str(path)!r} is missing",
                expected=f"the file that {CONFIG} names",
                todo="restore the folder or train again",
            )
        if sha256_of(path) != digest:
            raise ModelFolderError(
                f"{str(path)!r} is truncated or was altered (its SHA-256 is not the recorded one)",
                todo="restore the folder or train again",
            )


def write_config(
    folder: Path,
    model: Mapping[str, Any] | None,
    run: Mapping[str, Any] | None,
    fingerprints: Mapping[str, str] | None = None,
) -> None:
    """Writes `config.json`; a run without a model yet is one that has not finished."""
    content = {"format": FORMAT, "hybridqies": __version__, "model": model, "run": run}
    write_record(folder / CONFIG, content | {"fingerprints": fingerprints})


def read_config(folder: Path, *, finished: bool = True) -> dict[str, Any]:
    """The checked `config.json` of a saved model; with `finished` False also of a run without a model yet.

    Raises
    ------
    ModelFolderError: missing, damaged, altered, unfinished, or of another format.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ModelFolderError(
            f"{str(folder)!r} holds no {CONFIG}",
            expected="a folder written by save_pretrained or `hybridqies train`",
        )
    if read_record(path, what="model configuration").get("kind") == LANGUAGE_MODEL:
        raise ModelFolderError(
            f"{str(folder)!r} holds a language model",
            expected="a classifier",
            todo="use hybridqies lm evaluate, generate or train",
        )
    content = read_record(path, needed=_NEEDED, what="model configuration")
    if content["format"] != FORMAT:
        raise ModelFolderError(
            f"{str(path)!r} has format {content['format']}", expected=f"format {FORMAT}", todo="train again"
        )
    if finished and content["model"] is None:
        raise ModelFolderError(
            f"the run in {str(folder)!r} has not finished",
            todo=f"continue with: hybridqies train --resume --out {shlex.quote(str(folder))}",
        )
    if content["model"] is not None:
        refuse_damage(folder, lacking(content["model"], _NEEDED_OF_MODEL) or _ill_named(content["model"]))
    return content


def _ill_named(model: Mapping[str, Any]) -> str:
    """What is wrong with the roles of the circuits, which become names of files; empty where nothing is."""
    wrong = [role for role in model["circuits"] if not role.isidentifier()]
    return f"it has a circuit called {wrong[0]!r:.60}" if wrong else ""


def refuse_other_task(folder: Path, model: Mapping[str, Any]) -> None:
    """Refuses a model that reads no texts.

    Raises
    ------
    ModelFolderError: naming its task.
    """
    if TASK in model:
        raise ModelFolderError(
            f"{str(folder)!r} holds a model of task {model[TASK]!r}", expected="a text classifier"
        )


def refuse_damage(folder: Path, problem: str) -> None:
    """Refuses a configuration that has a problem; nothing where that is empty.

    Raises
    ------
    ModelFolderError: naming the file and the problem.
    """
    if problem:
        path = folder / CONFIG
        raise ModelFolderError(
            f"model configuration {str(path)!r} is damaged: {problem}", todo="restore it or train again"
        )
