"""The table of backends. A new one is a file beside this and a row here; the table drives tests and docs.

A row names the class, and the class says the rest: its targets with their capabilities and what installs them
(`variants`), its options and its gradients. Nothing heavy is imported before a backend is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridqies import defaults
from hybridqies.backends.spec import BackendSpec
from hybridqies.errors import CapabilityError, InputError
from hybridqies.extensions import class_names, find_class

if TYPE_CHECKING:
    from hybridqies.backends.base import Backend
    from hybridqies.backends.jobs import Provider

DEFAULT_BACKEND: str = defaults.BACKEND
"""Where circuits run unless another place is named."""

BACKENDS: dict[str, str] = {
    DEFAULT_BACKEND: "hybridqies.backends.statevector:StateVector",
    "tensor": "hybridqies.backends.tensor:TensorNetwork",
    "pennylane": "hybridqies.backends.pennylane:PennyLane",
    "aer": "hybridqies.backends.aer:Aer",
    "ibm": "hybridqies.backends.ibm:IBM",
    "ionq": "hybridqies.backends.ionq:IonQ",
}

# Where other packages announce backends of their own.
ENTRY_POINTS = "hybridqies.backends"


def backend_names() -> list[str]:
    """Every family: those of the table, then those of installed packages."""
    return class_names(BACKENDS, ENTRY_POINTS)


def backend_class(name: str) -> type[Backend]:
    """The class behind the name of a backend's family; its ClassVars tell what it can do.

    Raises
    ------
    UnknownNameError: no backend has that name.
    CapabilityError: another package announces it, and it cannot be loaded.
    """
    from hybridqies.backends.base import Backend

    return find_class("backend", name, BACKENDS, ENTRY_POINTS, Backend)  # type: ignore[type-abstract]


def backend_classes() -> tuple[dict[str, type[Backend]], dict[str, str]]:
    """Every family's class by name, and why those of other packages that cannot be loaded are missing."""
    kinds: dict[str, type[Backend]] = {}
    broken: dict[str, str] = {}
    for name in backend_names():
        try:
            kinds[name] = backend_class(name)
        except CapabilityError as error:
            broken[name] = str(error)
    return kinds, broken


def load_backend(given: str | Backend) -> Backend:
    """A backend from one string, as in `--backend`: `statevector`, `aer:density_matrix,p2=0.01`.

    A `Backend` is returned as it is.

    Raises
    ------
    UnknownNameError: no such family, target or option.
    InputError: an option that cannot be read.
    MissingExtraError: a package that it needs is not installed.
    """
    from hybridqies.backends.base import Backend

    if isinstance(given, Backend):
        return given
    if not isinstance(given, str):
        raise InputError(
            f"a backend was given as {given!r:.80}", expected="its name, as in --backend, or a Backend"
        )
    spec = BackendSpec.parse(given)
    return backend_class(spec.family)(spec.target, **spec.options)


def provider_of(text: str) -> Provider:
    """The service of the backend that a string names, for jobs that were handed in before.

    Raises
    ------
    CapabilityError: the backend has no jobs: its circuits run here.
    """
    from hybridqies.backends.remote import RemoteBackend

    backend = load_backend(text)
    if not isinstance(backend, RemoteBackend):
        raise CapabilityError(f"backend {text!r} has no jobs", expected="one at a remote service")
    return backend.provider()
