"""What a run may pay for at a remote service, and where its jobs are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hybridqies.backends import Backend, Rates, RemoteBackend, load_recorded
from hybridqies.backends.jobs import Limits
from hybridqies.backends.spec import BackendSpec
from hybridqies.errors import InputError
from hybridqies.heads import quantum_heads
from hybridqies.tasks import runs_circuit


def bound_payment(
    backend: Backend,
    heads: Sequence[str],
    limits: Limits | None = None,
    *,
    journal: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Bounds what the backend of these heads may pay for, and says where its jobs are kept and told of.

    What is left out stays as it is: no limits do not lift those of a backend that a file named.

    Raises
    ------
    InputError: there is a cap or a journal and nothing is paid: no circuit runs, or it runs here.
    """
    named = {**asdict(limits or Limits()), "journal": journal}
    given = next((name for name, value in named.items() if value is not None), None)
    if given is not None:
        check_runs_circuit(heads, f"{given} was given")
        if not (isinstance(backend, RemoteBackend) and backend.has_jobs):
            raise InputError(
                f"{given} was given with backend {backend.label!r}, which costs nothing",
                expected="a backend at a remote service (see: hybridqies backends)",
            )
    if isinstance(backend, RemoteBackend):
        given_limits = None if limits == Limits() else limits
        settings: dict[str, Any] = {"limits": given_limits, "journal": journal, "on_progress": on_progress}
        changed = {name: value for name, value in settings.items() if value is not None}
        backend.jobs = replace(backend.jobs, **changed)


def load_run_backend(recorded: str, named: str | None = None, rates: Rates | None = None) -> Backend:
    """The backend of a run that goes on: as it is `recorded`, and `named` by the caller if it may cost money.

    Where it may, it pays for no more than `RECORDED_LIMITS` until it is given other limits. `rates` let
    the refusal name the price.

    Raises
    ------
    CapabilityError: it may cost money, and the caller has not named it.
    InputError: the caller has named another backend.
    """
    if named is not None and BackendSpec.parse(named) != BackendSpec.parse(recorded):
        raise InputError(
            f"backend {named!r} was given for a run that was started on {recorded!r}",
            expected=f"{recorded!r}: a run goes on where it began",
            todo="start another run",
        )
    return load_recorded(recorded, allowed=named is not None, rates=rates, what="run")


def may_cost(backend: Backend) -> bool:
    """Whether running circuits on it may cost money."""
    return type(backend).may_cost(backend.target)


def keep_jobs_in(backend: Backend, folder: Path) -> None:
    """Keeps a backend's jobs in `folder`, if it has jobs and was told of no other place."""
    if isinstance(backend, RemoteBackend):
        backend.journal_in(folder)


def check_runs_circuit(heads: Sequence[str], given: str) -> None:
    """Refuses what means nothing where none of the heads has a circuit; `given` tells what it was.

    Raises
    ------
    InputError: naming the first head.
    """
    if not any(map(runs_circuit, heads)):
        raise InputError(
            f"{given}, and head {heads[0]!r} runs no circuit",
            expected=f"a head with a circuit: {', '.join(quantum_heads())}",
        )
