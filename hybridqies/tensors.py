"""Tensors on disk: safetensors files that also hold a JSON record, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from hybridqies.errors import InputError, ModelFolderError
from hybridqies.files import write_bytes

if TYPE_CHECKING:
    from torch import Tensor, nn

_NOTE = "hybridqies"


def save_tensors(path: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Writes `tensors` and the JSON `record` to one safetensors file.

    Raises
    ------
    InputError: the record holds something that JSON has no form for, such as NaN.
    OSError: the file cannot be written.
    """
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        # One entry: safetensors writes several in no fixed order, and equal models should be equal files.
        note = json.dumps({"record": record, "sha256": _digest(plain, record)}, allow_nan=False)
    except ValueError as error:
        raise InputError(f"the record of {str(path)!r} cannot be written as JSON: {error}") from None
    # Not `save_file`: it makes a temporary file of its own, which only the owner may read.
    write_bytes(path, save(plain, {_NOTE: note}))


def check_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuses weights that `path` should not hold, because they would be refused when they are loaded.

    Raises
    ------
    InputError: a tensor has NaN or infinite values; the message names it.
    """
    unusable = _first_not_finite(tensors)
    if unusable is not None:
        raise InputError(
            f"{str(path)!r} was to hold tensor {unusable!r} with NaN or infinite values",
            expected="finite weights",
            todo="lower the learning rate",
        )


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the record that `save_tensors` wrote, on the CPU.

    Raises
    ------
    ModelFolderError: the file is missing, truncated, altered, not of this kind, or holds NaN or infinities.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ModelFolderError(f"{str(path)!r} does not exist", expected="a safetensors file")
    try:
        with safe_open(path, framework="pt") as stream:
            note = json.loads((stream.metadata() or {})[_NOTE])
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        record: dict[str, Any] = note["record"]
        whole = isinstance(record, dict) and note["sha256"] == _digest(tensors, record)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError, RecursionError) as error:
        raise ModelFolderError(
            f"{str(path)!r} is truncated or damaged ({error})", expected="a file that this package wrote"
        ) from None
    if not whole:
        raise ModelFolderError(
            f"{str(path)!r} is damaged or was altered", expected="the file as it was written"
        )
    unusable = _first_not_finite(tensors)
    if unusable is not None:
        raise ModelFolderError(
            f"{str(path)!r} has NaN or infinite values in tensor {unusable!r}",
            expected="finite weights",
            todo="restore the file or train again",
        )
    return tensors, record


@runtime_checkable
class Growing(Protocol):
    """A module some of whose tensors are as long as training made them."""

    def make_room(self, tensors: Mapping[str, Tensor]) -> None:
        """Gives those tensors the lengths that they have in `tensors`, which were read from a file."""


def load_state(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Copies `tensors` into the parameters and buffers of `module`; `path` is where they were read.

    Raises
    ------
    ModelFolderError: a tensor is missing, is not one of the module's, or has another shape or dtype.
    """
    if isinstance(module, Growing):
        module.make_room(tensors)
    own = module.state_dict()
    for name in sorted(own.keys() | tensors.keys()):
        problem = _misfit(own.get(name), tensors.get(name))
        if problem:
            raise ModelFolderError(
                f"tensor {name!r} in {str(path)!r} {problem}",
                expected=f"the tensors of {type(module).__name__} with the recorded options",
                todo="restore the folder or train again",
            )
    module.load_state_dict(dict(tensors))


def _misfit(own: Tensor | None, given: Tensor | None) -> str:
    """What is wrong with a tensor that was read; empty when it fits."""
    if given is None:
        return "is missing"
    if own is None:
        return "belongs to no part of the model"
    if own.shape != given.shape:
        return f"has shape {tuple(given.shape)}, the model's has {tuple(own.shape)}"
    if own.dtype != given.dtype:
        return f"has dtype {given.dtype}, the model's has {own.dtype}"
    return ""


def _first_not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    floating = {name: each for name, each in tensors.items() if each.is_floating_point() or each.is_complex()}
    return next((name for name, each in floating.items() if not bool(each.isfinite().all())), None)


def _digest(tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> str:
    """SHA-256 over names, types, shapes, values and record: safetensors itself notices no flipped bit."""
    import torch

    digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        # As bytes: NumPy has no bfloat16.
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
