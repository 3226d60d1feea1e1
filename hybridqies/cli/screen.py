"""`hybridqies screen`: which settings matter, from a two-level design."""

# The flags are read from the context, which can tell which of them were given.
# ruff: noqa: ARG001

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridqies.cli import flags, studying
from hybridqies.cli.studying import read_common, read_study_settings
from hybridqies.errors import InputError
from hybridqies.options import parse_word

if TYPE_CHECKING:
    from hybridqies.study.kinds.screen import ScreenPlan

ArmName = Annotated[str, typer.Option(help="The arm whose settings are screened.")]
Factors = Annotated[
    list[str] | None,
    typer.Option(
        "--factor",
        metavar="KEY=LOW,HIGH",
        help="connectivity=1,3, training.learning_rate=0.001,0.01, n_qubits=4,8, backend.shots=none,256; "
        "the paper's factors when none is given. LOW,CENTRE,HIGH for all adds a centre run.",
    ),
]
DesignName = Annotated[str, typer.Option(help="plackett-burman, resolution-3, resolution-4 or resolution-5.")]
Qubits = Annotated[int | None, typer.Option(help="Qubits, where they are no factor; 9 if not given.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="What stays fixed: training.epochs=40, or two-module.merge=sum."
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
    arm: ArmName = "two-module",
    factor: Factors = None,
    design: DesignName = "plackett-burman",
    qubits: Qubits = None,
    seeds: studying.Seeds = "5",
    scaling: studying.Scale = "none",
    set_: Settings = None,
    backend: flags.Backend = "statevector",
    workers: studying.Workers = 1,
    cluster: studying.Cluster = None,
    out: studying.Out = Path("runs/screen"),
    resume: studying.Resume = False,
    retry_failed: studying.RetryFailed = False,
    print_toml: studying.PrintToml = False,
    json: flags.AsJson = False,
) -> None:
    """Screen settings between two levels each: main effects on validation accuracy, seeds as replicates.

    Example: `hybridqies screen --data reviews.csv --per-class 256 --factor reuploads=1,3 --factor layers=1,3`
    """
    from hybridqies.report.screen_tables import screen_notes, screen_table, write_screen_plot
    from hybridqies.study.kinds.screen import SCREEN

    report = studying.Report(screen_table, screen_notes, write_screen_plot)
    studying.conduct(context, SCREEN, _plan, report)


def _plan(given: dict[str, Any]) -> ScreenPlan:
    from hybridqies.options import parse
    from hybridqies.study.arms import arm_of
    from hybridqies.study.kinds.screen import FACTORS, QUBITS, ScreenPlan, TwoLevel

    factors = read_factors(given["factor"]) if given["factor"] else FACTORS
    if given["qubits"] is not None and QUBITS in factors:
        raise InputError(f"--qubits was given, and {QUBITS} is a factor", expected="one of the two")
    arm = arm_of(given["arm"]).name
    training, options = read_study_settings(given["set_"] or [], [arm])
    qubits = {} if given["qubits"] is None else {"qubits": (given["qubits"],)}
    return ScreenPlan(
        arms=(arm,),
        reference=arm,
        factors=factors,
        design=parse(given["design"], TwoLevel, "--design"),
        training=training,
        options=options,
        **read_common(given) | qubits,
    )


def read_factors(pairs: Sequence[str]) -> dict[str, list[Any]]:
    """`key=low,high` words as factors with their levels.

    Raises
    ------
    InputError: a word without "=", or a factor given twice.
    """
    factors: dict[str, list[Any]] = {}
    for pair in pairs:
        key, equals, levels = pair.partition("=")
        if not equals or not key:
            raise InputError(
                f"--factor was given {pair!r}", expected="key=low,high, as in --factor layers=1,3"
            )
        if key in factors:
            raise InputError(f"--factor gives {key!r} twice", expected="each factor once")
        factors[key] = [parse_word(level.strip()) for level in levels.split(",")]
    return factors
