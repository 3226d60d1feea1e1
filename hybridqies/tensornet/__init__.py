"""Tensor networks: matrices as matrix-product operators, and as circuits around them."""

from hybridqies.tensornet.brickwork import Brickwork, improve_gates
from hybridqies.tensornet.disentangle import Disentangled, disentangle
from hybridqies.tensornet.fit import improve, squared_error
from hybridqies.tensornet.mpo import MPO, bond_dimensions, contract, count_parameters

__all__ = [
    "MPO",
    "Brickwork",
    "Disentangled",
    "bond_dimensions",
    "contract",
    "count_parameters",
    "disentangle",
    "improve",
    "improve_gates",
    "squared_error",
]
