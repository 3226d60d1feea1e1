"""Tensor networks: matrices as matrix-product operators, circuits around them, and states on graphs."""

from hybridqies.tensornet.brickwork import Brickwork, improve_gates
from hybridqies.tensornet.disentangle import Disentangled, count_qubits, disentangle, qubit_sites
from hybridqies.tensornet.exact import ExactNetwork
from hybridqies.tensornet.fit import improve, squared_error
from hybridqies.tensornet.graph_peps import GraphPEPS
from hybridqies.tensornet.mpo import MPO, bond_dimensions, contract, count_parameters
from hybridqies.tensornet.simple_update import Program, Simulated

__all__ = [
    "MPO",
    "Brickwork",
    "Disentangled",
    "ExactNetwork",
    "GraphPEPS",
    "Program",
    "Simulated",
    "bond_dimensions",
    "contract",
    "count_parameters",
    "count_qubits",
    "disentangle",
    "improve",
    "improve_gates",
    "qubit_sites",
    "squared_error",
]
