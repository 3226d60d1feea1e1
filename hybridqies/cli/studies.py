"""The study commands, one for each row of `hybridqies.study.kinds.STUDIES`."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import InterruptionError, complain, read_settings, say, say_json, show, steps
from hybridqies.cli.study_progress import REMEMBERED_SECONDS, StudyProgress
from hybridqies.errors import InputError
from hybridqies.options import parse
from hybridqies.study.head_plan import HeadPlan, Scaling
from hybridqies.study.kinds import STUDIES, StudyKind
from hybridqies.study.kinds.kind import Flag, group_settings, read_seeds, show_seeds
from hybridqies.study.plan import StudyPlan
from hybridqies.study.plan_file import plan_to_toml, read_plan
from hybridqies.trackers import TRACKERS, Destination, Tracker

StudyFile = Annotated[
    Path | None, typer.Argument(help="A study's TOML file, instead of flags.", show_default=False)
]
Workers = Annotated[int, typer.Option(help="Number of worker processes; 1 runs the trials in this process.")]
Cluster = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Run the trials on this Ray cluster, one process per CPU."),
]
Out = Annotated[Path, typer.Option(help="The folder of the study.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Continue the study in --out. Several commands may do so at once.")
]
RetryFailed = Annotated[
    bool,
    typer.Option("--retry-failed", help="With --resume: run failed trials again."),
]
PrintToml = Annotated[bool, typer.Option("--print-toml", help="Print the study as TOML without running it.")]

LogTo = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TRACKER[:TARGET]",
        help=f"Also show every finished trial in {', '.join(TRACKERS)}: tensorboard:DIR, mlflow:URI, "
        "trackio:PROJECT, as in --log-to tensorboard:runs/curves. With --resume, those that finished before "
        "as well. May be repeated.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what the study will cost without running it.")]

_SEEDS = Flag(
    "seeds", "seeds", "The number of seeds, or a list of seeds separated by commas.", read_seeds, show_seeds
)
_SCALING = Flag(
    "scaling",
    "scaling",
    "How embeddings are scaled, fitted on training texts: none or standard.",
    lambda word: parse(word, Scaling, "--scaling"),
    lambda scaling: str(scaling.value),
)
# Fields of a plan of heads that flags of `train` set as well; a dotted name is a field of a field.
_OF_TRAIN: dict[str, tuple[str, Any]] = {
    "task": ("task", flags.Task),
    "data": ("data.source", flags.Data),
    "text_column": ("data.text_column", flags.TextColumn),
    "pair_column": ("data.pair_column", flags.PairColumn),
    "label_column": ("data.label_column", flags.LabelColumn),
    "drop_empty": ("data.drop_empty", flags.DropEmpty),
    "per_class": ("data.per_class", flags.PerClass),
    "validation_fraction": ("data.validation_fraction", flags.ValidationFraction),
    "test_fraction": ("data.test_fraction", flags.TestFraction),
    "encoder": ("encoder", flags.EncoderName),
    "backend": ("backend", flags.Backend),
}


@dataclass(frozen=True, slots=True)
class _Given:
    """The words of a command line, and which of them were typed rather than defaults."""

    words: Mapping[str, Any]
    typed: frozenset[str]

    @classmethod
    def of(cls, context: typer.Context) -> _Given:
        sources = {name: context.get_parameter_source(name) for name in context.params}
        typed = {name for name, source in sources.items() if source is not None and source.name != "DEFAULT"}
        return cls(dict(context.params), frozenset(typed))


def commands() -> dict[str, Callable[..., None]]:
    """A command for each kind of study, by the words that it is called with."""
    return {kind.command: _command(kind) for kind in STUDIES.values()}


def plan_from_flags(kind: StudyKind[Any], words: Mapping[str, Any]) -> StudyPlan:
    """The plan that flags describe; `words` has those that were typed, and the rest are the plan's defaults.

    Raises
    ------
    InputError: a word that its flag doesn't take, flags that contradict each other, or no such plan.
    """
    if "task" in words:
        words = {**words, "data": flags.data_of(words["task"], words, words)}
    given: dict[str, Any] = {}
    for name, (field, _) in _shared(kind).items():
        if name in words:
            outer, _, inner = field.partition(".")
            given[outer] = given.get(outer, {}) | {inner: words[name]} if inner else words[name]
    for flag in _flags(kind):
        if flag.name in words:
            given[flag.field] = flag.read(words[flag.name])
    kind.check_flags(given)
    if "data" in given:
        given["data"] = type(_default(kind, "data"))(**given["data"])
    arms = given.get("arms", _default(kind, "arms"))
    training, options = group_settings(read_settings(words.get("set_") or []), arms)
    plan: StudyPlan = kind.plan(**given, training=training, options=options)
    return plan


def _flags(kind: StudyKind[Any]) -> tuple[Flag, ...]:
    return (*kind.flags, _SEEDS, *((_SCALING,) if issubclass(kind.plan, HeadPlan) else ()))


def _shared(kind: StudyKind[Any]) -> dict[str, tuple[str, Any]]:
    return _OF_TRAIN if issubclass(kind.plan, HeadPlan) else {}


def _default(kind: StudyKind[Any], name: str) -> Any:
    """The default of a plan's field; of a field of that field where there is a dot."""
    outer, _, inner = name.partition(".")
    field: Field[Any] = next(each for each in fields(kind.plan) if each.name == outer)
    value = field.default if field.default_factory is MISSING else field.default_factory()
    return getattr(value, inner) if inner else value


def _command(kind: StudyKind[Any]) -> Callable[..., None]:
    """The command with its flags as a signature, from which typer makes the parser and the help."""

    def command(context: typer.Context, **_: Any) -> None:
        _conduct(kind, context)

    parameters = list(_parameters(kind))
    command.__name__ = kind.command.rpartition(" ")[2]
    command.__doc__ = f"{kind.about}\n\nExample: `{kind.example}`"
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def _parameters(kind: StudyKind[Any]) -> Iterator[inspect.Parameter]:
    yield _parameter("context", typer.Context)
    yield _parameter("study", StudyFile, None)
    for name, (field, annotation) in _shared(kind).items():
        yield _parameter(name, annotation, _default(kind, field))
    for flag in _flags(kind):
        yield _flag_parameter(flag, _default(kind, flag.field))
    settings = typer.Option("--set", metavar="KEY=VALUE", help=kind.settings)
    yield _parameter("set_", Annotated[list[str] | None, settings], None)
    yield _parameter("workers", Workers, 1)
    yield _parameter("cluster", Cluster, None)
    yield _parameter("device", flags.StudyDevice, "cpu")
    yield _parameter("out", Out, Path("runs") / kind.name)
    yield _parameter("resume", Resume, False)
    yield _parameter("retry_failed", RetryFailed, False)
    yield _parameter("print_toml", PrintToml, False)
    if kind.costs is not None:
        yield _parameter("dry_run", DryRun, False)
    yield _parameter("log_to", LogTo, None)
    yield _parameter("json", flags.AsJson, False)


def _flag_parameter(flag: Flag, default: Any) -> inspect.Parameter:
    shown = flag.show(default)
    if flag.read is int:
        return _parameter(flag.name, Annotated[int, typer.Option(help=flag.help)], default)
    option = typer.Option(
        f"--{flag.name.replace('_', '-')}", help=flag.help, metavar=flag.metavar, show_default=shown
    )
    kind: Any = list[str] if flag.repeated else str
    return _parameter(flag.name, Annotated[kind | None, option], None)


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation
    )


# Flags that are not part of a plan, and so may be given with a file or --resume.
_BESIDE = {"study", "out", "resume", "retry_failed", "workers", "cluster", "device", "json"}
_BESIDE |= {"print_toml", "dry_run", "log_to"}


def _conduct(kind: StudyKind[Any], context: typer.Context) -> None:
    """A study command: its plan from a file, from flags or from --out, then the run and its report."""
    given = _Given.of(context)
    _check_combination(given)
    words = given.words
    trackers = _make_trackers(words)
    if words["resume"]:
        from hybridqies.study.conduct import recorded_plan

        plan = recorded_plan(words["out"], kind.plan)
    elif words["study"] is not None:
        plan = read_plan(words["study"], kind.plan)
    else:
        plan = plan_from_flags(kind, {name: words[name] for name in given.typed})
    if words["print_toml"]:
        say(plan_to_toml(plan).rstrip("\n"))
        return
    if words.get("dry_run"):
        _show_costs(kind, plan, words)
        return
    _show(_run(kind, plan, words, trackers), kind, words)


def _make_trackers(words: Mapping[str, Any]) -> dict[Destination, Tracker]:
    """The trackers of the command; none is imported where none is named."""
    if not words["log_to"]:
        return {}
    from hybridqies.runs import make_trackers

    return make_trackers(words["log_to"], words["out"])


def _show_costs(kind: StudyKind[Any], plan: StudyPlan, words: Mapping[str, Any]) -> None:
    from hybridqies.report.studies import report_of

    report = report_of(kind.name)
    assert kind.costs is not None
    assert report.costs is not None
    costs = kind.costs(plan, plan.source.on(words["device"]).load())
    if words["json"]:
        say_json(costs)
        return
    show(report.costs(costs))
    hours = costs["seconds"] / words["workers"] / 3600
    say(f"{costs['seconds']:,.0f} s of one thread, {hours:.2g} h with --workers {words['workers']}.")


def _check_combination(given: _Given) -> None:
    """Refuses flags that decide the study beside something else that does."""
    words = given.words
    if words["retry_failed"] and not words["resume"]:
        raise InputError(
            "--retry-failed was given without --resume", expected="both: a new study has no failures"
        )
    if words.get("dry_run") and (words["resume"] or words["cluster"] is not None):
        raise InputError(
            "--dry-run was given with --resume or --cluster",
            expected="a new study, whose steps are timed on this machine",
        )
    if words["resume"] or words["study"] is not None:
        what = "--resume" if words["resume"] else "a study file"
        for name in words:
            if name not in _BESIDE and name in given.typed:
                raise InputError(
                    f"{what} was given together with --{name.rstrip('_').replace('_', '-')}",
                    expected=f"{what} alone: it decides the whole study",
                )
    if words["resume"] and words["study"] is not None:
        raise InputError(
            "--resume was given with a study file", expected="one of them: the study is recorded in --out"
        )
    if words["cluster"] is not None and "workers" in given.typed:
        raise InputError(
            "--workers was given with --cluster", expected="one of them: the workers are the cluster's CPUs"
        )


def _run(
    kind: StudyKind[Any],
    plan: StudyPlan,
    words: Mapping[str, Any],
    trackers: Mapping[Destination, Tracker],
) -> dict[str, Any]:
    from hybridqies.runs import Tracking
    from hybridqies.study.conduct import PLAN, run_study

    how = {name: words[name] for name in ("resume", "retry_failed", "workers", "cluster", "device")}
    out: Path = words["out"]
    try:
        with (
            steps(words["json"], remembered_seconds=REMEMBERED_SECONDS) as shown,
            Tracking(trackers, out, complain, "study") as tracking,
        ):
            seen = StudyProgress(shown)
            told: dict[str, Any] = {"on_text": seen.text, "on_counts": seen.counts, "tracking": tracking}
            return run_study(kind, plan, out, **how, on_start=complain, **told)
    except KeyboardInterrupt:
        if not (out / PLAN).is_file():
            raise
        again = f"hybridqies {kind.command} --resume --out {shlex.quote(str(out))}{_on(words['device'])}"
        raise InterruptionError(f"interrupted; continue with: {again}{flags.logging(trackers)}") from None


def _on(device: str) -> str:
    """The flag that a study on another device than the CPU goes on with."""
    return "" if device == "cpu" else f" --device {shlex.quote(device)}"


def _show(result: dict[str, Any], kind: StudyKind[Any], words: Mapping[str, Any]) -> None:
    from hybridqies.report.studies import report_of

    report = report_of(kind.name)
    picture: Path = words["out"] / f"{kind.name}.png"
    report.write_plot(result, picture)
    if words["json"]:
        say_json(result)
        return
    show(report.table(result))
    for note in report.notes(result):
        say(note)
    pictured = f", {picture.name}" if picture.is_file() else ""
    say(f"Saved in {words['out']}/: study.toml, trials.jsonl, study.json{pictured}.")
