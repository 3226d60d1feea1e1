"""Tensor networks: matrices as matrix-product operators."""

from hybridqies.tensornet.fit import improve, squared_error
from hybridqies.tensornet.mpo import MPO, bond_dimensions, contract, count_parameters

__all__ = ["MPO", "bond_dimensions", "contract", "count_parameters", "improve", "squared_error"]
