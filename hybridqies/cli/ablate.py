"""`hybridqies ablate`: what each module of the paper's head is worth."""

# The flags are read from the context, which can tell which of them were given.
# ruff: noqa: ARG001

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridqies.cli import flags, studying
from hybridqies.cli.studying import read_common, read_study_settings

if TYPE_CHECKING:
    from hybridqies.study.kinds.ablate import AblationPlan

Modules = Annotated[
    str,
    typer.Option(
        help="What is off in turn, with commas, or all: "
        "encoder, re-upload, pqc-2, entanglers, long-range, readout."
    ),
]
Qubits = Annotated[int, typer.Option(help="Qubits of the second module.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="training.epochs=40, or two-module.reuploads=3 for the whole head."
    ),
]


def command(
    context: typer.Context,
    study: studying.StudyFile = None,
    data: flags.Data = flags.DEFAULT_DATA,
    text_column: flags.TextColumn = "text",
    label_column: flags.LabelColumn = "label",
    per_class: flags.PerClass = None,
    validation_fraction: flags.ValidationFraction = 0.15,
    test_fraction: flags.TestFraction = 0.2,
    encoder: flags.EncoderName = flags.DEFAULT_ENCODER,
    modules: Modules = "all",
    qubits: Qubits = 9,
    seeds: studying.Seeds = "8",
    budget: studying.Budget = 1,
    scaling: studying.Scale = "none",
    set_: Settings = None,
    backend: flags.Backend = "statevector",
    workers: studying.Workers = 1,
    cluster: studying.Cluster = None,
    out: studying.Out = Path("runs/ablate"),
    resume: studying.Resume = False,
    retry_failed: studying.RetryFailed = False,
    print_toml: studying.PrintToml = False,
    json: flags.AsJson = False,
) -> None:
    """Switch each module of the two-module head off in turn, paired over seeds with the whole head.

    Example: `hybridqies ablate --data reviews.csv --per-class 256 --qubits 9 --seeds 8 --workers 2`
    """
    from hybridqies.report.ablation_tables import ablation_notes, ablation_table, write_ablation_plot
    from hybridqies.study.kinds.ablate import ABLATION

    report = studying.Report(ablation_table, ablation_notes, write_ablation_plot)
    studying.conduct(context, ABLATION, _plan, report)


def _plan(given: dict[str, Any]) -> AblationPlan:
    from hybridqies.study.kinds.ablate import HEAD, MODULES, AblationPlan

    asked = MODULES if given["modules"] == "all" else given["modules"].split(",")
    training, options = read_study_settings(given["set_"] or [], [HEAD])
    return AblationPlan(
        modules=tuple(name.strip() for name in asked),
        qubits=(given["qubits"],),
        budget=given["budget"],
        training=training,
        options=options,
        **read_common(given),
    )
