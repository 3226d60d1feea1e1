"""Tensors on disk: safetensors files with JSON beside the tensors in one file, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridqies.errors import ModelFolderError
from hybridqies.files import replacing

if TYPE_CHECKING:
    from torch import Tensor


def save_tensors(path: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Writes `tensors` and the JSON `record` to one safetensors file."""
    from safetensors.torch import save_file

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        save_file(plain, temporary, metadata={"record": json.dumps(record)})


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the record that `save_tensors` wrote, on the CPU.

    Raises
    ------
    ModelFolderError: the file is missing, truncated, or not of this kind.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ModelFolderError(f"{str(path)!r} does not exist", expected="a safetensors file")
    try:
        with safe_open(path, framework="pt") as stream:  # type: ignore[no-untyped-call]
            record = json.loads((stream.metadata() or {}).get("record", "{}"))
            return {name: stream.get_tensor(name) for name in stream.keys()}, record  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelFolderError(
            f"{str(path)!r} is truncated or damaged ({error})", expected="a whole safetensors file"
        ) from None
