"""`hybridqies sweep`: accuracy against qubits, for every arm, under one protocol."""

# The flags are read from the context, which can tell which of them were given.
# ruff: noqa: ARG001

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridqies.cli import flags, studying
from hybridqies.cli.studying import read_common, read_study_settings, read_whole

if TYPE_CHECKING:
    from hybridqies.study.plan import StudyPlan

Qubits = Annotated[str, typer.Option(help="Numbers of qubits: 2:14:2, or 2,4,9.")]
Arms = Annotated[
    str,
    typer.Option(
        help="Arms with commas, such as two-module,dressed,matched-mlp,logistic,svc,mlp-48, or all; "
        "two-module:RECIPE is one as well."
    ),
]
Reference = Annotated[str, typer.Option(help="The arm that the others are tested against.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="training.epochs=40 for every arm, two-module.encoders=16 for one."
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
    qubits: Qubits = "2:12:2",
    seeds: studying.Seeds = "5",
    arms: Arms = "all",
    reference: Reference = "logistic",
    budget: studying.Budget = 1,
    scaling: studying.Scale = "none",
    set_: Settings = None,
    backend: flags.Backend = "statevector",
    workers: studying.Workers = 1,
    cluster: studying.Cluster = None,
    out: studying.Out = Path("runs/sweep"),
    resume: studying.Resume = False,
    retry_failed: studying.RetryFailed = False,
    print_toml: studying.PrintToml = False,
    json: flags.AsJson = False,
) -> None:
    """Sweep the number of qubits: every arm on every seed under one protocol, with intervals and tests.

    Example: `hybridqies sweep --data reviews.csv --per-class 256 --qubits 2:12:2 --seeds 5 --workers 2`
    """
    from hybridqies.report.study_tables import sweep_notes, sweep_table, write_sweep_plot
    from hybridqies.study.kinds.sweep import SWEEP

    report = studying.Report(sweep_table, sweep_notes, write_sweep_plot)
    studying.conduct(context, SWEEP, _plan, report)


def _plan(given: dict[str, Any]) -> StudyPlan:
    from hybridqies.study.arms import ARMS, arm_of
    from hybridqies.study.plan import StudyPlan

    asked = ARMS if given["arms"] == "all" else [part.strip() for part in given["arms"].split(",")]
    names = tuple(arm_of(name).name for name in asked)
    training, options = read_study_settings(given["set_"] or [], names)
    return StudyPlan(
        arms=names,
        qubits=read_whole(given["qubits"], "qubits"),
        budget=given["budget"],
        reference=given["reference"],
        training=training,
        options=options,
        **read_common(given),
    )
