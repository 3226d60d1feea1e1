"""Tensors on disk: safetensors files that also hold a JSON record, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridqies.errors import ModelFolderError
from hybridqies.files import replacing

if TYPE_CHECKING:
    from torch import Tensor

_NOTE = "hybridqies"


def save_tensors(path: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Writes `tensors` and the JSON `record` to one safetensors file."""
    from safetensors.torch import save_file

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One entry: safetensors writes several in no fixed order, and equal models should be equal files.
    note = json.dumps({"record": record, "sha256": _digest(plain, record)})
    with replacing(path) as temporary:
        save_file(plain, temporary, metadata={_NOTE: note})


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the record that `save_tensors` wrote, on the CPU.

    Raises
    ------
    ModelFolderError: the file is missing, truncated, altered, or not of this kind.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ModelFolderError(f"{str(path)!r} does not exist", expected="a safetensors file")
    try:
        with safe_open(path, framework="pt") as stream:
            note = json.loads((stream.metadata() or {})[_NOTE])
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        record: dict[str, Any] = note["record"]
        whole = note["sha256"] == _digest(tensors, record)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFolderError(
            f"{str(path)!r} is truncated or damaged ({error})", expected="a file that this package wrote"
        ) from None
    if not whole:
        raise ModelFolderError(
            f"{str(path)!r} is damaged or was altered", expected="the file as it was written"
        )
    return tensors, record


def _digest(tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> str:
    """SHA-256 over names, types, shapes, values and record: safetensors itself notices no flipped bit."""
    digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
