"""The table of backends. A new one is a file beside this and a row here; the table drives tests and docs."""

from __future__ import annotations

import importlib
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from hybridqies.backends.base import Backend
from hybridqies.backends.jobs import Provider
from hybridqies.backends.remote import RemoteBackend
from hybridqies.backends.spec import BackendSpec
from hybridqies.errors import CapabilityError, UnknownNameError

BACKENDS: dict[str, str] = {
    "statevector": "hybridqies.backends.statevector:StateVector",
    "pennylane": "hybridqies.backends.pennylane:PennyLane",
    "aer": "hybridqies.backends.aer:Aer",
    "ibm": "hybridqies.backends.ibm:IBM",
    "ionq": "hybridqies.backends.ionq:IonQ",
}

# Where other packages announce backends of their own.
ENTRY_POINTS = "hybridqies.backends"


def backend_names() -> list[str]:
    """Every family: those of the table, then those of installed packages."""
    return [*BACKENDS, *_announced()]


def backend_class(name: str) -> type[Backend]:
    """The class behind the name of a backend's family; its ClassVars tell what it can do.

    Raises
    ------
    UnknownNameError: no backend has that name.
    """
    if name in BACKENDS:
        module, _, attribute = BACKENDS[name].partition(":")
        found: type[Backend] = getattr(importlib.import_module(module), attribute)
        return found
    announced = _announced()
    if name not in announced:
        raise UnknownNameError("backend", name, [*BACKENDS, *announced])
    return _checked(name, announced[name])


def load_backend(text: str) -> Backend:
    """A backend from one string, as in `--backend`: `statevector`, `aer:density_matrix,p2=0.01`.

    Raises
    ------
    UnknownNameError: no such family, target or option.
    InputError: an option that cannot be read.
    MissingExtraError: a package that it needs is not installed.
    """
    spec = BackendSpec.parse(text)
    return backend_class(spec.family)(spec.target, **spec.options)


def provider_of(text: str) -> Provider:
    """The service behind a backend's string, for looking after jobs that were handed in before.

    Raises
    ------
    CapabilityError: the backend has no jobs: its circuits run here.
    """
    backend = load_backend(text)
    if not isinstance(backend, RemoteBackend):
        raise CapabilityError(f"backend {text!r} has no jobs", expected="one at a remote service")
    return backend.provider()


@cache
def _announced() -> dict[str, EntryPoint]:
    """Entry points by name; one that has the name of a backend here is found under its package's name too.

    Nobody gets another's backend by a name that is taken: `aer` of package `other` is `other.aer`.
    """
    found = {}
    for point in entry_points(group=ENTRY_POINTS):
        package = point.dist.name if point.dist is not None else "unknown"
        found[f"{package}.{point.name}" if point.name in BACKENDS else point.name] = point
    return found


def _checked(name: str, point: EntryPoint) -> type[Backend]:
    package = point.dist.name if point.dist is not None else "an unknown package"
    try:
        found = point.load()
    except Exception as error:  # Whatever another package's module does when it is imported.
        raise CapabilityError(
            f"backend {name!r} of package {package} cannot be loaded ({type(error).__name__}: {error})",
            todo="repair or remove that package",
        ) from error
    if not (isinstance(found, type) and issubclass(found, Backend)):
        raise CapabilityError(
            f"backend {name!r} of package {package} is {found!r}",
            expected="a subclass of hybridqies.backends.Backend",
        )
    return found
