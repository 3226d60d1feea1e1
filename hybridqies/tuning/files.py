"""The files of a tuned encoder: an adapter as peft saves it, or the trained weights; or all of it."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hybridqies.errors import InputError, ModelFolderError
from hybridqies.files import sha256_of, write_json
from hybridqies.folder_checks import read_json
from hybridqies.options import from_mapping
from hybridqies.tensors import check_finite, load_tensors, save_tensors
from hybridqies.text import Encoder
from hybridqies.tuning.methods import ADAPTER, ADAPTER_CONFIG, WEIGHTS, method_of
from hybridqies.tuning.spec import Tuning
from hybridqies.tuning.tuned import EncoderChange, TunedEncoder

_PREFIX = "base_model.model."


def save_change(folder: Path, encoder: TunedEncoder) -> dict[str, str]:
    """Writes what tuning has changed; returns the SHA-256 of each file by its name.

    An adapter is a folder that `SentenceTransformer.load_adapter` reads: see `peft.PeftModel`.
    """
    change = encoder.change
    if change.adapter is None:
        _write(folder / WEIGHTS, change, "")
        return _digests(folder, (WEIGHTS,))
    _write(folder / ADAPTER, change, _PREFIX)
    # A folder on this machine says nothing to others.
    base = None if Path(encoder.base.name).is_absolute() else encoder.base.name
    write_json(folder / ADAPTER_CONFIG, {**change.adapter, "base_model_name_or_path": base})
    return _digests(folder, (ADAPTER, ADAPTER_CONFIG))


def load_change(folder: Path, recorded: Mapping[str, Any]) -> EncoderChange:
    """The change that `save_change` wrote; `recorded` is what `EncoderChange.describe` gave of it.

    Raises
    ------
    ModelFolderError: a file is missing or damaged, or is not of that tuning.
    """
    tuning = tuning_from(recorded)
    is_adapter = method_of(tuning.method).is_adapter
    tensors, _ = load_tensors(folder / (ADAPTER if is_adapter else WEIGHTS))
    adapter = _read_adapter(folder / ADAPTER_CONFIG) if is_adapter else None
    plain = {name.removeprefix(_PREFIX) if is_adapter else name: each for name, each in tensors.items()}
    change = EncoderChange(tuning, plain, recorded["n_parameters"], adapter, recorded["seconds"])
    if change.digest != recorded["sha256"]:
        raise ModelFolderError(
            f"the tuned encoder in {str(folder)!r} is not the one that was recorded",
            todo="restore the folder or train again",
        )
    return change


def tuning_from(recorded: Mapping[str, Any]) -> Tuning:
    """The tuning of a change that was recorded as `EncoderChange.describe` gives it."""
    known = {each.name for each in dataclasses.fields(Tuning)}
    options = {name: value for name, value in recorded.items() if name in known}
    return from_mapping(Tuning, options, what="recorded tuning option")


def export_encoder(encoder: Encoder, folder: Path) -> None:
    """Writes a tuned encoder, with the change in its weights, as a sentence-transformers folder.

    Raises
    ------
    InputError: the folder is not empty, or the encoder was not tuned.
    """
    if not isinstance(encoder, TunedEncoder):
        raise InputError(
            f"encoder {encoder.name!r} was not tuned", expected="one with weights of its own to write"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{str(folder)!r} is not empty", expected="a new folder")
    beside = folder.with_name(f".{folder.name}-part")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        model: Any = encoder.copy_model()
        model.save_pretrained(str(beside), create_model_card=False)
        if folder.exists():
            folder.rmdir()
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _read_adapter(path: Path) -> dict[str, Any]:
    """What peft reads an adapter by; peft itself only reads it again when it is saved."""
    fault = "is missing or no mapping"
    try:
        found = read_json(path)
    except InputError as error:
        found, fault = None, str(error).splitlines()[0][:300]
    if not found or not isinstance(found, dict):
        raise ModelFolderError(
            f"the configuration of an adapter {str(path)!r} cannot be read ({fault})",
            todo="restore the folder or train again",
        )
    return found


def _write(path: Path, change: EncoderChange, prefix: str) -> None:
    tensors = {prefix + name: each for name, each in change.tensors.items()}
    check_finite(tensors, path)
    save_tensors(path, tensors, {"tuning": change.tuning.method})


def _digests(folder: Path, names: tuple[str, ...]) -> dict[str, str]:
    return {name: sha256_of(folder / name) for name in names}
