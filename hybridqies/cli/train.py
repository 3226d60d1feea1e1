"""`hybridqies train`: from labelled texts to a trained, compared and saved classifier."""

# The flags are read from the context, where --resume can tell which of them were given.
# ruff: noqa: ARG001

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridqies.cli.output import InterruptionError, progress, read_settings, say, say_json, show
from hybridqies.errors import InputError

if TYPE_CHECKING:
    from hybridqies.study import RunConfig

_TRAINING = "training."
_FREE_WITH_RESUME = {"out", "resume", "json"}


def command(
    context: typer.Context,
    data: Annotated[
        str,
        typer.Option(
            help="A CSV, TSV, JSONL or Parquet file, a folder of train/validation/test files, or a name."
        ),
    ] = "sms_spam",
    text_column: Annotated[str, typer.Option(help="The column that holds the texts.")] = "text",
    label_column: Annotated[str, typer.Option(help="The column that holds the labels.")] = "label",
    per_class: Annotated[
        int | None,
        typer.Option(help="Few-shot: pool all splits, draw this many of each class, test on the rest."),
    ] = None,
    validation_fraction: Annotated[
        float, typer.Option(help="Part of the drawn texts that chooses the epoch.")
    ] = 0.15,
    test_fraction: Annotated[
        float, typer.Option(help="Part to test on where the data has no test split.")
    ] = 0.2,
    encoder: Annotated[
        str, typer.Option(help="A sentence-transformers model, by name or folder.")
    ] = "all-MiniLM-L6-v2",
    head: Annotated[
        str, typer.Option(help="two-module, dressed, logistic, mlp, matched-mlp or svc.")
    ] = "two-module",
    circuit: Annotated[str | None, typer.Option(help="A circuit recipe, by name or .toml file.")] = None,
    qubits: Annotated[int | None, typer.Option(help="Qubits of the circuit.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="An option of the head, its circuit, its encoder (encoder.layers=4) "
            "or training (training.weight_decay=0).",
        ),
    ] = None,
    backend: Annotated[
        str, typer.Option(help="Where the circuit runs; see `hybridqies backends`.")
    ] = "statevector",
    compare: Annotated[
        str, typer.Option(help="Heads to train beside it under the same protocol, with commas; or none.")
    ] = "logistic,svc,mlp,matched-mlp",
    seed: Annotated[
        int, typer.Option(help="Decides the draw of the data, the start and the order of batches.")
    ] = 0,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training texts.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Texts a step.")] = None,
    lr: Annotated[float | None, typer.Option(help="AdamW's learning rate.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    out: Annotated[Path, typer.Option(help="The run's folder.")] = Path("runs/run"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the interrupted run in --out.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the record as JSON, no bars.")] = False,
) -> None:
    """Train a head on labelled texts, compare it with classical heads, and save everything in one folder.

    Example: `hybridqies train --data reviews.csv --qubits 9 --set encoder.layers=4 --out runs/reviews`
    """
    from hybridqies.study import execute, recorded_config, start_run

    if resume:
        _only_with_resume(context)
        config = recorded_config(out)
    else:
        config = _config(dict(context.params))
    started = resume
    with progress(json) as hooks:
        try:
            if not resume:
                _check_early(config)
                start_run(config, out, overwrite=overwrite)
                started = True
            comparison = execute(config, out, resume=resume, hooks=hooks)
        except KeyboardInterrupt:
            if not started:
                raise
            again = f"hybridqies train --resume --out {shlex.quote(str(out))}"
            raise InterruptionError(f"interrupted; go on with: {again}") from None
    _report(out, comparison, json)


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


def _only_with_resume(context: typer.Context) -> None:
    for name in context.params:
        source = context.get_parameter_source(name)
        if name not in _FREE_WITH_RESUME and source is not None and source.name == "COMMANDLINE":
            raise InputError(
                f"--resume was given together with --{name.rstrip('_').replace('_', '-')}",
                expected="--resume and --out alone: the run has recorded its settings",
            )


def _config(given: dict[str, Any]) -> RunConfig:
    from hybridqies.options import from_mapping
    from hybridqies.study import DataOptions, RunConfig
    from hybridqies.training import TrainingConfig

    settings = read_settings(given["set_"] or [])
    training = {
        key.removeprefix(_TRAINING): value for key, value in settings.items() if key.startswith(_TRAINING)
    }
    training |= {"seed": given["seed"]}
    for key, flag in (("epochs", "epochs"), ("batch_size", "batch_size"), ("learning_rate", "lr")):
        if given[flag] is not None:
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


def _check_early(config: RunConfig) -> None:
    """Refuses what can be refused before a folder is made."""
    from hybridqies.study import check, load_splits

    check(config)
    load_splits(config.data, config.training.seed)
