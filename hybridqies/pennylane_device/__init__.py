"""The engine as a PennyLane device, which `qml.device("hybridqies.statevector")` finds by its entry point."""

from hybridqies.pennylane_device.device import StateVectorDevice

__all__ = ["StateVectorDevice"]
