"""A backend that a file names is not used without the caller's consent if it may cost money."""

from __future__ import annotations

from dataclasses import replace

from hybridqies.backends.base import Backend
from hybridqies.backends.jobs.limits import Limits
from hybridqies.backends.rates import Rates
from hybridqies.backends.registry import DEFAULT_BACKEND, backend_class, load_backend
from hybridqies.backends.remote import RemoteBackend
from hybridqies.backends.spec import BackendSpec, label_of
from hybridqies.errors import CapabilityError

RECORDED_LIMITS = Limits(max_shots=100_000, max_jobs=10)
"""The limits of such a backend once the caller allows it, unless the caller sets others."""


def check_recorded(
    spec: str, *, allowed: bool = False, rates: Rates | None = None, what: str = "model"
) -> None:
    """Refuses the backend `spec` of a file if it may cost money and the caller has not `allowed` it.

    Nothing is loaded from the service and no request is made. `rates` let the message name the price;
    `what` is what the file holds.

    Raises
    ------
    CapabilityError: it may cost money.
    UnknownNameError: no such family or target.
    """
    parsed = BackendSpec.parse(spec)
    if allowed or not backend_class(parsed.family).may_cost(parsed.target):
        return
    rate = rates.of(label_of(parsed.family, parsed.target)) if rates else None
    price = rate.describe() if rate else "no price is configured, see --rates"
    choice = f", such as {DEFAULT_BACKEND!r}" if what == "model" else ""
    raise CapabilityError(
        f"this {what} was saved with backend {spec!r}, which may cost money ({price})",
        expected="your consent: a file does not decide what you pay for",
        todo=f"name the backend yourself with --backend (backend= in Python){choice}",
    )


def load_recorded(
    spec: str, *, allowed: bool = False, rates: Rates | None = None, what: str = "model"
) -> Backend:
    """The backend that a file names; one that may cost money has to be `allowed` by the caller.

    It keeps to `RECORDED_LIMITS` unless its `jobs` are given other limits.

    Raises
    ------
    CapabilityError: as `check_recorded`.
    UnknownNameError, InputError, MissingExtraError: as `load_backend`.
    """
    check_recorded(spec, allowed=allowed, rates=rates, what=what)
    backend = load_backend(spec)
    if isinstance(backend, RemoteBackend) and type(backend).may_cost(backend.target):
        backend.jobs = replace(backend.jobs, limits=RECORDED_LIMITS)
    return backend
