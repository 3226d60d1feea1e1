"""An executor of trials on a Ray cluster, a CPU for each group that trains together, and a GPU if asked.

Trials and their outcomes travel as JSON text. Nodes load data and encoder themselves, once a process; the
journal and its claims stay with the process that submits. Trials of a lost node run again elsewhere.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hybridqies import __version__
from hybridqies.devices import split_device
from hybridqies.errors import HybridqiesError, InputError, MissingExtraError
from hybridqies.study.places.processes import THREADS
from hybridqies.study.trials.kind import Context, Source, TrialKind, trial_kind
from hybridqies.study.trials.outcome import TrialFailure, outcome_to_mapping

# A trial that itself brings its process down must not go round the cluster for ever.
_RETRIES = 3
_CONNECT_SECONDS, _JOIN_SECONDS = 5.0, 45.0
_CACHE = "HYBRIDQIES_CACHE"
_JOIN = """
import sys, ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
except Exception as error:
    sys.exit(print(error) or 1)
"""


class Cluster:
    """The Ray cluster at `address` (HOST:PORT) for trials on a data set and encoder; a context manager.

    Raises
    ------
    MissingExtraError: Ray is not installed.
    InputError: no cluster answers at the address, or it has no CPU, or no GPU where the source asks for one;
        known within a minute.
    """

    def __init__(self, address: str, source: Source) -> None:
        self._needs = _resources_for(source.device)
        if find_spec("ray") is None:
            raise MissingExtraError("--cluster", "cluster")
        import ray

        # Ray's annotations are not complete.
        self._ray: Any = ray
        self.address = address
        self._kind = trial_kind(source.kind)
        self._about = describe(source)
        self._submitted: dict[Any, tuple[Sequence[Any], float]] = {}
        if self._ray.is_initialized():
            raise InputError("this process is on a Ray cluster already", expected="one study at a time")
        _check_answers(address)
        with contextlib.ExitStack() as held:
            # Ray tells of lost nodes on stdout, which belongs to the study's result.
            held.enter_context(contextlib.redirect_stdout(sys.stderr))
            held.callback(self._ray.shutdown)
            self._ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"env_vars": _environment()},
            )
            self._run = self._ray.remote(
                num_cpus=1, num_gpus=int("GPU" in self._needs), max_retries=_RETRIES
            )(run_on_node)
            for kind in self._needs:
                if not self._count(kind):
                    raise InputError(
                        f"the Ray cluster at {address} has no {kind}", expected="nodes to run trials on"
                    )
            self._held = held.pop_all()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leaves the cluster, which ends the trials that are still running."""
        self._held.close()

    @property
    def places(self) -> int:
        """Groups that the cluster's CPUs and GPUs allow now, and never none."""
        return max(self._slots(), 1)

    @property
    def running(self) -> int:
        """Trials on the cluster, those that wait for a place among them."""
        return sum(len(trials) for trials, _ in self._submitted.values())

    @property
    def free(self) -> int:
        """Groups that the cluster's CPUs and GPUs allow now, less those on it."""
        return max(self._slots() - len(self._submitted), 0)

    def submit(self, trials: Sequence[Any]) -> None:
        """Submits the group to the cluster."""
        content = json.dumps([trial.to_mapping() for trial in trials])
        with self._failing_clearly():
            self._submitted[self._run.remote(self._about, content)] = (trials, time.perf_counter())

    def collect(self) -> list[Any]:
        """Waits for the first group that is through.

        If a group's process is lost again and again, its trials run one by one; a single trial then fails.

        Raises
        ------
        InputError: the cluster is gone, or a node lacks what the study began with, and why.
        """
        while True:
            outcomes = self._collected()
            if outcomes is not None:
                return outcomes

    def _collected(self) -> list[Any] | None:
        from ray import exceptions as lost

        with self._failing_clearly():
            (first,), _ = self._ray.wait(list(self._submitted), num_returns=1)
            trials, since = self._submitted.pop(first)
            try:
                answer = json.loads(self._ray.get(first))
            except (
                lost.WorkerCrashedError,
                lost.NodeDiedError,
                lost.LocalRayletDiedError,
                lost.OutOfMemoryError,
                lost.ObjectLostError,
            ) as error:
                if len(trials) > 1:
                    for trial in trials:
                        self.submit([trial])
                    return None
                why = f"its process was lost in each of {_RETRIES + 1} tries: {_message_of(error)}"
                seconds = round(time.perf_counter() - since, 3)
                return [TrialFailure(trial.key, trial.to_mapping(), why, seconds) for trial in trials]
        if "error" in answer:
            raise InputError(f"a node of the cluster cannot run this study: {answer['error']}")
        return [self._kind.outcome(each) for each in answer["outcomes"]]

    def _slots(self) -> int:
        return min(self._count(kind) for kind in self._needs)

    def _count(self, kind: str) -> int:
        with self._failing_clearly():
            return int(self._ray.cluster_resources().get(kind, 0))

    @contextlib.contextmanager
    def _failing_clearly(self) -> Iterator[None]:
        from ray.exceptions import RayError

        try:
            yield
        except RayError as error:
            raise InputError(
                f"the Ray cluster at {self.address} failed: {_message_of(error)}",
                expected="hybridqies and what it needs on every node, and a head node that stays",
                todo="fix that, then continue with --resume",
            ) from error


def _resources_for(device: str) -> tuple[str, ...]:
    """Ray's names of what a group needs one of each."""
    kind, number = split_device(device)
    if kind == "cuda" and number is not None:
        raise InputError(f"device {device!r} was given with --cluster", expected="cuda: Ray chooses the GPU")
    return ("CPU", "GPU") if kind == "cuda" else ("CPU",)


def describe(source: Source) -> str:
    """What nodes have to know of a study, as JSON."""
    about = {"kind": source.kind, "source": source.to_mapping(), "folder": str(Path.cwd())}
    return json.dumps(about | {"version": _version(trial_kind(source.kind))})


def run_on_node(about: str, content: str) -> str:
    """One group in a process of a node: JSON of study and trials in, of the outcomes or an error out."""
    try:
        kind, context = _loaded(about)
        trials = [kind.trial(each) for each in json.loads(content)]
        for trial in trials:
            context.check(trial)
    except (HybridqiesError, OSError) as error:
        return json.dumps({"error": f"{socket.gethostname()}: {error}"})
    outcomes = [outcome_to_mapping(each) for each in kind.attempt(trials, context)]
    return json.dumps({"outcomes": outcomes}, allow_nan=False)


@lru_cache(maxsize=1)
def _loaded(about: str) -> tuple[TrialKind, Context]:
    """What a study reads, once a process of a node."""
    import torch

    given = json.loads(about)
    kind = trial_kind(given["kind"])
    if given["version"] != _version(kind):
        raise InputError(f"this node has {_version(kind)}", expected=f"{given['version']}, as the study has")
    # Relative paths, of recipes too, are meant from where the study was started.
    os.chdir(given["folder"])
    torch.set_num_threads(1)
    return kind, kind.source(given["source"]).load()


def _version(kind: TrialKind) -> str:
    return f"hybridqies {__version__} with protocol {kind.version}"


def _environment() -> dict[str, str]:
    cache = {_CACHE: os.environ[_CACHE]} if _CACHE in os.environ else {}
    return dict.fromkeys(THREADS, "1") | cache


def _check_answers(address: str) -> None:
    """Joins the cluster from another process first: if none answers, Ray tries for ever, or aborts."""
    expected = "HOST:PORT of a head node that was started with: ray start --head"
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise InputError(f"--cluster was given {address!r}", expected=expected)
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"nothing answers at {address}: {error}", expected=expected) from None
    try:
        joined = subprocess.run(
            [sys.executable, "-c", _JOIN, address],
            capture_output=True,
            text=True,
            check=False,
            timeout=_JOIN_SECONDS,
        )
    except subprocess.TimeoutExpired:
        why = f"no Ray cluster answered at {address} for {_JOIN_SECONDS:g} s"
        raise InputError(why, expected=expected, todo="start this on one of its nodes") from None
    if joined.returncode:
        said = joined.stdout.strip() or f"exit code {joined.returncode}"
        raise InputError(f"the Ray cluster at {address} cannot be joined: {said}", expected=expected)


def _message_of(error: Exception) -> str:
    """The line of Ray's message that matters: the last one of a node's traceback, else the first."""
    from ray.exceptions import RayTaskError

    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1] if isinstance(error, RayTaskError) else lines[0]
