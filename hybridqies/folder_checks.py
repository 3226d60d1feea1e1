"""Folders of models may come from strangers: what could run code or never end is refused unopened."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from hybridqies.errors import InputError

MODULES = (
    "BoW",
    "CNN",
    "Dense",
    "Dropout",
    "LSTM",
    "LayerNorm",
    "Normalize",
    "Pooling",
    "StaticEmbedding",
    "Transformer",
    "WeightedLayerPooling",
    "WordEmbeddings",
    "WordWeights",
)
"""The classes of sentence-transformers that an encoder may be made of."""

COMPRESSED_MODULE = "hybridqies.factorised.transformer.CompressedTransformer"
"""The class of ours for encoders whose weights are held in factors."""

_MODULE_TYPE = re.compile(rf"sentence_transformers(\.[A-Za-z_]+)*\.({'|'.join(MODULES)})")
# What configurations name by its place in a package: activations of Dense, tokenizers of WordEmbeddings.
_CLASSES = re.compile(
    r"torch\.nn\.modules\.(activation|linear)\.[A-Za-z0-9]+"
    r"|sentence_transformers(\.[A-Za-z_]+)*\.tokenizer\.([A-Za-z]+\.)?[A-Za-z]+Tokenizer"
)
_NAMES_A_CLASS = ("activation_function", "tokenizer_class")
_MOST_FOLDERS = 1000
_MOST_JSON = 64 * 2**20


def is_path(name: str) -> bool:
    """Whether a name can only be that of a folder, and not that of a model on the hub."""
    return name.startswith((".", "~", os.sep)) or name.count("/") > 1 or "\\" in name


def walk_files(folder: Path, skip: tuple[str, ...]) -> Iterator[tuple[Path, list[str]]]:
    """Each folder with the names of its files; `skip` are patterns of subfolders to leave out.

    Raises
    ------
    InputError: a pipe, socket or device, a folder that is linked into itself or cannot be read, or too many.
    """
    waiting: list[tuple[Path, tuple[tuple[int, int], ...]]] = [(folder, (_identity(folder),))]
    for count in range(_MOST_FOLDERS + 1):
        if not waiting:
            return
        if count == _MOST_FOLDERS:
            break
        here, above = waiting.pop()
        names = []
        for path in _list(here):
            mode = _mode(path)
            if stat.S_ISDIR(mode):
                if any(fnmatch(path.name, pattern) for pattern in skip):
                    continue
                if _identity(path) in above:
                    raise _refuse(path, "is a link to a folder above it")
                waiting.append((path, (*above, _identity(path))))
            elif stat.S_ISREG(mode):
                names.append(path.name)
            elif mode:
                raise _refuse(path, "is a pipe, a socket or a device")
        yield here, names
    raise _refuse(folder, f"holds more than {_MOST_FOLDERS} folders")


def read_json(file: Path) -> Any:
    """The content of a JSON configuration; {} where there is none.

    Raises
    ------
    InputError: no regular file, larger than 64 MiB, not UTF-8, not JSON, or nested too deeply.
    """
    mode = _mode(file)
    if not mode:
        return {}
    if not stat.S_ISREG(mode):
        raise _refuse(file, "is no regular file")
    size = file.stat().st_size
    if size > _MOST_JSON:
        raise _refuse(file, f"has {size:,} bytes, more than any configuration")
    try:
        return json.loads(file.read_bytes().decode("utf-8"))
    except RecursionError:
        raise _refuse(file, "is not JSON: it is nested too deeply") from None
    except (ValueError, OSError) as error:
        raise _refuse(file, f"is not JSON: {error}") from None


def check_module_type(kind: object, file: Path) -> None:
    """Raises InputError for a module that is none of `MODULES` or ours, whose code would be run."""
    if kind == COMPRESSED_MODULE:
        return
    if not isinstance(kind, str) or not _MODULE_TYPE.fullmatch(kind):
        raise InputError(
            f"{file} names the module {str(kind)[:80]!r}, whose code is not run",
            expected=f"modules of sentence-transformers itself: {', '.join(MODULES)}",
            todo="use another encoder",
        )


def check_config(content: Any, file: Path) -> None:
    """Raises InputError for a configuration that asks for code from elsewhere."""
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            for key, item in value.items():
                if _brings_code(str(key), item):
                    raise _refuse(file, f"asks for code from elsewhere: {key} = {str(item)[:80]!r}")
                waiting.append(item)


def check_configs(folder: Path, skip: tuple[str, ...] = ()) -> None:
    """Checks every configuration in a folder and below it; `skip` are patterns of subfolders to leave out.

    Raises
    ------
    InputError: with the file that asks for code, is no JSON, or is no file at all.
    """
    for here, names in walk_files(folder, skip):
        for name in names:
            if name.endswith(".json") and "config" in name:
                check_config(read_json(here / name), here / name)


def _brings_code(key: str, value: Any) -> bool:
    if key in ("trust_remote_code", "use_kernels", "auto_mapping"):
        return bool(value)
    if key.endswith(("_implementation", "_implementation_internal")):
        # Not a name of transformers but a repository of the hub, whose kernels are imported.
        places = value.values() if isinstance(value, dict) else [value]
        return any(isinstance(place, str) and ("/" in place or ":" in place) for place in places)
    if key in _NAMES_A_CLASS:
        return isinstance(value, str) and "." in value and not _CLASSES.fullmatch(value)
    return False


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _list(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise _refuse(folder, f"cannot be read: {error.strerror}") from None


def _mode(path: Path) -> int:
    """The kind of file that `path` leads to; 0 for a link that leads nowhere."""
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def _refuse(place: Path, fault: str) -> InputError:
    return InputError(
        f"{place} {fault}",
        expected="a folder saved by sentence-transformers",
        todo="fetch or save the encoder again",
    )
