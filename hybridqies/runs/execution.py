"""A run: data in, a trained and measured head out, everything recorded in one folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridqies import __version__
from hybridqies.backends import Backend, load_backend
from hybridqies.backends.jobs import Limits
from hybridqies.backends.jobs.journal import FILE_NAME as JOURNAL
from hybridqies.classifier import (
    CONFIG,
    WEIGHTS,
    HybridClassifier,
    is_quantum,
    journal_in,
    read_config,
    write_config,
)
from hybridqies.errors import InputError, ModelFolderError
from hybridqies.files import remove_leftovers, write_bytes, write_json
from hybridqies.heads import head_class, head_options, matching
from hybridqies.options import from_mapping, to_mapping
from hybridqies.runs.config import DataOptions, RunConfig
from hybridqies.runs.draws import drawn
from hybridqies.runs.measure import measured
from hybridqies.text import Dataset, EmbeddingCache, Encoder, load_dataset, overlap
from hybridqies.training import Labelled
from hybridqies.training.checkpoint import CHECKPOINT
from hybridqies.training.history import METRICS

RESULT, COMPARISON, ARMS = "result.json", "comparison.json", "compare"
_SPLITS = ("train", "validation", "test")
# What tables and pictures read of a result.
_NEEDED = (
    "head", "circuit", "n_qubits", "n_parameters", "validation_accuracy", "accuracy", "macro_f1", "seconds",
    "best_epoch", "n_test", "classes", "confusion", "data_fingerprint", "encoder_fingerprint",
)  # fmt: skip


def _ignore(*_: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Hooks:
    """Called while a run goes on, so that a caller can show progress; each may stay as it is."""

    on_stage: Callable[[str, int], None] = _ignore
    on_text: Callable[[int, int], None] = _ignore
    on_epoch: Callable[[dict[str, Any]], None] = _ignore


@dataclass(frozen=True, slots=True)
class Splits:
    """The embedded data of a run."""

    data: Dataset
    parts: dict[str, Labelled]


def load_splits(options: DataOptions, seed: int) -> Dataset:
    """The data set with training, validation and test texts.

    Raises
    ------
    DataError: it cannot be read, or leaves a split without texts.
    """
    data = load_dataset(options.source, options.text_column, options.label_column)
    return drawn(data, options, seed)


def check(config: RunConfig, limits: Limits | None = None) -> None:
    """Refuses arms that cannot be built, before any data is read or folder made.

    Raises
    ------
    UnknownNameError: an encoder, circuit, head, backend or option that does not exist.
    InputError: options that contradict each other, or caps where nothing is paid.
    """
    for name in (config.head, *config.compare):
        head_class(name)
    if config.head in config.compare:
        raise InputError(
            f"head {config.head!r} was to be compared with itself", todo="leave it out of --compare"
        )
    encoder, cache = Encoder.load(config.encoder, config.device), EmbeddingCache()
    backend = _shared_backend(config, encoder, cache, limits)
    for name in (config.head, *config.compare):
        extra = matching(name, 1)
        classifier_of(config, name, extra, encoder, cache, backend).check()


def start_run(config: RunConfig, folder: Path, *, overwrite: bool = False) -> None:
    """Writes the run's configuration into a new folder.

    A run that is overwritten is put aside, and deleted once the new one has a result. The new one gets its
    job journals, so that nothing is paid twice. A folder that holds job journals alone is new.

    Raises
    ------
    InputError: the folder exists and is not empty, and was not to be overwritten or is no run.
    """
    folder = folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{str(folder)!r} is a file", expected="a new folder", todo="choose another --out")
    if any(path.name != JOURNAL for path in folder.rglob("*") if not path.is_dir()):
        if not overwrite:
            raise InputError(
                f"{str(folder)!r} is not empty",
                expected="a new folder",
                todo="choose another --out, or --overwrite",
            )
        _check_is_run(folder)
        _put_aside(folder)
    _adopt_journals(folder)
    try:
        write_config(folder, None, to_mapping(config))
    except OSError:
        _take_back(folder)
        raise


def _check_is_run(folder: Path) -> None:
    try:
        recorded_config(folder)
    except ModelFolderError as error:
        raise InputError(
            f"{str(folder)!r} is no run and will not be overwritten ({error})", todo="choose another --out"
        ) from None


def _put_aside(folder: Path) -> None:
    """Moves a run out of the way; one without a result does not push out another that waits there."""
    if (_aside(folder) / CONFIG).is_file() and not (folder / RESULT).is_file():
        _clear(folder)
        return
    _forget_aside(folder)
    folder.rename(_aside(folder))


def _clear(folder: Path) -> None:
    """Deletes everything but job journals, which may know of jobs that were paid for."""
    for path in [path for path in folder.rglob("*") if path.name != JOURNAL and not path.is_dir()]:
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


def _journalled(folder: Path) -> int:
    """The bytes that the run's journal has grown to."""
    path = folder / JOURNAL
    return path.stat().st_size if path.is_file() else 0


def _forget_aside(folder: Path) -> None:
    if (_aside(folder) / CONFIG).is_file():
        shutil.rmtree(_aside(folder))


def _aside(folder: Path) -> Path:
    """Where a run waits while another takes its place."""
    return folder.with_name(f".{folder.name}-replaced")


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


def execute(
    config: RunConfig,
    folder: Path,
    *,
    resume: bool = False,
    hooks: Hooks | None = None,
    limits: Limits | None = None,
) -> dict[str, Any]:
    """Trains and measures the head and those it is compared with; returns what `comparison.json` holds.

    The head's own record goes to `folder`, each other one's to a folder of its own
    below it. `limits` cap what the run, with all its heads, may pay for at a remote service;
    the jobs of all are journalled in `folder`. With `resume`, finished arms are kept and an
    unfinished one goes on from its last epoch.

    Raises
    ------
    InputError: something in the configuration or data cannot be used. A run without
        one finished epoch or journalled job is then taken back.
    """
    folder = folder.resolve()
    journalled = _journalled(folder)
    try:
        comparison = _execute(config, folder, resume, hooks or Hooks(), limits)
    except Exception:
        if not (resume or (folder / METRICS).is_file() or _journalled(folder) != journalled):
            _take_back(folder)
        raise
    _forget_aside(folder)
    return comparison


def _take_back(folder: Path) -> None:
    """Undoes `start_run`; files that it did not write stay, and a run put aside comes back."""
    (folder / CONFIG).unlink(missing_ok=True)
    if folder.is_dir():
        remove_leftovers(folder)
        _return_journals(folder)
        if not any(folder.iterdir()):
            folder.rmdir()
    if _aside(folder).is_dir() and not folder.exists():
        _aside(folder).rename(folder)


def _execute(
    config: RunConfig, folder: Path, resume: bool, hooks: Hooks, limits: Limits | None
) -> dict[str, Any]:
    check(config, limits)
    cache, encoder = EmbeddingCache(), Encoder.load(config.encoder, config.device)
    backend = _shared_backend(config, encoder, cache, limits)
    journal_in(backend, folder)
    model = classifier_of(config, config.head, {}, encoder, cache, backend)
    splits = _embed(config, model, hooks)
    main = _arm(config, model, splits, folder, resume, hooks)
    results = [main]
    for name in config.compare:
        extra = matching(name, main["n_parameters"])
        other = classifier_of(config, name, extra, encoder, cache, backend)
        results.append(_arm(config, other, splits, folder / ARMS / name, resume, hooks))
    comparison = {"data": splits.data.describe(), "overlap": overlap(splits.data), "results": results}
    write_json(folder / COMPARISON, comparison)
    return comparison


def _shared_backend(
    config: RunConfig, encoder: Encoder, cache: EmbeddingCache, limits: Limits | None
) -> Backend:
    """The one backend of all arms: its caps hold for the run as a whole."""
    backend = load_backend(config.backend)
    paying = next(filter(is_quantum, (config.head, *config.compare)), config.head)
    classifier_of(config, paying, {}, encoder, cache, backend).cap(limits)
    return backend


def classifier_of(
    config: RunConfig,
    name: str,
    extra: dict[str, Any],
    encoder: Encoder,
    cache: EmbeddingCache,
    backend: Backend,
) -> HybridClassifier:
    """The arm `name` of a run, not fitted yet; `extra` are options of a head that is compared with."""
    own = name == config.head
    given = (config.settings, config.circuit, config.n_qubits) if own else (extra,)
    return HybridClassifier(
        encoder,
        name,
        head_options(name, *given),
        backend=backend,
        training=config.training,
        device=config.device,
        cache=cache,
    )


def _embed(config: RunConfig, model: HybridClassifier, hooks: Hooks) -> Splits:
    data = load_splits(config.data, config.training.seed)
    named = data.splits()
    texts = [text for part in named.values() for text in part.texts]
    hooks.on_stage("embedding", len(texts))
    rows = model.embed(texts, hooks.on_text)
    pieces = rows.split([len(part) for part in named.values()])
    return Splits(
        data,
        {
            name: model.labelled(piece, part.labels, data.classes)
            for (name, part), piece in zip(named.items(), pieces, strict=True)
        },
    )


def _arm(
    config: RunConfig, model: HybridClassifier, splits: Splits, folder: Path, resume: bool, hooks: Hooks
) -> dict[str, Any]:
    if resume:
        remove_leftovers(folder)
    if resume and (folder / RESULT).is_file():
        # A kill between the two steps that end this function leaves the checkpoint behind.
        (folder / CHECKPOINT).unlink(missing_ok=True)
        return _finished(model, splits, folder)
    in_one_step = head_class(model.head).is_solved
    n_epochs = 1 if in_one_step else config.training.n_epochs(len(splits.parts["train"]))
    hooks.on_stage(f"training {model.head}", n_epochs)
    model.fit_embedded(
        splits.parts["train"],
        splits.parts["validation"],
        splits.data.classes,
        folder=folder,
        resume=resume,
        on_epoch=hooks.on_epoch,
    )
    model.save_pretrained(folder, to_mapping(config))
    result = _result(config, model, splits)
    write_json(folder / RESULT, result)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return result


def _finished(model: HybridClassifier, splits: Splits, folder: Path) -> dict[str, Any]:
    """The record of an arm that an earlier start finished: whole, and of the same data and encoder."""
    result = read_result(folder)
    if not (folder / WEIGHTS).is_file():
        raise ModelFolderError(f"{str(folder)!r} has a result and no {WEIGHTS}", todo="train anew")
    now = {"data_fingerprint": splits.data.fingerprint, "encoder_fingerprint": model.encoder.fingerprint}
    for name, value in now.items():
        if result[name] != value:
            raise ModelFolderError(
                f"the {name.partition('_')[0]} is not what {str(folder)!r} was trained with",
                todo="put it back as it was, or begin anew with --overwrite",
            )
    return result


def read_result(folder: Path) -> dict[str, Any]:
    """The checked `result.json` of a finished run.

    Raises
    ------
    ModelFolderError: it is missing, truncated or lacks a number.
    """
    path = folder / RESULT
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        missing = [name for name in _NEEDED if name not in result]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ModelFolderError(f"{str(path)!r} is missing or damaged ({error})", todo="train anew") from None
    if missing or not isinstance(result, dict):
        raise ModelFolderError(f"{str(path)!r} is damaged: it has no {missing[0]!r}", todo="train anew")
    return result


def _result(config: RunConfig, model: HybridClassifier, splits: Splits) -> dict[str, Any]:
    assert model.head_ is not None
    assert model.outcome_ is not None
    circuits = model.head_.circuits()
    description = model.head_.describe()
    return {
        "head": model.head,
        "n_parameters": model.head_.n_trained(),
        "parameters": description.formula,
        "note": description.note,
        "circuit": circuits["circuit"].name if "circuit" in circuits else None,
        "n_qubits": circuits["circuit"].n_qubits if "circuit" in circuits else None,
        "backend": model.backend.spec if circuits else None,
        "gradient": model.backend.gradient if circuits else None,
        "encoder": model.encoder.name,
        "encoder_fingerprint": model.encoder.fingerprint,
        "data": splits.data.name,
        "data_fingerprint": splits.data.fingerprint,
        "seed": config.training.seed,
        "best_epoch": model.outcome_.best_epoch,
        "epochs": len(model.outcome_.history),
        "seconds": round(model.outcome_.seconds, 3),
        "n_train": len(splits.parts["train"].labels),
        **measured(model, splits.parts["validation"], "validation_"),
        **measured(model, splits.parts["test"]),
        "classes": list(splits.data.classes),
        "hybridqies": __version__,
    }
