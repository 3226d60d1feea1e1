"""Where a circuit runs: the protocol, one file a family, and the layer that heads are built from.

Nothing is imported until it is used: `hybridqies.backends.registry` names the backends without loading torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybridqies.backends.base import Backend, Capabilities, Variant, describe_backends
    from hybridqies.backends.consent import check_recorded, load_recorded
    from hybridqies.backends.estimate import Estimate
    from hybridqies.backends.executor import ExecutingBackend, ExecutionOptions, derive_seed
    from hybridqies.backends.frequencies import Frequencies, estimate_observables
    from hybridqies.backends.gradient_rules import Gradient
    from hybridqies.backends.layer import QuantumLayer
    from hybridqies.backends.measurement_bases import split_by_basis
    from hybridqies.backends.rates import Rates
    from hybridqies.backends.registry import (
        BACKENDS,
        DEFAULT_BACKEND,
        backend_class,
        backend_names,
        load_backend,
    )
    from hybridqies.backends.remote import JobSettings, RemoteBackend
    from hybridqies.backends.submission import DryRun, dry_run

_HOME = {
    "BACKENDS": "registry",
    "Backend": "base",
    "Capabilities": "base",
    "DEFAULT_BACKEND": "registry",
    "DryRun": "submission",
    "Estimate": "estimate",
    "ExecutingBackend": "executor",
    "ExecutionOptions": "executor",
    "Frequencies": "frequencies",
    "Gradient": "gradient_rules",
    "JobSettings": "remote",
    "QuantumLayer": "layer",
    "Rates": "rates",
    "RemoteBackend": "remote",
    "Variant": "base",
    "backend_class": "registry",
    "backend_names": "registry",
    "check_recorded": "consent",
    "derive_seed": "executor",
    "describe_backends": "base",
    "dry_run": "submission",
    "estimate_observables": "frequencies",
    "load_backend": "registry",
    "load_recorded": "consent",
    "split_by_basis": "measurement_bases",
}

__all__ = [
    "BACKENDS",
    "DEFAULT_BACKEND",
    "Backend",
    "Capabilities",
    "DryRun",
    "Estimate",
    "ExecutingBackend",
    "ExecutionOptions",
    "Frequencies",
    "Gradient",
    "JobSettings",
    "QuantumLayer",
    "Rates",
    "RemoteBackend",
    "Variant",
    "backend_class",
    "backend_names",
    "check_recorded",
    "derive_seed",
    "describe_backends",
    "dry_run",
    "estimate_observables",
    "load_backend",
    "load_recorded",
    "split_by_basis",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
