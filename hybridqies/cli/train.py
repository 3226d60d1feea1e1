"""`hybridqies train`: from labelled texts to a trained, compared and saved classifier."""

# The flags are read from the context, where --resume can tell which of them were given.
# ruff: noqa: ARG001

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hybridqies.backends.registry import DEFAULT_BACKEND
from hybridqies.cli import flags
from hybridqies.cli.output import InterruptionError, complain, progress, read_settings, say, say_json, show
from hybridqies.cli.planning import show_plan
from hybridqies.devices import check_device
from hybridqies.errors import InputError, UnknownNameError
from hybridqies.tasks import DEFAULT_TASK

if TYPE_CHECKING:
    from hybridqies.backends import Backend
    from hybridqies.backends.jobs import Limits
    from hybridqies.runs import PreparedRun, RunConfig
    from hybridqies.trackers import Destination, Tracker
    from hybridqies.tuning import Tuning

_TRAINING = "training."
_PAYING = {"backend", "dry_run", "rates", "max_shots", "max_jobs"}
_FREE_WITH_RESUME = {"out", "resume", "epochs", "no_cache", "log_to", "json", *_PAYING}


def command(
    context: typer.Context,
    task: flags.Task = DEFAULT_TASK,
    data: flags.Data = flags.DEFAULT_DATA,
    text_column: flags.TextColumn = "text",
    pair_column: flags.PairColumn = flags.DEFAULT_PAIR_COLUMN,
    label_column: flags.LabelColumn = "label",
    drop_empty: flags.DropEmpty = False,
    per_class: flags.PerClass = None,
    validation_fraction: flags.ValidationFraction = 0.15,
    test_fraction: flags.TestFraction = 0.2,
    encoder: flags.EncoderName = flags.DEFAULT_ENCODER,
    tune: flags.Tune = None,
    layers: flags.TunedLayers = None,
    contrast: flags.Contrast = None,
    head: flags.HeadName = flags.DEFAULT_HEAD,
    circuit: flags.CircuitName = None,
    qubits: flags.Qubits = None,
    set_: flags.Settings = None,
    backend: flags.Backend = DEFAULT_BACKEND,
    compare: flags.Compare = flags.DEFAULT_COMPARE,
    seed: flags.Seed = 0,
    epochs: flags.Epochs = None,
    batch_size: flags.BatchSize = None,
    lr: flags.LearningRate = None,
    dry_run: flags.DryRun = False,
    rates: flags.RatesFile = None,
    max_shots: flags.MaxShots = None,
    max_jobs: flags.MaxJobs = None,
    device: flags.Device = "cpu",
    no_cache: flags.NoCache = False,
    out: flags.RunFolder = Path("runs/run"),
    resume: flags.Resume = False,
    overwrite: flags.Overwrite = False,
    log_to: flags.LogTo = None,
    json: flags.AsJson = False,
) -> None:
    """Train a head on labelled texts, compare it with classical heads, and save the run in one folder.

    Example: `hybridqies train --data reviews.csv --qubits 9 --set encoder.layers=4 --out runs/reviews`

    Without texts: `hybridqies train --task sparse-parity --data sparse-parity:n_tasks=3 --out runs/parity`

    To train in several processes, start it with `torchrun --nproc-per-node 2 -m hybridqies train …`.
    """
    from hybridqies.backends.jobs import Limits
    from hybridqies.runs import check_limits, check_room, make_trackers, plan_training, prepare
    from hybridqies.training import choose_gpu, join_processes

    limits, trackers = Limits(max_shots, max_jobs), make_trackers(log_to or [], out)
    config = _resumed(context, out, epochs) if resume else _config(dict(context.params), flags.typed(context))
    if not (resume or dry_run):
        check_room(out, overwrite=overwrite)
    placed = _recorded_backend(context, config, rates) if resume else None
    choose_gpu(check_device(config.device))
    prepared = prepare(config, backend=placed, cached=not no_cache)
    _check(prepared, limits)
    plan = partial(plan_training, prepared)
    if show_plan(plan, dry_run=dry_run, rates=rates, limits=limits, as_json=json):
        return
    if not resume and limits != Limits():
        check_limits(plan(None), limits)
    with join_processes(config.device):
        _run(prepared, out, limits, trackers, resume=resume, overwrite=overwrite, json=json)


def _run(
    prepared: PreparedRun,
    out: Path,
    limits: Limits,
    trackers: Mapping[Destination, Tracker],
    *,
    resume: bool,
    overwrite: bool,
    json: bool,
) -> None:
    """Trains, and reports in the first of several processes."""
    from hybridqies.runs import is_finished
    from hybridqies.training import Ranks

    finished = resume and is_finished(prepared, out)
    is_first = Ranks.current().is_first
    quiet = json or not is_first
    comparison = _train(prepared, out, limits, trackers, resume=resume, overwrite=overwrite, quiet=quiet)
    if not is_first:
        return
    _report(out, comparison, json)
    if finished:
        complain("nothing was trained: this run had finished; give more --epochs to train it for longer")


def _train(
    prepared: PreparedRun,
    out: Path,
    limits: Limits,
    trackers: Mapping[Destination, Tracker],
    *,
    resume: bool,
    overwrite: bool,
    quiet: bool,
) -> dict[str, Any]:
    from hybridqies.backends.jobs import JobError
    from hybridqies.ownership import FolderLock
    from hybridqies.runs import Tracking, embed_run, execute, start_run
    from hybridqies.training import Ranks

    is_first = Ranks.current().is_first
    started, again = resume, _resuming(prepared, out, limits, trackers)
    with progress(quiet) as shown, Tracking(trackers if is_first else {}, out, complain) as tracking:
        hooks = tracking.watch(shown)
        try:
            with FolderLock(out) if is_first else nullcontext():
                if not resume:
                    # A run that is replaced stays in its place while texts are embedded.
                    embed_run(prepared, hooks)
                    if is_first:
                        start_run(prepared, out, overwrite=overwrite)
                    started = True
                return execute(prepared, out, resume=resume, hooks=hooks, limits=limits)
        except KeyboardInterrupt:
            if not started:
                kept = "run the same command again to continue: embeddings are kept"
                raise InterruptionError(f"interrupted; {kept}") from None
            raise InterruptionError(f"interrupted; continue with: {again}{_replaced(out)}") from None
        except JobError as error:
            if not _can_resume(prepared.config, out):
                raise
            raise JobError(f"{error}; then continue with: {again}") from error


def _replaced(out: Path) -> str:
    """Where the run is that this one replaces, in words; empty where there is none."""
    from hybridqies.runs.folder import replaced_by

    waiting = replaced_by(out)
    return "" if waiting is None else f"; the run that it replaces is kept in {waiting} until then"


def _can_resume(config: RunConfig, out: Path) -> bool:
    """Whether this run is in the folder: it may have been taken back, and another come back in its place."""
    from hybridqies.runs import recorded_config
    from hybridqies.runs.folder import COMPARISON
    from hybridqies.saved_model import CONFIG

    is_started = (out / CONFIG).is_file() and recorded_config(out) == config.anchored()
    return is_started and not (out / COMPARISON).is_file()


def _resuming(
    prepared: PreparedRun, out: Path, limits: Limits, trackers: Mapping[Destination, Tracker]
) -> str:
    """The command that goes on with the run, under the same caps, and with the word that paying needs."""
    from hybridqies.runs.paying import may_cost

    word = f" --backend {shlex.quote(prepared.config.backend)}" if may_cost(prepared.backend) else ""
    caps = {"--max-shots": limits.max_shots, "--max-jobs": limits.max_jobs}
    given = "".join(f" {flag} {cap}" for flag, cap in caps.items() if cap is not None)
    return f"hybridqies train --resume --out {shlex.quote(str(out))}{word}{given}{flags.logging(trackers)}"


def _report(out: Path, comparison: dict[str, Any], json: bool) -> None:
    from hybridqies.report import comparison_table, write_pictures
    from hybridqies.runs.cost import energy_in_words

    write_pictures(out)
    if json:
        say_json(comparison["results"][0])
        return
    show(comparison_table(comparison))
    say(f"Energy of training {comparison['results'][0]['head']}: {energy_in_words(out)}.")
    if comparison["overlap"]:
        say(f"{comparison['overlap']} test text(s) are also among the training texts.")
    for result in comparison["results"]:
        for verdict in result["verdicts"]:
            show(f"{result['head']} {verdict}")
    say(f"Saved in {out}/: model, config, metrics, result, cost, comparison, pictures.")


def _resumed(context: typer.Context, out: Path, epochs: int | None) -> RunConfig:
    """The recorded configuration, with another number of epochs where one was given."""
    from hybridqies.runs import recorded_config

    for name in sorted(flags.typed(context) - _FREE_WITH_RESUME):
        raise InputError(
            f"--resume was given together with --{name.rstrip('_').replace('_', '-')}",
            expected="only --resume, --out and more --epochs: the settings are recorded in the run",
        )
    config = recorded_config(out)
    return config if epochs is None else replace(config, training=replace(config.training, epochs=epochs))


def _recorded_backend(context: typer.Context, config: RunConfig, rates: Path | None) -> Backend:
    """The backend of the recorded run; one that may cost money is taken if --backend names it as well."""
    from hybridqies.backends import Rates
    from hybridqies.runs import load_run_backend

    named = context.params["backend"] if "backend" in flags.typed(context) else None
    return load_run_backend(config.backend, named, None if rates is None else Rates.read(rates))


def _config(given: dict[str, Any], typed: set[str]) -> RunConfig:
    from hybridqies.options import from_mapping
    from hybridqies.runs import DataOptions, RunConfig
    from hybridqies.training import TrainingConfig
    from hybridqies.tuning.spec import split_settings

    tuned, settings = split_settings(read_settings(given["set_"] or []))
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
    columns = ("text_column", "pair_column", "label_column", "drop_empty", "per_class")
    fractions = ("validation_fraction", "test_fraction")
    source = flags.data_of(given["task"], given, typed)
    return RunConfig(
        task=given["task"],
        data=DataOptions(source=source, **{name: given[name] for name in (*columns, *fractions)}),
        encoder=given["encoder"],
        tuning=_tuning(given, tuned),
        head=given["head"],
        circuit=given["circuit"],
        n_qubits=given["qubits"],
        settings={key: value for key, value in settings.items() if not key.startswith(_TRAINING)},
        compare=_heads(given["compare"], given["head"], chosen="compare" in typed),
        backend=given["backend"],
        training=from_mapping(TrainingConfig, training, what="training option"),
        device=given["device"],
    )


def _tuning(given: dict[str, Any], settings: dict[str, Any]) -> Tuning:
    """The tuning that --tune, --layers, --contrast and --set tune.KEY mean together."""
    from hybridqies.tuning.spec import read_tuning

    for key, flag in (("layers", "layers"), ("by", "contrast")):
        if given[flag] is not None:
            if key in settings:
                raise InputError(f"--{flag} and --set tune.{key} were both given", expected="one")
            settings = {**settings, key: given[flag]}
    if given["contrast"] not in (None, "supcon", "pairs"):
        raise UnknownNameError("contrast", given["contrast"], ("supcon", "pairs"))
    return read_tuning(given["tune"], settings)


def _heads(given: str, own: str, *, chosen: bool) -> tuple[str, ...]:
    """The heads to compare with; by default none that would have to match a size not known yet."""
    from hybridqies.heads import head_class

    if given.strip().lower() in ("none", ""):
        return ()
    names = [name.strip() for name in given.split(",")]
    kept = [name for name in dict.fromkeys(names) if name != own]
    if not chosen and head_class(own).grows:
        kept = [name for name in kept if not head_class(name).matches]
    return tuple(kept)


def _check(prepared: PreparedRun, limits: Limits) -> None:
    """Refuses flags that mean nothing to any head of the run."""
    from hybridqies.runs import check_runs_circuit
    from hybridqies.runs.paying import bound_payment

    heads = [arm.name for arm in prepared.arms]
    bound_payment(prepared.backend, heads, limits)
    if prepared.config.backend != DEFAULT_BACKEND:
        check_runs_circuit(heads, f"--backend {prepared.config.backend!r} was given")
