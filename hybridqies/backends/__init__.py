"""Where a circuit runs: the protocol, one file a family, and the layer that heads are built from."""

from hybridqies.backends.base import Backend, Capabilities, Variant, rows_of
from hybridqies.backends.dry_run import DryRun, dry_run
from hybridqies.backends.estimate import Estimate
from hybridqies.backends.executing import ExecutingBackend, ExecutionOptions
from hybridqies.backends.gradients import Gradient
from hybridqies.backends.layer import QuantumLayer
from hybridqies.backends.rates import Rates
from hybridqies.backends.registry import BACKENDS, backend_class, backend_names, load_backend
from hybridqies.backends.remote import JobSettings, RemoteBackend

__all__ = [
    "BACKENDS",
    "Backend",
    "Capabilities",
    "DryRun",
    "Estimate",
    "ExecutingBackend",
    "ExecutionOptions",
    "Gradient",
    "JobSettings",
    "QuantumLayer",
    "Rates",
    "RemoteBackend",
    "Variant",
    "backend_class",
    "backend_names",
    "dry_run",
    "load_backend",
    "rows_of",
]
