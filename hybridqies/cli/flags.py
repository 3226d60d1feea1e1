"""The flags that commands share, with their help texts."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from hybridqies import defaults
from hybridqies.devices import check_device
from hybridqies.errors import InputError
from hybridqies.heads import HEADS
from hybridqies.tasks import TASKS
from hybridqies.trackers import TRACKERS, Destination
from hybridqies.tuning.methods import METHODS


def _device(name: str) -> str:
    # The default costs no import of torch.
    return name if name == "cpu" else check_device(name)


Run = Annotated[Path, typer.Argument(help="The folder of a run or of a saved model.")]
Task = Annotated[str, typer.Option(help=f"What is learned: {', '.join(TASKS)}.")]
Data = Annotated[
    str,
    typer.Option(
        help="A CSV, TSV, JSONL, JSON, Parquet or XLSX file, a folder of train/validation/test files, "
        "or the name of a data set. For a task that makes its data: TASK:KEY=VALUE,KEY=VALUE."
    ),
]
OtherData = Annotated[str | None, typer.Option(help="Data to measure on. Default: the data of the run.")]
TextColumn = Annotated[str, typer.Option(help="The column that holds the texts.")]
PairColumn = Annotated[
    str,
    typer.Option(
        help="The column that holds the second texts of pairs. none: read single texts. "
        "auto: read pairs if there is a column text_pair."
    ),
]
LabelColumn = Annotated[str, typer.Option(help="The column that holds the labels.")]
KnownTextColumn = Annotated[
    str | None,
    typer.Option("--text-column", help="The column that holds the texts. Default: as in training."),
]
KnownPairColumn = Annotated[
    str | None,
    typer.Option(
        "--pair-column",
        help="The column that holds the second texts of pairs. none: read single texts. "
        "Default: as in training.",
    ),
]
KnownLabelColumn = Annotated[
    str | None,
    typer.Option("--label-column", help="The column that holds the labels. Default: as in training."),
]
DropEmpty = Annotated[
    bool, typer.Option("--drop-empty", help="Skip rows without a text, and report how many.")
]
PerClass = Annotated[
    int | None,
    typer.Option(help="Few-shot: pool all splits, draw this many texts of each class, and test on the rest."),
]
ValidationFraction = Annotated[
    float, typer.Option(help="Fraction of the training texts used for validation.")
]
TestFraction = Annotated[float, typer.Option(help="Fraction used for testing if the data has no test split.")]
EncoderName = Annotated[str, typer.Option(help="A sentence-transformers model, by name or folder.")]
Tune = Annotated[
    str | None,
    typer.Option(help=f"How the encoder is changed: {', '.join(METHODS)}. Default: it stays as it is."),
]
TunedLayers = Annotated[
    str | None,
    typer.Option(
        "--layers",
        help="The encoder's linear layers that are tuned, separated by commas, such as query,value.",
    ),
]
Contrast = Annotated[
    str | None,
    typer.Option(
        help="Tune the encoder first, by distances between texts: supcon or pairs. The head is trained next."
    ),
]
HeadName = Annotated[str, typer.Option(help=f"One of {', '.join(HEADS)}.")]
CircuitName = Annotated[
    str | None,
    typer.Option(help="A circuit: the name of a recipe, or a .toml or .qasm file. Default: the head's own."),
]
Qubits = Annotated[int | None, typer.Option(help="Number of qubits of the circuit. Default: the head's own.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="An option of the head, its circuit, its encoding circuit (encoder.layers=4), training "
        "(training.weight_decay=0) or tuning (tune.rank=16).",
    ),
]
Backend = Annotated[str, typer.Option(help="Where the circuit runs; see `hybridqies backends`.")]
OtherBackend = Annotated[
    str | None, typer.Option(help="Run the circuit on this backend instead of the one used in training.")
]
Compare = Annotated[
    str,
    typer.Option(help="Heads to train for comparison under the same protocol, separated by commas, or none."),
]
LARGEST_SEED = 2**32 - 1


def seed_of(what: str) -> Any:
    """The option of a seed; what numpy, torch and scikit-learn do not all take is refused."""
    return typer.Option(help=f"Seed of {what}.", min=0, max=LARGEST_SEED)


Seed = Annotated[
    int, typer.Option(help="Seed of the data split, the initial weights and the order of batches.")
]
Epochs = Annotated[
    int | None,
    typer.Option(
        help="Number of passes over the training texts. Default: from 100 for few texts to 20 for many."
    ),
]
BatchSize = Annotated[int | None, typer.Option(help="Number of texts per step. Default: 32.")]
LearningRate = Annotated[float | None, typer.Option(help="AdamW's learning rate. Default: 0.003.")]
TrainingPrecision = Annotated[
    str | None,
    typer.Option(
        "--precision",
        help="What training computes in: float32, or bf16 with weights kept in float32. Default: float32.",
    ),
]
NoCache = Annotated[
    bool,
    typer.Option(
        "--no-cache", help="Neither read nor write the cache of embeddings (its folder: HYBRIDQIES_CACHE)."
    ),
]
Device = Annotated[str, typer.Option(help="cpu or cuda.", callback=_device)]
StudyDevice = Annotated[
    str, typer.Option(help="Where trials run: cpu or cuda, which gives each worker a GPU of its own.")
]
RunFolder = Annotated[Path, typer.Option(help="The run's folder.")]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Continue the run in --out. With more --epochs, a finished run too."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")]
LogTo = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TRACKER[:TARGET]",
        help=f"Also show epochs and results in {', '.join(TRACKERS)}: tensorboard:DIR, mlflow:URI, "
        "trackio:PROJECT, as in --log-to tensorboard:runs/curves. May be repeated.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Print circuits, depth, shots, jobs, time and price without sending anything."
    ),
]
RatesFile = Annotated[
    Path | None, typer.Option("--rates", help="A TOML file with the prices of services, for --dry-run.")
]
MaxShots = Annotated[int | None, typer.Option(help="Upper limit on the shots paid for.")]
MaxJobs = Annotated[int | None, typer.Option(help="Upper limit on the jobs paid for.")]
JournalFile = Annotated[
    Path | None,
    typer.Option(
        "--journal",
        help="The file that records jobs at remote services. Default: jobs.jsonl in the run's folder.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the record as JSON, without progress bars.")]

DEFAULT_DATA, DEFAULT_ENCODER = defaults.DATA, defaults.ENCODER
DEFAULT_PAIR_COLUMN = defaults.PAIR_COLUMN
_COLUMNS = ("text_column", "pair_column", "label_column", "drop_empty")
_OF_TEXTS = (*_COLUMNS, "encoder", "tune", "layers", "contrast", "no_cache")
DEFAULT_HEAD, DEFAULT_COMPARE = defaults.HEAD, ",".join(defaults.COMPARE)


def data_of(task: str, given: Mapping[str, Any], typed: Collection[str]) -> str:
    """The source of a task's data: what --data gave, else the task's own.

    Raises
    ------
    UnknownNameError: no task has that name.
    InputError: a flag about texts was typed for a task that makes its data.
    """
    from hybridqies.tasks import load_task

    found = load_task(task)
    unfit = [name for name in _OF_TEXTS if name in typed]
    if found.is_made and unfit:
        raise InputError(
            f"--{unfit[0].replace('_', '-')} was given with --task {task}, which has no texts",
            expected=f"options of its data, as --data {task}:KEY=VALUE,KEY=VALUE",
        )
    return str(given["data"]) if "data" in typed else found.default_data


def typed(context: typer.Context) -> set[str]:
    """The flags that were given, rather than left at their defaults."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}


def logging(trackers: Iterable[Destination]) -> str:
    """The flags that name trackers in a command that goes on: no run or study records them."""
    return "".join(f" --log-to {shlex.quote(each.word)}" for each in trackers)


def check_resumed_alone(context: typer.Context, free: set[str]) -> None:
    """Refuses flags that decide a run beside --resume; those named in `free` may stand there."""
    for name in sorted(typed(context) - free):
        raise InputError(
            f"--resume was given together with --{name.rstrip('_').replace('_', '-')}",
            expected="only --resume and --out: the settings are recorded in the run",
        )
