"""The table of backends. A new one is a file beside this and a row here; the table drives tests and docs."""

from __future__ import annotations

import importlib

from hybridqies.backends.base import Backend
from hybridqies.errors import UnknownNameError

BACKENDS: dict[str, str] = {
    "statevector": "hybridqies.backends.statevector:StateVector",
}


def backend_class(name: str) -> type[Backend]:
    """The class behind a backend's name; its ClassVars tell what it can do.

    Raises
    ------
    UnknownNameError: no backend has that name.
    """
    if name not in BACKENDS:
        raise UnknownNameError("backend", name, BACKENDS)
    module, _, attribute = BACKENDS[name].partition(":")
    found: type[Backend] = getattr(importlib.import_module(module), attribute)
    return found


def load_backend(name: str) -> Backend:
    """A backend by name, as in `--backend`."""
    return backend_class(name)()
