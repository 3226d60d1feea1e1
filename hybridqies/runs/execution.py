"""A run: data in, a trained and measured model out, everything recorded in one folder."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hybridqies import __version__
from hybridqies.backends.jobs import Limits
from hybridqies.errors import InputError, ModelFolderError
from hybridqies.files import remove_leftovers, sha256_of
from hybridqies.heads import head_class
from hybridqies.options import to_mapping
from hybridqies.records import write_record
from hybridqies.runs.assembly import Arm, PreparedRun
from hybridqies.runs.config import RunConfig
from hybridqies.runs.cost import CostMeter
from hybridqies.runs.folder import (
    ARMS,
    COMPARISON,
    DIAGNOSTICS,
    MISTAKES,
    RESULT,
    TUNING,
    check_files,
    check_same_data,
    end_run,
    read_result,
    recorded_config,
    size_of_journal,
    take_back,
    write_result,
)
from hybridqies.runs.hooks import Hooks
from hybridqies.runs.measure import ask_model, diagnose_run, measure_answers, measure_part
from hybridqies.runs.mistakes import list_mistakes, write_mistakes
from hybridqies.runs.paying import bound_payment, keep_jobs_in
from hybridqies.saved_model import WEIGHTS, check_weights, read_config
from hybridqies.tasks import TaskData, load_task, tuning_of
from hybridqies.tasks.base import TrainedModel
from hybridqies.text import Examples
from hybridqies.training import Labelled, Outcome, Ranks, Rows, TrainingConfig, fit, watch_kernels
from hybridqies.training.history import METRICS, digest_epochs
from hybridqies.training.numerics import device_of
from hybridqies.versions import collect_versions


def execute(
    prepared: PreparedRun,
    folder: Path,
    *,
    resume: bool = False,
    hooks: Hooks | None = None,
    limits: Limits | None = None,
) -> dict[str, Any]:
    """Trains and measures every arm of a prepared run, once; returns what `comparison.json` holds.

    The own arm's record goes to `folder`, each other one's to a folder of its own
    below it. `limits` cap what the run, with all its arms, may pay for at a remote service;
    the jobs of all are journalled in `folder`. With `resume`, finished arms are kept and an
    unfinished one goes on from its last epoch. In a process group of torch the first process writes.

    Raises
    ------
    InputError: something in the configuration or data cannot be used. A run without
        one finished epoch or journalled job is then taken back.
    ModelFolderError: with `resume`, data or encoder have changed, or a finished arm was altered.
    """
    folder = folder.resolve()
    journalled = size_of_journal(folder)
    try:
        comparison = _execute(prepared, folder, resume, hooks or Hooks(), limits)
    except Exception:
        begun = resume or (folder / METRICS).is_file() or size_of_journal(folder) != journalled
        if not begun and Ranks.current().is_first:
            take_back(folder)
        raise
    if Ranks.current().is_first:
        end_run(folder)
    return comparison


def embed_run(prepared: PreparedRun, hooks: Hooks) -> None:
    """Embeds the texts, unless that is done or no arm needs it; what is cached is lost by no interruption."""
    frozen = next((arm for arm in prepared.arms if not arm.spec.tuning), None)
    if frozen is not None and not prepared.has_rows(frozen):
        hooks.on_stage(prepared.data.stage, sum(prepared.sizes.values()))
        prepared.rows(frozen, hooks.on_text)


def is_finished(prepared: PreparedRun, folder: Path) -> bool:
    """Whether every arm in the folder of a run is trained already, so that resuming it trains nothing.

    Raises
    ------
    ModelFolderError: as `execute` with `resume`.
    """
    folder = folder.resolve()
    return all(_finished(prepared, arm, _home(prepared, arm, folder)) for arm in prepared.arms)


def _home(prepared: PreparedRun, arm: Arm, folder: Path) -> Path:
    return folder if arm is prepared.arm else folder / ARMS / arm.name


def _execute(
    prepared: PreparedRun, folder: Path, resume: bool, hooks: Hooks, limits: Limits | None
) -> dict[str, Any]:
    # What nobody could save, or not train in several processes, is refused before anything is trained.
    _find_saver(prepared.config.task)
    for arm in prepared.arms:
        Ranks.current().check(arm.model)
    bound_payment(prepared.backend, [arm.name for arm in prepared.arms], limits)
    keep_jobs_in(prepared.backend, folder)
    if resume:
        check_same_data(prepared, folder)
    embed_run(prepared, hooks)
    with watch_kernels([arm.model for arm in prepared.arms], hooks.on_compile):
        results = [_train_arm(prepared, arm, folder, resume, hooks) for arm in prepared.arms]
    comparison = {
        "data": prepared.data.describe(prepared.drawn),
        "metrics": [to_mapping(each) for each in load_task(prepared.config.task).metrics],
        "overlap": prepared.overlap,
        "versions": collect_versions(),
        "results": results,
    }
    if Ranks.current().is_first:
        write_record(folder / COMPARISON, comparison)
    return comparison


def _train_arm(prepared: PreparedRun, arm: Arm, run: Path, resume: bool, hooks: Hooks) -> dict[str, Any]:
    """Trains an arm of the run in the folder `run`, and measures and saves it in its own below that."""
    folder, is_first = _home(prepared, arm, run), Ranks.current().is_first
    if resume:
        if is_first:
            remove_leftovers(folder)
        finished = _finished(prepared, arm, folder)
        if finished is not None:
            hooks.on_finished(arm.name, folder, _config(prepared, arm), finished)
            return finished
    data = _tune(prepared, arm, run, resume, hooks)
    config, rows = prepared.config.training, prepared.rows(arm)
    solved = head_class(arm.name).is_solved
    hooks.on_begin(arm.name, folder, _config(prepared, arm))
    hooks.on_stage(f"training {arm.name}", 1 if solved else prepared.epochs)
    meter = CostMeter(device_of(arm.model))

    def on_epoch(record: dict[str, Any]) -> None:
        meter.sample()
        hooks.on_epoch(record)

    outcome = fit(
        arm.model,
        rows.train,
        rows.validation,
        data.objective(config, rows.train),
        config,
        folder=folder,
        resume=resume,
        on_epoch=on_epoch,
        on_step=meter.step,
    )
    read = data.tuned_by(arm.model)
    result, mistakes = _result(prepared, arm, read, outcome)
    if is_first:
        epochs = replace(config, epochs=prepared.epochs)
        trained = TrainedModel(arm.model, arm.spec, prepared.backend, epochs, prepared.drawn)
        # It is of the weights that are written over.
        (folder / DIAGNOSTICS).unlink(missing_ok=True)
        save = _find_saver(prepared.config.task)
        save(read, trained, folder, to_mapping(prepared.config.anchored()))
        result |= {"weights_sha256": sha256_of(folder / WEIGHTS)}
        if mistakes is not None:
            write_mistakes(folder, mistakes)
            result |= {"mistakes_sha256": sha256_of(folder / MISTAKES)}
        shots = getattr(prepared.backend.options, "shots", None)
        meter.write(folder, arm.head, result, shots)
        write_result(folder, result)
    hooks.on_end(result)
    return result


def _config(prepared: PreparedRun, arm: Arm) -> dict[str, Any]:
    """The run's configuration as JSON values, with what this arm has in place of the run's own head."""
    run, spec = to_mapping(prepared.config.anchored()), arm.spec
    del run["compare"]
    return {
        **run,
        "head": arm.name,
        "n_qubits": spec.n_qubits,
        "settings": {**spec.settings, **(spec.options or {})},
        "frozen": list(spec.frozen),
        "training": {**run["training"], "epochs": prepared.epochs},
    }


def _tune(prepared: PreparedRun, arm: Arm, run: Path, resume: bool, hooks: Hooks) -> TaskData:
    """The data as an arm is trained on it; tunes the encoder and embeds the texts where that is due."""
    tuning = arm.spec.tuning
    first = tuning_of(arm.spec).is_first and not prepared.has_rows(arm)
    if first:
        hooks.on_begin("tuning", run / TUNING, _config(prepared, arm))
        hooks.on_stage(f"tuning the encoder by {tuning.method}", tuning.epochs)
    data = prepared.tune(arm, folder=run / TUNING, resume=resume, on_epoch=hooks.on_epoch)
    if first:
        hooks.on_end({})
        hooks.on_stage("embedding", sum(prepared.sizes.values()))
        prepared.rows(arm, hooks.on_text)
    return data


def _find_saver(task: str) -> Callable[..., None]:
    """The function that saves models of a task.

    Raises
    ------
    InputError: it has none.
    """
    module, _, name = load_task(task).saver.partition(":")
    if not module:
        raise InputError(f"a run was given task {task!r}", expected="a task whose models can be saved")
    found: Callable[..., None] = getattr(importlib.import_module(module), name)
    return found


def _finished(prepared: PreparedRun, arm: Arm, folder: Path) -> dict[str, Any] | None:
    """The record of an arm that an earlier start finished; None where it is to be trained, or for longer.

    Raises
    ------
    ModelFolderError: the record is damaged, or not of this arm, these weights, this data and this encoder.
    """
    if not (folder / RESULT).is_file():
        return None
    result = read_result(folder)
    for name, now in prepared.data.fingerprints.items():
        if result.get(f"{name}_fingerprint") != now:
            raise ModelFolderError(
                f"the {name} is not what {str(folder)!r} was trained with",
                todo="restore it, or start again with --overwrite",
            )
    if result.get("planned_epochs") not in (None, prepared.epochs):
        return None
    model = read_config(folder)["model"]
    check_weights(folder, model)
    check_files(folder, result)
    same_run = _without_epochs(recorded_config(folder)) == _without_epochs(prepared.config.anchored())
    if not same_run or model["head"] != arm.name:
        raise ModelFolderError(
            f"{str(folder)!r} holds a model or a result that is not this run's {arm.name!r}",
            todo="restore it, or start again with --overwrite",
        )
    return result


def _without_epochs(config: RunConfig) -> dict[str, Any]:
    """A configuration as JSON values but for its epochs, which may change when a run is resumed."""
    return to_mapping(replace(config, training=replace(config.training, epochs=None)))


def _result(
    prepared: PreparedRun, arm: Arm, data: TaskData, outcome: Outcome
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """What is recorded of a trained arm, whose head reads `data`, and with classes its mistakes."""
    circuits, description = arm.head.circuits(), arm.head.describe()
    config, drawn = prepared.config, prepared.drawn
    joint = data is not prepared.tune(arm)
    rows = drawn.map(lambda part: data.rows(part, arm.spec)) if joint else prepared.rows(arm)
    tested, mistakes = _test(data, arm, rows.test, drawn.test, config.training)
    measured = {
        **measure_part(data, arm.head, rows.validation, config.training, "validation_"),
        **tested,
    }
    solved = head_class(arm.name).is_solved
    result = {
        "head": arm.name,
        "n_parameters": arm.head.n_trained() + data.n_tuned,
        "parameters": description.formula,
        "note": description.note,
        "circuit": circuits["circuit"].name if "circuit" in circuits else None,
        "n_qubits": circuits["circuit"].n_qubits if "circuit" in circuits else None,
        "backend": prepared.backend.spec if circuits else None,
        "gradient": prepared.backend.gradient if circuits else None,
        **data.facts,
        "data": data.name,
        **{f"{name}_fingerprint": value for name, value in prepared.data.fingerprints.items()},
        "seed": config.training.seed,
        "best_epoch": outcome.best_epoch,
        "epochs": len(outcome.history),
        "epochs_sha256": digest_epochs(outcome.history),
        "planned_epochs": None if solved else prepared.epochs,
        "seconds": round(outcome.seconds, 3),
        "n_train": len(rows.train),
        **measured,
        "classes": list(data.classes),
        "verdicts": diagnose_run(outcome, measured, data.classes, config.training.patience),
        "hybridqies": __version__,
    }
    return result, mistakes


def _test(
    data: TaskData, arm: Arm, rows: Rows, examples: Examples, config: TrainingConfig
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """What is measured on the test part, and with classes the mistakes."""
    if not data.classes:
        return measure_part(data, arm.head, rows, config), None
    assert isinstance(rows, Labelled)
    answers = ask_model(arm.head, rows, config.batch_size)
    measured = measure_answers(answers, data.classes) | data.details(examples, answers.probabilities)
    return measured, list_mistakes(answers, examples.texts, data.classes)
