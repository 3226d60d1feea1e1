"""The flags that commands share, each with its one meaning and help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridqies import defaults
from hybridqies.heads import HEADS

Run = Annotated[Path, typer.Argument(help="A run's folder, or any saved model's.")]
Data = Annotated[
    str,
    typer.Option(
        help="A CSV, TSV, JSONL, JSON, Parquet or XLSX file, a folder of train/validation/test files, "
        "or a name."
    ),
]
OtherData = Annotated[str | None, typer.Option(help="Data to measure on; the run's own when left out.")]
TextColumn = Annotated[str, typer.Option(help="The column that holds the texts.")]
LabelColumn = Annotated[str, typer.Option(help="The column that holds the labels.")]
KnownTextColumn = Annotated[
    str | None, typer.Option("--text-column", help="The column of the texts; as in training if not given.")
]
KnownLabelColumn = Annotated[
    str | None, typer.Option("--label-column", help="The column of the labels; as in training if not given.")
]
DropEmpty = Annotated[
    bool, typer.Option("--drop-empty", help="Leave out rows without a text, and say how many.")
]
PerClass = Annotated[
    int | None,
    typer.Option(help="Few-shot: pool all splits, draw this many of each class, test on the rest."),
]
ValidationFraction = Annotated[float, typer.Option(help="Part of the drawn texts that chooses the epoch.")]
TestFraction = Annotated[float, typer.Option(help="Part to test on where the data has no test split.")]
EncoderName = Annotated[str, typer.Option(help="A sentence-transformers model, by name or folder.")]
TrainableLayers = Annotated[
    int, typer.Option(help="Layers of the encoder, counted from its end, that are trained with the head.")
]
HeadName = Annotated[str, typer.Option(help=f"One of {', '.join(HEADS)}.")]
CircuitName = Annotated[str | None, typer.Option(help="A circuit recipe, by name or .toml file.")]
Qubits = Annotated[int | None, typer.Option(help="Qubits of the circuit.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="An option of the head, its circuit, its encoder (encoder.layers=4) "
        "or training (training.weight_decay=0).",
    ),
]
Backend = Annotated[str, typer.Option(help="Where the circuit runs; see `hybridqies backends`.")]
OtherBackend = Annotated[
    str | None, typer.Option(help="Run the circuit elsewhere than the model was trained.")
]
Compare = Annotated[
    str, typer.Option(help="Heads to train beside it under the same protocol, with commas; or none.")
]
Seed = Annotated[int, typer.Option(help="Decides the draw of the data, the start and the order of batches.")]
Epochs = Annotated[int | None, typer.Option(help="Passes over the training texts.")]
BatchSize = Annotated[int | None, typer.Option(help="Texts a step.")]
LearningRate = Annotated[float | None, typer.Option(help="AdamW's learning rate.")]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Neither read nor keep embeddings on disk (see HYBRIDQIES_CACHE).")
]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
RunFolder = Annotated[Path, typer.Option(help="The run's folder.")]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on with the run in --out; given more --epochs, a finished one too."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Tell circuits, depth, shots, jobs, time and price; send nothing."),
]
RatesFile = Annotated[
    Path | None, typer.Option("--rates", help="A TOML file of what services charge, for --dry-run.")
]
MaxShots = Annotated[int | None, typer.Option(help="Pay for no more shots than these in all.")]
MaxJobs = Annotated[int | None, typer.Option(help="Pay for no more jobs than these in all.")]
JournalFile = Annotated[
    Path | None,
    typer.Option("--journal", help="Where jobs are journalled; the run's jobs.jsonl if not given."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the record as JSON, no bars.")]

DEFAULT_DATA, DEFAULT_ENCODER = defaults.DATA, defaults.ENCODER
DEFAULT_HEAD, DEFAULT_COMPARE = defaults.HEAD, ",".join(defaults.COMPARE)
