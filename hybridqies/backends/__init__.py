"""Where a circuit runs: the protocol, one file a family, and the layer that heads are built from.

Nothing is imported until it is used: `hybridqies.backends.registry` names the backends without loading torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridqies.lazily import import_lazily

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
        backend_classes,
        backend_names,
        load_backend,
    )
    from hybridqies.backends.remote import JobSettings, RemoteBackend
    from hybridqies.backends.submission import DryRun, dry_run
    from hybridqies.backends.truncation import Truncation, TruncationWarning

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
    "Truncation",
    "TruncationWarning",
    "Variant",
    "backend_class",
    "backend_classes",
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

# The registry names the backends without torch.
__getattr__, __dir__ = import_lazily(
    __name__,
    __all__,
    (
        "registry",
        "rates",
        "gradient_rules",
        "truncation",
        "base",
        "estimate",
        "measurement_bases",
        "frequencies",
        "executor",
        "layer",
        "remote",
        "submission",
        "consent",
    ),
)
