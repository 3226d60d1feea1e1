"""What the commands of studies share: flags and how they are read, live counts, the way to a report."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from hybridqies.cli.output import InterruptionError, read_settings, say, say_json, show, steps
from hybridqies.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from hybridqies.cli.output import Steps
    from hybridqies.progress import ProgressLines
    from hybridqies.study.conduct import Plan, Study
    from hybridqies.study.trials.dispatch import Counts

StudyFile = Annotated[
    Path | None, typer.Argument(help="A study's TOML file, in the place of the flags.", show_default=False)
]
Seeds = Annotated[str, typer.Option(help="How many seeds, or the seeds themselves with commas.")]
Budget = Annotated[
    int, typer.Option(help="Configurations that every arm tries a seed; 1: defaults, no search.")
]
Scale = Annotated[str, typer.Option(help="Of embeddings, fitted on training texts: none or standard.")]
Workers = Annotated[int, typer.Option(help="Worker processes; 1 runs in this one.")]
Cluster = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Run the trials on this Ray cluster instead, one process a CPU."),
]
Out = Annotated[Path, typer.Option(help="The study's folder.")]
Resume = Annotated[bool, typer.Option("--resume", help="Run what the study in --out lacks; others may too.")]
RetryFailed = Annotated[
    bool,
    typer.Option(
        "--retry-failed", help="With --resume, run again what failed: --resume --retry-failed --out FOLDER."
    ),
]
PrintToml = Annotated[bool, typer.Option("--print-toml", help="Print the study as TOML, and run nothing.")]

# What is no part of a plan, and so may stand beside a file or --resume.
_BESIDE = {"study", "out", "resume", "retry_failed", "workers", "cluster", "json", "print_toml"}
_TRAINING = "training"
# Trials may take minutes each; the time left is estimated from as many of them as there were.
_REMEMBERED_SECONDS = 24 * 3600


class Report(NamedTuple):
    """How a kind of study shows its result: a table, what the table alone would hide, and a picture."""

    table: Callable[[Mapping[str, Any]], Table]
    notes: Callable[[Mapping[str, Any]], Iterable[str]]
    write_plot: Callable[[Mapping[str, Any], Path], None]


def conduct(
    context: typer.Context, study: Study[Plan], from_flags: Callable[[dict[str, Any]], Plan], report: Report
) -> None:
    """A study command: its plan from a file, from flags or from --out, then the run and its report.

    Raises
    ------
    InputError: flags that decide the study beside something else that does.
    """
    from hybridqies.study.conduct import recorded_plan

    given: dict[str, Any] = dict(context.params)
    file, out, resume = given["study"], given["out"], given["resume"]
    if given["retry_failed"] and not resume:
        raise InputError(
            "--retry-failed was given without --resume", expected="both: a new study has no failures"
        )
    if resume or file is not None:
        _only_beside(context, "--resume" if resume else "a study file")
    if resume and file is not None:
        raise InputError("--resume was given with a study file", expected="one: --out has recorded its study")
    if resume:
        plan = recorded_plan(out, study.plan)
    else:
        plan = from_flags(given) if file is None else study.plan.read(file)
    if given["print_toml"]:
        say(plan.to_toml().rstrip("\n"))
        return
    if given["cluster"] is not None and was_given(context, "workers"):
        raise InputError(
            "--workers was given with --cluster", expected="one: a cluster's CPUs are its workers"
        )
    _show(_run(study, plan, given), report, plan.kind.value, given)


def was_given(context: typer.Context, name: str) -> bool:
    """Whether the parameter stood on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _only_beside(context: typer.Context, what: str) -> None:
    for name in context.params:
        if name not in _BESIDE and was_given(context, name):
            raise InputError(
                f"{what} was given together with --{name.rstrip('_').replace('_', '-')}",
                expected=f"{what} alone, which says all that decides the study",
            )


def _run(study: Study[Plan], plan: Plan, given: Mapping[str, Any]) -> dict[str, Any]:
    from hybridqies.study.conduct import PLAN, run_study

    how = {name: given[name] for name in ("resume", "retry_failed", "workers", "cluster")}
    out: Path = given["out"]
    try:
        with steps(given["json"], remembered_seconds=_REMEMBERED_SECONDS) as shown:
            seen = StudyProgress(shown)
            return run_study(study, plan, out, **how, on_text=seen.text, on_counts=seen.counts)
    except KeyboardInterrupt:
        if not (out / PLAN).is_file():
            raise
        again = f"hybridqies {plan.kind.value} --resume --out {shlex.quote(str(out))}"
        raise InterruptionError(f"interrupted; go on with: {again}") from None


def _show(result: dict[str, Any], report: Report, kind: str, given: Mapping[str, Any]) -> None:
    picture: Path = given["out"] / f"{kind}.png"
    report.write_plot(result, picture)
    if given["json"]:
        say_json(result)
        return
    show(report.table(result))
    for note in report.notes(result):
        say(note)
    pictured = f", {picture.name}" if picture.is_file() else ""
    say(f"Saved in {given['out']}/: study.toml, trials.jsonl, study.json{pictured}.")


def read_common(given: Mapping[str, Any]) -> dict[str, Any]:
    """What the flags that all studies have say of a plan."""
    from hybridqies.options import parse
    from hybridqies.runs.config import DataOptions
    from hybridqies.study.context import Scaling

    columns = ("text_column", "label_column", "per_class", "validation_fraction", "test_fraction")
    return {
        "seeds": read_seeds(given["seeds"]),
        "encoder": given["encoder"],
        "backend": given["backend"],
        "scaling": parse(given["scaling"], Scaling, "--scaling"),
        "data": DataOptions(source=given["data"], **{name: given[name] for name in columns}),
    }


class StudyProgress:
    """Texts embedded, then trials done, running and failed."""

    def __init__(self, shown: Steps | ProgressLines) -> None:
        self._shown = shown
        self._stage = ""

    def text(self, done: int, total: int) -> None:
        """So many texts are embedded."""
        self._update("embedding", done, total, "")

    def counts(self, counts: Counts) -> None:
        """So far the trials are."""
        note = f"{counts.running} running  {counts.failed} failed"
        self._update("trials", counts.done + counts.failed, counts.total, note)

    def _update(self, stage: str, done: int, total: int, note: str) -> None:
        if stage != self._stage:
            self._stage = stage
            # What an earlier start did took none of the time of this one.
            self._shown.begin(stage, total, done)
        self._shown.update(done, total, note)


def read_whole(text: str, flag: str) -> tuple[int, ...]:
    """Whole numbers as flags take them: `9`, `2,4,8`, or the range `2:14:2`, both ends included.

    Raises
    ------
    InputError: none of these.
    """
    try:
        if ":" in text:
            first, last, *step = (int(part) for part in text.split(":"))
            numbers = tuple(range(first, last + 1, *step))
        else:
            numbers = tuple(int(part) for part in text.split(","))
    except (ValueError, TypeError):
        numbers = ()
    if not numbers:
        raise InputError(f"--{flag} was given {text!r}", expected="a number, 2,4,8 or a range such as 2:14:2")
    return numbers


def read_seeds(text: str) -> tuple[int, ...]:
    """Seeds: a count from 0 (`5` is 0 to 4), or the seeds themselves, with commas."""
    numbers = read_whole(text, "seeds")
    return numbers if "," in text or ":" in text else tuple(range(numbers[0]))


def read_study_settings(
    pairs: Sequence[str], arms: Sequence[str]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """`training.KEY=VALUE` for every arm, and `ARM.KEY=VALUE` for one.

    Raises
    ------
    InputError: a setting that is neither.
    """
    training: dict[str, Any] = {}
    options: dict[str, dict[str, Any]] = {}
    for key, value in read_settings(pairs).items():
        # The longest first: one arm's name may begin with another's.
        arm = next((name for name in sorted(arms, key=len, reverse=True) if key.startswith(f"{name}.")), None)
        if arm is not None:
            options.setdefault(arm, {})[key.removeprefix(f"{arm}.")] = value
        elif key.startswith(f"{_TRAINING}."):
            training[key.removeprefix(f"{_TRAINING}.")] = value
        else:
            raise InputError(
                f"--set was given {key!r}",
                expected="training.KEY=VALUE for every arm, or ARM.KEY=VALUE for one of " + ", ".join(arms),
            )
    return training, options
