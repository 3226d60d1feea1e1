"""Running a study of any kind in its folder: begun or resumed, run, and summarised."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from hybridqies.devices import check_device, split_device
from hybridqies.engine import watch_compilation
from hybridqies.errors import InputError
from hybridqies.files import create_bytes, is_leftover
from hybridqies.options import to_mapping
from hybridqies.progress import COMPILING
from hybridqies.records import digest_of, write_record
from hybridqies.runs.tracking import Tracking
from hybridqies.study.kinds.kind import StudyKind
from hybridqies.study.places.cluster import Cluster
from hybridqies.study.places.executor import Executor
from hybridqies.study.places.in_process import InProcess
from hybridqies.study.places.processes import Processes
from hybridqies.study.plan import StudyPlan
from hybridqies.study.plan_file import Plan, plan_to_toml, read_plan
from hybridqies.study.statistics.comparisons import describe_seeds
from hybridqies.study.tracking import TrialTracking
from hybridqies.study.trials.dispatch import Counts, run_trials
from hybridqies.study.trials.kind import Context, Source, trial_kind

PLAN, RESULT = "study.toml", "study.json"


def check_new(folder: Path) -> None:
    """Refuses a folder that a study cannot begin in.

    Raises
    ------
    InputError: it exists and is not empty; what a process that was killed left behind does not count.
    """
    if folder.exists() and not (folder.is_dir() and all(map(is_leftover, folder.iterdir()))):
        raise InputError(
            f"{str(folder)!r} is not empty",
            expected="a new folder",
            todo="choose another --out, or continue the study there with --resume",
        )


def check_writable(folder: Path) -> None:
    """Refuses a folder that cannot be made or written to; leaves nothing behind.

    Raises
    ------
    InputError: naming the folder and what the system says.
    """
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise InputError(
            f"{str(folder)!r} cannot be written to: {error.strerror or error}",
            expected="a folder for the study",
            todo="choose another --out",
        ) from None


def recorded_plan(folder: Path, kind: type[Plan]) -> Plan:
    """The plan that a study began with.

    Raises
    ------
    InputError: the folder holds no study, or one of another kind.
    """
    if not (folder / PLAN).is_file():
        raise InputError(f"{str(folder)!r} holds no {PLAN}", expected="the folder of a study that was begun")
    return read_plan(folder / PLAN, kind)


def run_study(
    study: StudyKind[Plan],
    plan: Plan,
    folder: Path,
    *,
    resume: bool = False,
    retry_failed: bool = False,
    workers: int = 1,
    cluster: str | None = None,
    device: str = "cpu",
    on_start: Callable[[str], None] | None = None,
    on_text: Callable[[int, int], None] | None = None,
    on_counts: Callable[[Counts], None] | None = None,
    tracking: Tracking | None = None,
) -> dict[str, Any]:
    """Runs a study in `folder`, or with `resume` what it lacks there; returns what `study.json` then holds.

    `retry_failed` counts trials that failed before as missing, once; without it they keep their error.
    `on_start` receives, before a new study begins, how many seeds its comparisons need, and that kernels are
    compiled where they are. Texts are embedded once, before the first trial. One worker is this process;
    more are processes of their own. `cluster` is the HOST:PORT of a Ray cluster that runs the trials instead.
    `tracking` shows each trial that has a record, those that finished before included.
    `device` is where trials run: on "cuda" each worker, or each group on a cluster, has a GPU of its own.
    The study records its kind, and is resumed on no other.

    Raises
    ------
    InputError: something in the plan or data cannot be used; then nothing is trained, and no folder made.
        Or the cluster cannot be reached, or was lost. Or there is no such device.
    MissingExtraError: `cluster` is given and Ray is not installed.
    """
    # On a cluster the nodes have the GPUs.
    here = plan.source.on(device if cluster is None else "cpu")
    kind, on = trial_kind(here.kind), split_device(device)[0]
    check_device(here.device)
    check_writable(folder)
    if resume:
        # Other data would be read, and embedded, before it is noticed.
        with kind.journal(folder) as journal:
            journal.check_plan(digest_of(to_mapping(plan)), on)
    else:
        check_new(folder)
    if tracking is not None:
        # A record that is damaged is refused before anything is computed.
        tracking.read()
    # A cluster that isn't there is reported before anything is computed.
    with _nodes(here.on(device), cluster) as nodes:
        context = here.load()
        planned = study.trials(plan, context)
        about = context.describe(plan.seeds)
        # So that a plan that was damaged or edited since is not gone on with.
        about["plan_sha256"] = digest_of(to_mapping(plan))
        about["device"] = on
        if not resume:
            check_new(folder)
            family = study.family(plan)
            if on_start is not None and family:
                on_start(describe_seeds(family, len(plan.seeds)))
        context.compute_rows(plan.seeds[0], on_text)
        if not resume:
            check_new(folder)
            _write_plan(folder, plan)
        with kind.journal(folder) as journal:
            journal.begin(about)
            if retry_failed:
                journal.retry_failed(trial.key for trial in planned)
            tell = None if on_start is None else lambda: on_start(COMPILING)
            local = _local(here, context, workers, plan.seeds[0]) if nodes is None else nullcontext(nodes)
            names = dict(zip((trial.key for trial in planned), study.names(plan, planned), strict=True))
            tracked = TrialTracking(tracking, journal, names, kind.curve)
            with local as executor, watch_compilation(tell):
                run_trials(planned, journal, executor, on_counts, kind.cohorts(context), tracked.show)
            tracked.show(wait=True)
            result = study.summarise(plan, planned, journal.state())
    write_record(folder / RESULT, result)
    return result


def _write_plan(folder: Path, plan: StudyPlan) -> None:
    """Begins the study's folder; of several processes that want to, one does.

    Raises
    ------
    InputError: another process was first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        create_bytes(folder / PLAN, plan_to_toml(plan).encode())
    except FileExistsError:
        check_new(folder)
        raise


def _nodes(source: Source, cluster: str | None) -> AbstractContextManager[Executor | None]:
    return nullcontext() if cluster is None else Cluster(cluster, source)


def _local(source: Source, context: Context, workers: int, seed: int) -> AbstractContextManager[Executor]:
    if workers == 1:
        return nullcontext(InProcess(context))
    return Processes(source, workers, seed)
