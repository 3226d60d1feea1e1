"""Where a circuit runs: the protocol, one file a family, and the layer that heads are built from."""

from hybridqies.backends.base import Backend, Capabilities
from hybridqies.backends.layer import QuantumLayer
from hybridqies.backends.registry import BACKENDS, backend_class, load_backend

__all__ = ["BACKENDS", "Backend", "Capabilities", "QuantumLayer", "backend_class", "load_backend"]
