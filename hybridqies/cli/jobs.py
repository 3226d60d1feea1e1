"""`hybridqies jobs`: what the journal knows of jobs at remote services, and what can be done about them."""

from __future__ import annotations

import enum
import shlex
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridqies.cli.flags import AsJson
from hybridqies.cli.output import InterruptionError, complain, progress, say, say_json, show
from hybridqies.errors import HybridqiesError, InputError

if TYPE_CHECKING:
    from hybridqies.backends.jobs import JobRecord, JobRunner, Journal
    from hybridqies.runs import Hooks

_AGES = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


class Action(enum.Enum):
    """What is done with the jobs of a journal."""

    LIST = "list"
    SHOW = "show"
    CANCEL = "cancel"
    RESUME = "resume"


def command(
    action: Annotated[
        Action,
        typer.Argument(help="list all jobs, show or cancel one, or resume (wait for unfinished jobs)."),
    ] = Action.LIST,
    key: Annotated[
        str | None,
        typer.Argument(help="The job's key, or its first characters. Without a key, resume takes all jobs."),
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(
            help="A jobs.jsonl file, or a run folder that has one. Default: $HYBRIDQIES_JOBS, or the "
            "user's own journal.",
            show_default=False,
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="Resume a job that failed or was cancelled. It is paid for once more."),
    ] = False,
    json: AsJson = False,
) -> None:
    """List, show, cancel or resume the jobs at remote services.

    Without --again, resuming costs nothing: it only fetches results from the services.

    Examples: `hybridqies jobs list --journal runs/demo`, `hybridqies jobs show 3f9a`,
    `hybridqies jobs cancel 3f9a`, `hybridqies jobs resume`, `hybridqies jobs resume 3f9a --again`
    """
    from hybridqies.backends.jobs import Journal

    _check_flags(action, key, again)
    read = Journal(journal)
    if journal is not None and not read.path.exists():
        raise InputError(
            f"there is no job journal {read.path}", expected="a jobs.jsonl, or a folder with one"
        )
    if key is None:
        chosen = list(read.records().values())
    else:
        chosen = [read.record(key)]
    if not read.is_checked:
        complain(f"{read.path}: lines of an earlier version have no checksum and are shown unchecked")
    if action is Action.SHOW:
        _show(chosen[0], json)
        return
    if action is Action.CANCEL:
        chosen = [_runner(read, chosen[0].backend).cancel(chosen[0].key)]
    if action is Action.RESUME:
        chosen = _resumed(read, chosen, again, json)
    _list(chosen, json)


def _check_flags(action: Action, key: str | None, again: bool) -> None:
    if action is Action.LIST and key is not None:
        raise InputError(
            f"list was given the key {key!r}", todo=f"see one job with: hybridqies jobs show {key}"
        )
    if key is None and (again or action in (Action.SHOW, Action.CANCEL)):
        what = "--again" if again else action.value
        raise InputError(
            f"{what} was given no job", expected="its key", todo="see the keys with: hybridqies jobs list"
        )
    if again and action is not Action.RESUME:
        raise InputError(f"--again was given to {action.value}", expected="resume")


def _runner(journal: Journal, backend: str, hooks: Hooks | None = None) -> JobRunner:
    from hybridqies.backends import registry
    from hybridqies.backends.jobs import JobRunner, Limits, Retry

    provider = registry.provider_of(backend)
    provider.ready()
    return JobRunner(provider, journal, Limits(), Retry(), hooks.on_text if hooks else None)


def _resumed(journal: Journal, chosen: list[JobRecord], again: bool, quiet: bool) -> list[JobRecord]:
    """The records after waiting for them; one backend's trouble does not keep others from being asked."""
    unfinished = [record for record in chosen if again or not record.is_final]
    troubles: list[str] = []
    with progress(quiet) as hooks:
        for backend in dict.fromkeys(record.backend for record in unfinished):
            keys = [record.key for record in unfinished if record.backend == backend]
            hooks.on_stage(backend, sum(record.n_circuits for record in unfinished if record.key in keys))
            try:
                runner = _runner(journal, backend, hooks)
                runner.again(keys[0]) if again else runner.resume(keys)
            except HybridqiesError as error:
                troubles.append(str(error))
            except KeyboardInterrupt:
                todo = f"hybridqies jobs resume --journal {shlex.quote(str(journal.path))}"
                raise InterruptionError(
                    f"interrupted; the jobs go on at their services; fetch them with: {todo}"
                ) from None
    if troubles:
        raise HybridqiesError("; ".join(troubles))
    records = journal.records()
    return [records[record.key] for record in chosen]


def _list(records: list[JobRecord], json: bool) -> None:
    if json:
        say_json([_facts(record) for record in records])
        return
    if not records:
        say("No jobs.")
        return
    from rich.table import Table

    table = Table("job", "backend", "job id", "circuits", "shots", "state", "age", title="Jobs")
    for record in records:
        state = f"{record.standing}: {record.reason}" if record.reason else record.standing
        row = (record.n_circuits, record.shots, state, _age(time.time() - record.times["intent"]))
        table.add_row(record.short_key, record.backend, record.job_id or "", *map(str, row))
    show(table)


def _show(record: JobRecord, json: bool) -> None:
    circuits = record.work().circuits
    facts = _facts(record) | {
        "work": _abbreviated(record.stored_work),
        "counts": None if record.counts is None else list(record.counts),
    }
    if json:
        say_json(facts)
        return
    from rich.table import Table

    table = Table("what", "value", title=f"Job {record.short_key}", show_header=False)
    work = facts["work"]
    times = {
        event: datetime.fromtimestamp(at).astimezone().isoformat(" ", "seconds")
        for event, at in record.times.items()
    }
    names = [circuit.name for circuit in circuits]
    rows = _facts(record) | {
        "times": times,
        "circuits": names,
        "angles": work["angles"],
        "seed": work["seed"],
    }
    for name, value in rows.items():
        table.add_row(name.replace("_", " "), _lines(value))
    show(table)
    if record.counts is not None:
        show(_counts_table(record, len(names)))


def _facts(record: JobRecord) -> dict[str, Any]:
    return {
        "key": record.key,
        "backend": record.backend,
        "job_id": record.job_id,
        "n_circuits": record.n_circuits,
        "shots": record.shots,
        "state": record.standing,
        "reason": record.reason,
        "attempt": record.attempt,
        "times": dict(record.times),
        "digests": list(record.digests),
    }


def _abbreviated(work: Mapping[str, Any]) -> dict[str, Any]:
    """The work, with how many angles there are and the first few instead of thousands."""
    angles = work["angles"]
    columns = len(angles[0]) if angles else 0
    first = ", ".join(f"{angle:.4g}" for angle in angles[0][:4]) if angles else ""
    more = ", …" if columns > 4 else ""
    return {**work, "angles": f"{len(angles)} × {columns} radians: {first}{more}"}


def _counts_table(record: JobRecord, n_circuits: int) -> Any:
    from rich.table import Table

    table = Table("circuit", "row", "outcomes", title="Counts")
    n_rows = record.n_circuits // n_circuits
    for at, counts in enumerate(record.counts or ()):
        outcomes = "  ".join(f"{outcome} {count}" for outcome, count in sorted(counts.items()))
        table.add_row(str(at // n_rows), str(at % n_rows), outcomes)
    return table


def _lines(value: Any) -> str:
    match value:
        case dict():
            return "\n".join(f"{name} {each}" for name, each in value.items())
        case list():
            return "\n".join(map(str, value))
        case None:
            return ""
    return str(value)


def _age(seconds: float) -> str:
    size, unit = next((pair for pair in _AGES if seconds >= pair[0]), _AGES[-1])
    return f"{int(seconds // size)} {unit}"
