"""`hybridqies train`: from labelled texts to a trained, compared and saved classifier."""

# The flags are read from the context, where --resume can tell which of them were given.
# ruff: noqa: ARG001

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hybridqies.backends.registry import DEFAULT_BACKEND
from hybridqies.cli import flags
from hybridqies.cli.output import InterruptionError, progress, read_settings, say, say_json, show
from hybridqies.cli.planning import show_plan
from hybridqies.errors import InputError

if TYPE_CHECKING:
    from hybridqies.backends.jobs import Limits
    from hybridqies.runs import RunConfig

_TRAINING = "training."
_FREE_WITH_RESUME = {"out", "resume", "json", "max_shots", "max_jobs"}


def command(
    context: typer.Context,
    data: flags.Data = flags.DEFAULT_DATA,
    text_column: flags.TextColumn = "text",
    label_column: flags.LabelColumn = "label",
    per_class: flags.PerClass = None,
    validation_fraction: flags.ValidationFraction = 0.15,
    test_fraction: flags.TestFraction = 0.2,
    encoder: flags.EncoderName = flags.DEFAULT_ENCODER,
    head: flags.HeadName = "two-module",
    circuit: flags.CircuitName = None,
    qubits: flags.Qubits = None,
    set_: flags.Settings = None,
    backend: flags.Backend = DEFAULT_BACKEND,
    compare: flags.Compare = "logistic,svc,mlp,matched-mlp",
    seed: flags.Seed = 0,
    epochs: flags.Epochs = None,
    batch_size: flags.BatchSize = None,
    lr: flags.LearningRate = None,
    dry_run: flags.DryRun = False,
    rates: flags.RatesFile = None,
    max_shots: flags.MaxShots = None,
    max_jobs: flags.MaxJobs = None,
    device: flags.Device = "cpu",
    out: flags.RunFolder = Path("runs/run"),
    resume: flags.Resume = False,
    overwrite: flags.Overwrite = False,
    json: flags.AsJson = False,
) -> None:
    """Train a head on labelled texts, compare it with classical heads, and save everything in one folder.

    Example: `hybridqies train --data reviews.csv --qubits 9 --set encoder.layers=4 --out runs/reviews`
    """
    from hybridqies.backends.jobs import Limits
    from hybridqies.runs import check_limits, plan_training, recorded_config

    limits = Limits(max_shots, max_jobs)
    if resume:
        _only_with_resume(context)
    config = recorded_config(out) if resume else _config(dict(context.params), _typed(context))
    if not resume:
        _check_early(config, limits)
    if show_plan(
        lambda figures: plan_training(config, figures),
        dry_run=dry_run,
        rates=rates,
        limits=limits,
        as_json=json,
    ):
        return
    if not resume and limits != Limits():
        check_limits(plan_training(config), limits)
    _report(out, _train(config, out, limits, resume=resume, overwrite=overwrite, quiet=json), json)


def _train(
    config: RunConfig, out: Path, limits: Limits, *, resume: bool, overwrite: bool, quiet: bool
) -> dict[str, Any]:
    from hybridqies.backends.jobs import JobError
    from hybridqies.runs import execute, start_run

    started, again = resume, _resuming(out, limits)
    with progress(quiet) as hooks:
        try:
            if not resume:
                start_run(config, out, overwrite=overwrite)
                started = True
            return execute(config, out, resume=resume, hooks=hooks, limits=limits)
        except KeyboardInterrupt:
            if not started:
                raise
            raise InterruptionError(f"interrupted; go on with: {again}") from None
        except JobError as error:
            if not _can_resume(config, out):
                raise
            raise JobError(f"{error}; then go on with: {again}") from error


def _can_resume(config: RunConfig, out: Path) -> bool:
    """Whether this run is in the folder: it may have been taken back, and another come back in its place."""
    from hybridqies.classifier import CONFIG
    from hybridqies.runs import recorded_config
    from hybridqies.runs.execution import COMPARISON

    is_started = (out / CONFIG).is_file() and recorded_config(out) == config
    return is_started and not (out / COMPARISON).is_file()


def _resuming(out: Path, limits: Limits) -> str:
    """The command that goes on with the run, under the same caps."""
    caps = {"--max-shots": limits.max_shots, "--max-jobs": limits.max_jobs}
    given = "".join(f" {flag} {cap}" for flag, cap in caps.items() if cap is not None)
    return f"hybridqies train --resume --out {shlex.quote(str(out))}{given}"


def _report(out: Path, comparison: dict[str, Any], json: bool) -> None:
    from hybridqies.report import comparison_table, write_pictures

    write_pictures(out)
    if json:
        say_json(comparison["results"][0])
        return
    show(comparison_table(comparison))
    if comparison["overlap"]:
        say(f"{comparison['overlap']} test text(s) also stand in the training texts.")
    say(f"Saved in {out}/: model, config, metrics, result, comparison, pictures.")


def _typed(context: typer.Context) -> set[str]:
    """The flags that were given, rather than left at their defaults."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}


def _only_with_resume(context: typer.Context) -> None:
    for name in sorted(_typed(context) - _FREE_WITH_RESUME):
        raise InputError(
            f"--resume was given together with --{name.rstrip('_').replace('_', '-')}",
            expected="--resume and --out alone: the run has recorded its settings",
        )


def _config(given: dict[str, Any], typed: set[str]) -> RunConfig:
    from hybridqies.options import from_mapping
    from hybridqies.runs import DataOptions, RunConfig
    from hybridqies.training import TrainingConfig

    settings = read_settings(given["set_"] or [])
    training = {
        key.removeprefix(_TRAINING): value for key, value in settings.items() if key.startswith(_TRAINING)
    }
    flagged = {"seed": "seed", "epochs": "epochs", "batch_size": "batch_size", "learning_rate": "lr"}
    for key, flag in flagged.items():
        if key in training and flag in typed:
            raise InputError(
                f"--{flag.replace('_', '-')} and --set training.{key} were both given", expected="one"
            )
        if key not in training and given[flag] is not None:
            training[key] = given[flag]
    columns = ("text_column", "label_column", "per_class", "validation_fraction", "test_fraction")
    return RunConfig(
        data=DataOptions(source=given["data"], **{name: given[name] for name in columns}),
        encoder=given["encoder"],
        head=given["head"],
        circuit=given["circuit"],
        n_qubits=given["qubits"],
        settings={key: value for key, value in settings.items() if not key.startswith(_TRAINING)},
        compare=_heads(given["compare"], given["head"]),
        backend=given["backend"],
        training=from_mapping(TrainingConfig, training, what="training option"),
        device=given["device"],
    )


def _heads(given: str, own: str) -> tuple[str, ...]:
    if given.strip().lower() in ("none", ""):
        return ()
    names = [name.strip() for name in given.split(",")]
    return tuple(name for name in dict.fromkeys(names) if name != own)


def _check_early(config: RunConfig, limits: Limits) -> None:
    """Refuses what can be refused before a folder is made."""
    from hybridqies.classifier import check_runs_circuit
    from hybridqies.runs import check, load_splits

    check(config, limits)
    if config.backend != DEFAULT_BACKEND:
        check_runs_circuit((config.head, *config.compare), f"--backend {config.backend!r} was given")
    load_splits(config.data, config.training.seed)
