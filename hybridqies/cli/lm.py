"""`hybridqies lm`: language models that are trained from nothing."""

# The flags of train are read from the context, where --resume can tell which of them were given.
# ruff: noqa: ARG001

from __future__ import annotations

import shlex
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridqies.cli import flags
from hybridqies.cli.lm_analysis import Run, analyse, benchmark, cost, probe
from hybridqies.cli.output import (
    InterruptionError,
    complain,
    read_settings,
    say,
    say_data,
    say_json,
    show,
    steps,
)
from hybridqies.errors import InputError
from hybridqies.progress import describe_epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hybridqies.runs.language import LanguageRun
    from hybridqies.trackers import Destination, Tracker

_TRAINING = "training."
_PRECISION = "compute.precision"
_FREE_WITH_RESUME = {"out", "resume", "compile_", "log_to", "json"}
_OBJECTIVE = ("local_weight", "entanglement_weight", "vocabulary", "validation_fraction")


def train(
    context: typer.Context,
    text: Annotated[
        str, typer.Option(help="A UTF-8 file, or tiny_shakespeare, which comes with the package.")
    ] = "tiny_shakespeare",
    arm: Annotated[
        str, typer.Option(help="The kind of decoder, such as real, tap, entangled or complex.")
    ] = "entangled",
    size: Annotated[
        str, typer.Option(help="Parameters of a plain decoder of the same shape, such as 65k or 2.25M.")
    ] = "65k",
    tokens: Annotated[str, typer.Option(help="characters, or bpe for byte pairs.")] = "characters",
    window: Annotated[int, typer.Option(help="Tokens that the model sees at once.")] = 128,
    n_tokens: Annotated[int, typer.Option(help="How many tokens to train on.")] = 1_000_000,
    epochs: Annotated[
        int | None, typer.Option(help="Parts of the training; each ends with a validation and a checkpoint.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Windows in a step.")] = None,
    lr: Annotated[
        float | None, typer.Option(help="Learning rate; by default 0.005, and less from 65k parameters on.")
    ] = None,
    precision: flags.TrainingPrecision = None,
    compile_: Annotated[
        bool | None,
        typer.Option("--compile/--no-compile", help="Compile the training step first, by torch.compile."),
    ] = None,
    seed: flags.Seed = 0,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Options of the decoder (width=64, rank=2), of the training (training.weight_decay=0.1), or "
            "local_weight, entanglement_weight, vocabulary, validation_fraction; may be repeated.",
        ),
    ] = None,
    device: flags.Device = "cpu",
    out: Annotated[Path, typer.Option(help="The folder of the run.")] = Path("runs/lm"),
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")] = False,
    log_to: flags.LogTo = None,
    json: flags.AsJson = False,
) -> None:
    """Train a language model on a text, measure it, and save the run in one folder.

    Example: `hybridqies lm train --text book.txt --arm entangled --size 65k --out runs/entangled`

    On a card: `hybridqies lm train --text book.txt --device cuda --precision bf16 --compile`

    To train in several processes, start it with `torchrun --nproc-per-node 2 -m hybridqies lm train …`.
    """
    from hybridqies.runs import make_trackers
    from hybridqies.runs.language import recorded_language_run
    from hybridqies.training import Ranks, choose_gpu, join_processes

    trackers = make_trackers(log_to or [], out)
    if resume:
        flags.check_resumed_alone(context, _FREE_WITH_RESUME)
        run = recorded_language_run(out)
        run = run if compile_ is None else replace(run, compiled=compile_)
    else:
        run = _config(dict(context.params))
    choose_gpu(run.model.device)
    with join_processes(run.model.device):
        is_first = Ranks.current().is_first
        result = _train(run, out, trackers, resume=resume, overwrite=overwrite, quiet=json or not is_first)
    if is_first:
        _report(run, out, result, json)


def _train(
    run: LanguageRun,
    out: Path,
    trackers: Mapping[Destination, Tracker],
    *,
    resume: bool,
    overwrite: bool,
    quiet: bool,
) -> dict[str, Any]:
    from hybridqies.ownership import FolderLock
    from hybridqies.runs import Hooks, Tracking
    from hybridqies.runs.folder import replaced_by
    from hybridqies.runs.language import curves_of, train_language_model
    from hybridqies.training import Ranks

    started, is_first = resume, Ranks.current().is_first
    try:
        with (
            steps(quiet) as shown,
            Tracking(trackers if is_first else {}, out, complain) as tracking,
            FolderLock(out) if is_first else nullcontext(),
        ):
            shown.begin(f"training {run.model.arm}", 1)
            if run.compiled:
                shown.tell("compiling the training step, which may take minutes")
            on_epoch, on_step = _watch(shown, run.model.training.batch_size * run.model.context)
            hooks = tracking.watch(Hooks(on_epoch=on_epoch), curves_of(run))
            return train_language_model(
                run, out, resume=resume, overwrite=overwrite, hooks=hooks, on_step=on_step
            )
    except KeyboardInterrupt:
        started = started or (out / "config.json").is_file()
        again = f"hybridqies lm train --resume --out {shlex.quote(str(out))}{flags.logging(trackers)}"
        waiting = replaced_by(out)
        kept = "" if waiting is None else f"; the run that it replaces is kept in {waiting} until then"
        raise InterruptionError(
            f"interrupted; continue with: {again}{kept}" if started else "interrupted"
        ) from None


def _report(run: LanguageRun, out: Path, result: dict[str, Any], json: bool) -> None:
    from hybridqies.report.language import entanglement_table, language_table

    if json:
        say_json(result)
        return
    show(language_table(f"{run.model.arm}, test part", result, "test_"))
    levels = entanglement_table(result)
    if levels is not None:
        show(levels)
    say(f"Saved in {out}/: model, config, metrics, result.")


def generate(
    run: Run,
    prompt: Annotated[str, typer.Option(help="What to continue.")] = "\n",
    n_tokens: Annotated[int, typer.Option(help="How many tokens to write.")] = 200,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token each time.")] = 1.0,
    seed: Annotated[int, flags.seed_of("the tokens that are drawn")] = 0,
    device: flags.Device = "cpu",
    json: flags.AsJson = False,
) -> None:
    """Continue a text with a trained language model.

    Example: `hybridqies lm generate runs/entangled --prompt "ROMEO:" --n-tokens 100`
    """
    from hybridqies.language_model import LanguageModel

    written = LanguageModel.from_pretrained(run, device).generate(
        prompt, n_tokens, temperature=temperature, seed=seed
    )
    if json:
        say_json({"prompt": prompt, "text": written})
    else:
        say_data(f"{prompt}{written}\n")


def evaluate(
    run: Run,
    text: Annotated[
        str | None, typer.Option(help="A UTF-8 file. Default: the test part of the text of the run.")
    ] = None,
    device: flags.Device = "cpu",
    json: flags.AsJson = False,
) -> None:
    """Measure a trained language model: loss, perplexity, bits per byte, and the entanglement of its gates.

    Example: `hybridqies lm evaluate runs/entangled --text other.txt`
    """
    from hybridqies.report.language import entanglement_table, language_table
    from hybridqies.runs.language import evaluate_language_model

    record = evaluate_language_model(run, text, device)
    if json:
        say_json(record)
        return
    show(language_table(f"{record['arm']} on {record['text']}", record))
    levels = entanglement_table(record)
    if levels is not None:
        show(levels)


def group() -> typer.Typer:
    """The commands of `lm`."""
    app = typer.Typer(
        help="Language models with entanglement layers.", no_args_is_help=True, rich_markup_mode="markdown"
    )
    for command in (train, generate, evaluate, analyse, probe, benchmark, cost):
        app.command(command.__name__)(command)
    return app


def _watch(
    shown: Any, tokens_of_step: int
) -> tuple[Callable[[dict[str, Any]], None], Callable[[int, int], None]]:
    """What shows epochs and steps, with tokens/s since the first step."""
    start, first, note = 0.0, 0, ""

    def on_epoch(record: dict[str, Any]) -> None:
        nonlocal note
        note = describe_epoch(record)

    def on_step(done: int, total: int) -> None:
        nonlocal start, first
        now = time.perf_counter()
        if not start:
            start, first = now, done
            return
        speed = (done - first) * tokens_of_step / max(now - start, 1e-9)
        shown.update(done, total, "  ".join(filter(None, (note, f"{speed:,.0f} tokens/s"))))

    return on_epoch, on_step


def _config(given: dict[str, Any]) -> LanguageRun:
    from hybridqies.language_model import TRAINING, LanguageModelConfig
    from hybridqies.lm.sizes import rate_of
    from hybridqies.options import from_mapping, to_mapping
    from hybridqies.runs.language import LanguageRun
    from hybridqies.training import TrainingConfig

    settings = read_settings(given["set_"] or [])
    training: dict[str, Any] = {"seed": given["seed"]}
    flagged = {"epochs": "epochs", "batch_size": "batch_size", "learning_rate": "lr", _PRECISION: "precision"}
    training |= {key: given[flag] for key, flag in flagged.items() if given[flag] is not None}
    for key in [key for key in settings if key.startswith(_TRAINING)]:
        name = key.removeprefix(_TRAINING)
        if name in training:
            flag = flagged.get(name, name).replace("_", "-")
            raise InputError(f"--set {key} was given", expected=f"--{flag}")
        training[name] = settings.pop(key)
    training.setdefault("learning_rate", rate_of(given["size"]))
    # What is set goes over the defaults of language models, nested options included.
    own = {name: value for name, value in to_mapping(TRAINING).items() if name not in training}
    objective = {name: settings.pop(name) for name in _OBJECTIVE if name in settings}
    options = {
        "arm": given["arm"],
        "size": given["size"],
        "tokens": given["tokens"],
        "context": given["window"],
        "n_tokens": given["n_tokens"],
        "settings": settings,
        "device": given["device"],
        **objective,
    }
    model = from_mapping(LanguageModelConfig, options, what="language model option")
    trained = from_mapping(TrainingConfig, own | training, what="training option")
    return LanguageRun(given["text"], replace(model, training=trained), compiled=bool(given["compile_"]))
