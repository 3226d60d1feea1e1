"""The folder of a run: begun, replaced and taken back, without losing a result or a job that was paid for."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hybridqies.backends.jobs.journal import FILE_NAME as JOURNAL
from hybridqies.errors import InputError, ModelFolderError
from hybridqies.files import is_leftover, remove_leftovers, sha256_of, write_bytes
from hybridqies.options import from_mapping, to_mapping
from hybridqies.records import lacking, read_record, write_record
from hybridqies.runs.assembly import PreparedRun
from hybridqies.runs.config import RunConfig
from hybridqies.saved_model import CONFIG, WEIGHTS, read_config, write_config
from hybridqies.training.history import METRICS, digest_epochs, read_history

RESULT, COMPARISON, ARMS = "result.json", "comparison.json", "compare"
TRACKERS = "trackers.json"
"""Under which names trackers know the arms of a run, and the last epoch that each was given."""
MISTAKES = "mistakes.json"
DIAGNOSTICS = "diagnostics.json"
"""What `hybridqies diagnose` measured of a finished run; a training deletes that of the weights before."""
TUNING = "tuning"
"""The folder of the training of an encoder that is tuned before the heads."""

_NEEDED: Mapping[str, Any] = {
    "head": str,
    "circuit": str | None,
    "n_qubits": int | None,
    "n_parameters": int,
    "seconds": float,
    "best_epoch": int,
    "n_test": int,
    "classes": list,
    "data_fingerprint": str,
}
_NEEDED_WITH_CLASSES: Mapping[str, Any] = {
    "validation_accuracy": float,
    "accuracy": float,
    "macro_f1": float,
    "confusion": list | dict,
}
"""What tables and pictures read of a result."""


def start_run(prepared: PreparedRun, folder: Path, *, overwrite: bool = False) -> None:
    """Writes the configuration, with absolute paths and the fingerprints of the data, into a new folder.

    A run that is overwritten is put aside, and deleted once the new one has a result. The new one gets its
    job journals, so that nothing is paid twice. A folder that holds job journals alone is new.

    Raises
    ------
    InputError: the folder exists and is not empty, and was not to be overwritten or is no run.
    """
    folder = folder.resolve()
    check_room(folder, overwrite=overwrite)
    if not _is_new(folder):
        put_aside(folder)
    _adopt_journals(folder)
    try:
        write_config(folder, None, to_mapping(prepared.config.anchored()), prepared.data.fingerprints)
    except OSError:
        take_back(folder)
        raise


def check_room(folder: Path, *, overwrite: bool = False) -> None:
    """Refuses a folder that a run can't begin in, before anything is computed.

    Raises
    ------
    InputError: as `start_run`.
    """
    folder = folder.resolve()
    place = next(each for each in (folder, *folder.parents) if each.exists())
    if not place.is_dir():
        raise InputError(f"{str(place)!r} is a file", expected="a new folder", todo="choose another --out")
    if _is_new(folder):
        return
    if not overwrite:
        raise InputError(
            f"{str(folder)!r} is not empty",
            expected="a new folder",
            todo="choose another --out, or --overwrite",
        )
    try:
        recorded_config(folder)
    except ModelFolderError as error:
        raise InputError(
            f"{str(folder)!r} is no run and will not be overwritten ({error})", todo="choose another --out"
        ) from None


def recorded_config(folder: Path) -> RunConfig:
    """The configuration that a started run recorded.

    Raises
    ------
    ModelFolderError: the folder holds no run.
    """
    run = read_config(folder, finished=False)["run"]
    if run is None:
        raise ModelFolderError(
            f"{str(folder)!r} holds a model but no run to resume", expected="a folder of `train`"
        )
    return from_mapping(RunConfig, run, what="run option")


def check_same_data(prepared: PreparedRun, folder: Path) -> None:
    """Refuses to go on with a run on other data, or with another encoder, than it was begun with.

    Raises
    ------
    ModelFolderError: naming which of them has changed.
    """
    recorded = read_config(folder, finished=False)["fingerprints"] or {}
    for name, now in prepared.data.fingerprints.items():
        if name in recorded and recorded[name] != now:
            raise ModelFolderError(
                f"the {name} is not what {str(folder)!r} was trained with",
                todo="restore it, or start again with --overwrite",
            )


def write_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Writes `result.json`."""
    write_record(folder / RESULT, result)


def read_result(folder: Path) -> dict[str, Any]:
    """The checked `result.json` of a finished run.

    Raises
    ------
    ModelFolderError: it is missing, truncated, altered or lacks a number.
    """
    result = read_record(folder / RESULT, needed=_NEEDED, what="result")
    problem = lacking(result, _NEEDED_WITH_CLASSES) if result["classes"] else ""
    if problem:
        raise ModelFolderError(
            f"result {str(folder / RESULT)!r} is damaged: {problem}", todo="restore it or train again"
        )
    return result


def check_files(folder: Path, result: Mapping[str, Any]) -> None:
    """Refuses weights, epochs or mistakes that are not those that a result was written with.

    Results of earlier versions do not name them.

    Raises
    ------
    ModelFolderError: naming the file.
    """
    for name, key in ((WEIGHTS, "weights_sha256"), (MISTAKES, "mistakes_sha256")):
        path = folder / name
        if key in result and not (path.is_file() and sha256_of(path) == result[key]):
            raise _foreign(path)
    if "epochs_sha256" in result and digest_epochs(read_history(folder)) != result["epochs_sha256"]:
        raise _foreign(folder / METRICS)


def _foreign(path: Path) -> ModelFolderError:
    return ModelFolderError(
        f"{str(path)!r} is not the file that {RESULT} was written with",
        todo="restore it, or go on with --resume and more --epochs if that was interrupted",
    )


def end_run(folder: Path) -> None:
    """Deletes the run that was put aside for this one."""
    aside = _aside(folder)
    if not (aside / CONFIG).is_file():
        return
    # The configuration last: after a kill on the way the rest still is a run, and is deleted next time.
    for path in aside.iterdir():
        if path.name != CONFIG:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    shutil.rmtree(aside)


def take_back(folder: Path) -> None:
    """Undoes `start_run`; files that it did not write stay, and a run that was put aside comes back."""
    for name in (CONFIG, TRACKERS):
        (folder / name).unlink(missing_ok=True)
    if folder.is_dir():
        remove_leftovers(folder)
        _return_journals(folder)
        if not any(folder.iterdir()):
            folder.rmdir()
    if _aside(folder).is_dir() and not folder.exists():
        _aside(folder).rename(folder)


def replaced_by(folder: Path) -> Path | None:
    """Where the run waits whose place `folder` takes; None where there is none."""
    aside = _aside(folder.resolve())
    return aside if (aside / CONFIG).is_file() else None


def size_of_journal(folder: Path) -> int:
    """The bytes that the run's job journal has grown to."""
    path = folder / JOURNAL
    return path.stat().st_size if path.is_file() else 0


def _is_new(folder: Path) -> bool:
    """Whether the folder holds nothing but job journals and what killed processes left behind."""
    return all(path.name == JOURNAL or is_leftover(path) for path in folder.rglob("*") if not path.is_dir())


def put_aside(folder: Path) -> None:
    """Moves a run out of the way; one without a result does not push out another that waits there."""
    if (_aside(folder) / CONFIG).is_file() and not (folder / RESULT).is_file():
        _clear(folder)
        return
    end_run(folder)
    folder.rename(_aside(folder))


def _clear(folder: Path) -> None:
    """Deletes everything but job journals, which may know of jobs that were paid for.

    The configuration last: after a kill on the way the folder still holds a run, which may be overwritten.
    """
    files = [path for path in folder.rglob("*") if path.name != JOURNAL and not path.is_dir()]
    for path in sorted(files, key=lambda path: path == folder / CONFIG):
        path.unlink()
    _remove_empty_folders(folder)


def _remove_empty_folders(folder: Path) -> None:
    inside = [path for path in folder.rglob("*") if path.is_dir()]
    for path in sorted(inside, reverse=True):
        if not any(path.iterdir()):
            path.rmdir()


def _adopt_journals(folder: Path) -> None:
    """Copies the job journals of the run that was put aside, where there are none yet."""
    aside = _aside(folder)
    for journal in aside.rglob(JOURNAL) if (aside / CONFIG).is_file() else ():
        target = folder / journal.relative_to(aside)
        if not target.exists():
            write_bytes(target, journal.read_bytes())


def _return_journals(folder: Path) -> None:
    """Moves job journals to the run that was put aside; they have all that its own had."""
    aside = _aside(folder)
    for journal in list(folder.rglob(JOURNAL)) if (aside / CONFIG).is_file() else ():
        target = aside / journal.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        journal.replace(target)
    _remove_empty_folders(folder)


def _aside(folder: Path) -> Path:
    """Where a run waits while another takes its place."""
    return folder.with_name(f".{folder.name}-replaced")
