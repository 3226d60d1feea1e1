"""What is published of a saved model: weights, configuration without traces of the machine, and a card."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any

from hybridqies.circuit import Circuit, draw_picture
from hybridqies.errors import InputError
from hybridqies.files import expand_home, sha256_of, write_text
from hybridqies.folder_checks import is_path
from hybridqies.hub.card import write_card
from hybridqies.hub.repository import check_repository, download, is_repository, upload
from hybridqies.records import write_record
from hybridqies.saved_model.files import (
    CONFIG,
    TRAINED_ON,
    WEIGHTS,
    check_weights,
    read_config,
    refuse_other_task,
    write_config,
)
from hybridqies.tuning.methods import FILES as TUNED

CARD = "README.md"
MODEL_FILES = (CONFIG, WEIGHTS, TRAINED_ON, *TUNED)
"""Every file that a model is loaded from."""
# Members that can name a file or a folder; labels can look like paths, too, and stay as they are.
_OF_MODEL = ("encoder", "given", "options")
_OF_RESULT = ("encoder", "data", "circuit")


def publish(
    folder: Path,
    repository: str,
    results: Sequence[Mapping[str, Any]] = (),
    *,
    license_name: str | None = None,
    text_hashes: bool = False,
    private: bool | None = None,
    revision: str | None = None,
    token: str | None = None,
) -> str:
    """Uploads the saved model in `folder` with a card, and returns the commit's address.

    `results` are those of its run, as in `comparison.json`: the model's own first, then its rivals'.

    Raises
    ------
    ModelFolderError: the folder holds no finished model, or an altered one.
    InputError: as `hybridqies.hub.upload`.
    """
    check_repository(repository)
    with tempfile.TemporaryDirectory() as place:
        stage(folder, Path(place), repository, results, license_name=license_name, text_hashes=text_hashes)
        return upload(Path(place), repository, private=private, revision=revision, token=token)


def stage(
    folder: Path,
    target: Path,
    repository: str,
    results: Sequence[Mapping[str, Any]] = (),
    *,
    license_name: str | None = None,
    text_hashes: bool = False,
) -> None:
    """Writes what would be uploaded into the folder `target`: model, card and pictures of the circuits.

    Paths of this machine become plain names, and the configuration of the run stays behind. So do, without
    `text_hashes`, the hashes of the training texts, by which anybody could test whether a text is among them.

    Raises
    ------
    ModelFolderError: the folder holds no finished model, an altered one, or one that reads no texts.
    """
    model = read_config(folder)["model"]
    refuse_other_task(folder, model)
    check_weights(folder, model)
    published = _anonymous(model, _OF_MODEL)
    pictures = {role: f"{role}.png" for role in model["circuits"]}
    rows = [_anonymous(each, _OF_RESULT) for each in results]
    card = write_card(published, repository, rows, pictures, license_name)
    # What the configuration does not name was checked by nobody, and is none of its files.
    tuned = [name for name in TUNED if name in model.get("tuned_files", {})]
    for name in (WEIGHTS, TRAINED_ON, *tuned):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, target / name)
    if not text_hashes:
        write_record(target / TRAINED_ON, {"texts": []})
        published["trained_on_sha256"] = sha256_of(target / TRAINED_ON)
    for role, stored in model["circuits"].items():
        draw_picture(Circuit.from_mapping(stored), target / pictures[role])
    write_text(target / CARD, card)
    # The last one: a folder without it is no model yet.
    write_config(target, published, None)


def fetch_model(
    name: str | Path, *, revision: str | None = None, token: str | None = None, local_files_only: bool = False
) -> Path:
    """The folder of a saved model: `name` itself where it exists, else a repository's in the hub's cache.

    Raises
    ------
    InputError: as `hybridqies.hub.download`; or a revision of a folder.
    """
    path = expand_home(name)
    if path.exists() or is_path(str(name)) or not is_repository(str(name)):
        if revision is not None:
            raise InputError(
                f"revision {revision!r} was given for the folder {str(name)!r}",
                expected="a repository, as in me/spam-filter",
                todo="leave the revision out",
            )
        return path
    try:
        return download(
            str(name), MODEL_FILES, revision=revision, token=token, local_files_only=local_files_only
        )
    except InputError as error:
        raise InputError(f"there is no folder {str(name)!r} here, and {error}") from None


def _anonymous(record: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The record, where those members hold no path of this machine any more."""
    return {name: _without_paths(value) if name in names else value for name, value in record.items()}


def _without_paths(value: Any) -> Any:
    """JSON values with the last part alone of every path that begins at a root or at somebody's home."""
    if isinstance(value, Mapping):
        return {name: _without_paths(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_paths(each) for each in value]
    if not isinstance(value, str):
        return value
    kind, _, rest = value.partition(" ")
    if kind == "folder" and _is_rooted(rest):
        return f"folder {_last(rest)}"
    return _last(value) if _is_rooted(value) else value


def _is_rooted(text: str) -> bool:
    return PurePath(text).is_absolute() or PureWindowsPath(text).is_absolute() or text.startswith("~/")


def _last(path: str) -> str:
    return PureWindowsPath(path).name or PurePath(path).name
