"""Versions of what numbers depend on."""

from __future__ import annotations

import platform
from importlib import metadata

from hybridqies import __version__

PACKAGES = ("torch", "numpy", "scipy", "numba", "sentence-transformers", "pennylane", "qiskit", "qiskit-aer")


def installed_version(package: str) -> str | None:
    """The version of an installed package; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def collect_versions() -> dict[str, str]:
    """Those of hybridqies, Python, the system, and each installed package of PACKAGES."""
    own = {"hybridqies": __version__, "python": platform.python_version(), "system": platform.platform()}
    found = {name: installed_version(name) for name in PACKAGES}
    return own | {name: version for name, version in found.items() if version is not None}
