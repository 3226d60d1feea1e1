"""A run of a language model: a text in, a trained and measured model out, everything in one folder."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from hybridqies import __version__
from hybridqies.errors import DataError, InputError, ModelFolderError
from hybridqies.files import expand_home, is_leftover, remove_leftovers
from hybridqies.language_model import (
    LanguageModel,
    LanguageModelConfig,
    count_tokens,
    read_model_config,
    tokens_of_epoch,
    write_model_config,
)
from hybridqies.lm import Mixing, count_flops, count_parameters, measure_entanglement
from hybridqies.lm.texts import BUILT_IN, read_text
from hybridqies.options import from_mapping, to_mapping, within
from hybridqies.records import read_record, write_record
from hybridqies.runs.folder import RESULT, end_run, put_aside, take_back
from hybridqies.runs.hooks import Hooks
from hybridqies.training.distributed import Ranks
from hybridqies.training.history import METRICS

_ROWS = 8
"""Windows that entanglement is measured on."""
_LARGEST = 700.0
"""Its exponential is still finite."""


@dataclass(frozen=True, slots=True)
class LanguageRun:
    """A model, and the text that it is trained on, validated by and measured on at the end.

    The last `test_fraction` of the text is for the test, and the last `validation_fraction` of the rest,
    an option of the model, for validation. `text_sha256` is the digest that the text has to have; the
    record of a run always names it. `compiled` says how it is trained, and is no part of the model.
    """

    text: str = BUILT_IN
    model: LanguageModelConfig = field(default_factory=LanguageModelConfig)
    test_fraction: float = 0.1
    text_sha256: str | None = None
    compiled: bool = False

    def __post_init__(self) -> None:
        within(self, "run option", test_fraction=(0.001, 0.9))

    def anchored(self) -> LanguageRun:
        """The same with an absolute path, so that it means the same from any folder."""
        path = expand_home(self.text)
        return replace(self, text=str(path.absolute())) if path.exists() else self

    def read(self) -> tuple[LanguageRun, str]:
        """The same with the digest of its text, and the text.

        Raises
        ------
        DataError: it cannot be read.
        ModelFolderError: it is another one than the run began with.
        """
        content = read_text(self.text)
        found = hashlib.sha256(content.encode("utf-8")).hexdigest()
        if self.text_sha256 not in (None, found):
            # Its last part may hold what was trained on.
            raise ModelFolderError(
                f"text {self.text!r} is not what the run began with",
                expected=f"a text with SHA-256 {str(self.text_sha256)[:12]}, not {found[:12]}",
                todo="restore it, or name the text to measure on",
            )
        return replace(self, text_sha256=found), content


def recorded_language_run(folder: Path) -> LanguageRun:
    """The configuration of a run that was started in `folder`.

    Raises
    ------
    ModelFolderError: the folder holds none.
    """
    record = read_model_config(folder, finished=False)
    if record["run"] is None:
        raise InputError(
            f"{str(folder)!r} holds a model but no run to resume", expected="a folder of lm train"
        )
    return from_mapping(LanguageRun, record["run"], what="run option")


def train_language_model(
    run: LanguageRun,
    folder: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    hooks: Hooks | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Trains, measures and saves a model in `folder`; returns what `result.json` holds.

    A run that has finished is returned as it is with `resume`. One that is overwritten is put aside, and
    deleted once the new one has a result. In a process group of torch the first process writes and measures.

    Raises
    ------
    InputError: an option or text that cannot be used, or a folder with something else in it.
    ModelFolderError: with `resume`, the folder holds no run, or one of another text.
    """
    run, hooks = run.anchored(), hooks or Hooks()
    folder, ranks = folder.resolve(), Ranks.current()
    if resume and (folder / RESULT).is_file():
        result = _close(folder)
        hooks.on_finished(run.model.arm, folder, to_mapping(run), result)
        return result
    model = LanguageModel(run.model)
    run, content = run.read()
    train, validation, test = _split(run, content)
    model.prepare(train, validation + test)
    if ranks.is_first:
        if not resume:
            _start(run, folder, overwrite=overwrite)
        remove_leftovers(folder)
    before = _entanglement(model, test)
    hooks.on_begin(run.model.arm, folder, to_mapping(run))
    try:
        model.fit(
            train,
            validation,
            folder=folder,
            resume=resume,
            compiled=run.compiled,
            on_epoch=hooks.on_epoch,
            on_step=on_step,
        )
    except InputError:
        if ranks.is_first and not (resume or (folder / METRICS).is_file()):
            # Nothing was trained that could be resumed.
            take_back(folder)
        raise
    if ranks.is_first:
        result = _measure(run, model, folder, test, before)
        write_record(folder / RESULT, result)
        hooks.on_end(result)
    ranks.wait()
    return _close(folder)


def curves_of(run: LanguageRun) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """From the record of an epoch to what trackers show of it.

    That is the record, the perplexity of the validation part, and tokens/s since the training began.
    """
    n_tokens = tokens_of_epoch(run.model)

    def measure(record: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **record,
            "validation_perplexity": math.exp(min(record["validation_loss"], _LARGEST)),
            "tokens_per_second": record["epoch"] * n_tokens / max(record["seconds"], 1e-9),
        }

    return measure


def _measure(
    run: LanguageRun, model: LanguageModel, folder: Path, test: str, before: list[dict[str, Any]]
) -> dict[str, Any]:
    """Saves the model and measures it on the test part."""
    assert model.outcome is not None
    outcome = model.outcome
    epochs = len(outcome.history)
    model.save_pretrained(folder, to_mapping(run))
    decoder = model.decoder
    return {
        "arm": run.model.arm,
        "n_parameters": count_parameters(decoder.config),
        "flops_per_token": count_flops(decoder.config),
        "vocabulary": decoder.config.vocabulary,
        "seed": run.model.training.seed,
        "best_epoch": outcome.best_epoch,
        "epochs": epochs,
        "seconds": round(outcome.seconds, 3),
        "tokens_per_second": round(count_tokens(run.model) / max(outcome.seconds, 1e-9), 1),
        "n_tokens": count_tokens(run.model),
        "validation_loss": outcome.history[outcome.best_epoch - 1]["validation_loss"],
        **{f"test_{name}": value for name, value in asdict(model.score(test)).items()},
        "entanglement_before": before,
        "entanglement": _entanglement(model, test),
        "hybridqies": __version__,
    }


def _close(folder: Path) -> dict[str, Any]:
    """The result of a run that has finished; the run whose place it took is deleted."""
    result = read_language_result(folder)
    if Ranks.current().is_first:
        end_run(folder)
    return result


def read_language_result(folder: Path) -> dict[str, Any]:
    """The checked `result.json` of a finished run.

    Raises
    ------
    ModelFolderError: it is missing, damaged or altered.
    """
    return read_record(folder / RESULT, needed={"arm": str, "test_loss": float}, what="result")


def evaluate_language_model(folder: Path, text: str | None = None, device: str = "cpu") -> dict[str, Any]:
    """Measures a saved model on a text; by default on the test part of the text of its run.

    Raises
    ------
    ModelFolderError: the folder holds no finished model.
    InputError: no text was given for a model that was not trained by a run.
    """
    model = LanguageModel.from_pretrained(folder, device)
    source, content = find_text(folder, text)
    return {
        "arm": model.config.arm,
        "text": source,
        **asdict(model.score(content)),
        "entanglement": _entanglement(model, content),
    }


def find_text(folder: Path, text: str | None) -> tuple[str, str]:
    """Name and content of a text; by default the test part of that of the run in `folder`.

    Raises
    ------
    InputError: no text was given for a model that was not trained by a run.
    ModelFolderError: the text of the run has changed since.
    """
    if text is not None:
        return text, read_text(text)
    run, content = recorded_language_run(folder).read()
    return f"{run.text} (test part)", _split(run, content)[2]


def _split(run: LanguageRun, text: str) -> tuple[str, str, str]:
    """Training, validation and test parts, in this order."""
    rest = len(text) - round(len(text) * run.test_fraction)
    known = rest - round(rest * run.model.validation_fraction)
    parts = text[:known], text[known:rest], text[rest:]
    if not all(parts):
        raise DataError(
            f"text {run.text!r} has {len(text)} characters, too few to be split",
            expected="a longer text",
        )
    return parts


def _entanglement(model: LanguageModel, text: str) -> list[dict[str, Any]]:
    """Of every block and stride, on the first windows of a text; nothing for an arm without gates."""
    if model.decoder.config.mixing in (Mixing.NONE, Mixing.TAP):
        return []
    context = model.config.context
    ids = model.tokens.encode(text)[: _ROWS * context]
    n_rows = max(1, len(ids) // context)
    width = min(context, len(ids))
    windows = torch.tensor(ids[: n_rows * width], device=model.config.device).reshape(n_rows, width)
    return [row.to_mapping() for row in measure_entanglement(model.decoder, windows)]


def _start(run: LanguageRun, folder: Path, *, overwrite: bool) -> None:
    """Writes the configuration into a new folder, or into that of a run that is overwritten."""
    there = [path for path in folder.iterdir() if not is_leftover(path)] if folder.is_dir() else []
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{str(folder)!r} is a file", expected="a new folder", todo="choose another --out")
    if there and not overwrite:
        raise InputError(
            f"{str(folder)!r} is not empty",
            expected="a new folder",
            todo="choose another --out, --overwrite it, or --resume the run in it",
        )
    if there:
        read_model_config(folder, finished=False)
        put_aside(folder)
    write_model_config(folder, run.model, to_mapping(run))
