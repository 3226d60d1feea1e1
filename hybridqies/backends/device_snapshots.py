"""Snapshots of IBM's devices: their couplings, gates and errors as Aer simulates them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hybridqies.errors import MissingExtraError, UnknownNameError

if TYPE_CHECKING:
    from qiskit.transpiler import Target
    from qiskit_aer.noise import NoiseModel


@cache
def load_snapshot(name: str) -> Any:
    """A device snapshot of qiskit-ibm-runtime, such as fake_torino; read once per process.

    Raises
    ------
    UnknownNameError: there is no such snapshot.
    MissingExtraError: qiskit-ibm-runtime is not installed.
    """
    try:
        from qiskit_ibm_runtime import fake_provider
    except ImportError:
        raise MissingExtraError(f"device {name!r}", "ibm") from None
    kinds = [each for each in vars(fake_provider).values() if getattr(each, "backend_name", None)]
    known = {kind.backend_name: kind for kind in kinds}
    if name not in known:
        raise UnknownNameError("device snapshot", name, known)
    return known[name]()


def build_noise_model(device: Any, qubits: set[int]) -> NoiseModel:
    """Aer's noise model of a device, for these qubits alone.

    The errors of a hundred idle qubits would take Aer seconds at every run. Aer's own `from_backend` is not
    used: it makes both readout errors equally likely, while devices read 1 as 0 more often, by relaxation.
    """
    from qiskit_aer.noise import NoiseModel
    from qiskit_aer.noise.device import basic_device_gate_errors, basic_device_readout_errors

    part = _part_of(device.target, qubits)
    noise = NoiseModel(basis_gates=[*part.operation_names])
    for places, error in basic_device_readout_errors(device.properties()):
        if qubits.issuperset(places):
            noise.add_readout_error(error, places)
    for name, places, error in basic_device_gate_errors(target=part):
        noise.add_quantum_error(error, name, places)
    return noise


def _part_of(target: Target, qubits: set[int]) -> Target:
    """`target` with the instructions on these qubits alone."""
    from qiskit.transpiler import Target

    part = Target(dt=target.dt, qubit_properties=target.qubit_properties)
    for name in target.operation_names:
        known = {
            places: properties
            for places, properties in target[name].items()
            if places is not None and qubits.issuperset(places)
        }
        if known:
            part.add_instruction(target.operation_from_name(name), known, name=name)
    return part


def read_confusions(noise: NoiseModel | None) -> dict[int | None, NDArray[np.float64]]:
    """Readout probabilities by qubit: a row for each true bit; None stands for every other qubit."""
    errors = noise.to_dict()["errors"] if noise else []
    found = [each for each in errors if each["type"] == "roerror"]
    return {
        qubit: np.array(each["probabilities"])
        for each in found
        for (qubit,) in each.get("gate_qubits", [(None,)])
    }
