"""The gate set: one row a gate. Adding a gate is one row here and one matrix in the engine's table."""

from __future__ import annotations

from dataclasses import dataclass

from hybridqies.errors import UnknownNameError


@dataclass(frozen=True, slots=True)
class GateType:
    """What is true of a gate wherever it stands.

    `angles` names its angles in the order of its matrix; `controlled` says that
    the first qubit is a control; `is_real` that its matrix has no imaginary part.
    `n_frequencies` counts the frequencies of expectations in its angle: 1 allows the
    two-term shift rule, 2 (controlled rotations) needs the four-term rule.
    """

    name: str
    n_qubits: int
    angles: tuple[str, ...]
    symbol: str
    is_real: bool = False
    controlled: bool = False
    inverse: str | None = None
    n_frequencies: int = 1


_ROWS = (
    GateType("H", 1, (), "H", is_real=True, inverse="H"),
    GateType("X", 1, (), "X", is_real=True, inverse="X"),
    GateType("Y", 1, (), "Y", inverse="Y"),
    GateType("Z", 1, (), "Z", is_real=True, inverse="Z"),
    GateType("S", 1, (), "S", inverse="SDG"),
    GateType("SDG", 1, (), "S†", inverse="S"),
    GateType("T", 1, (), "T", inverse="TDG"),
    GateType("TDG", 1, (), "T†", inverse="T"),
    GateType("SX", 1, (), "√X", inverse="SXDG"),
    GateType("SXDG", 1, (), "√X†", inverse="SX"),
    GateType("RX", 1, ("theta",), "RX"),
    GateType("RY", 1, ("theta",), "RY", is_real=True),
    GateType("RZ", 1, ("theta",), "RZ"),
    GateType("P", 1, ("phi",), "P"),
    GateType("ROT", 1, ("phi", "theta", "omega"), "Rot"),
    GateType("U", 1, ("theta", "phi", "lambda"), "U"),
    GateType("CNOT", 2, (), "X", is_real=True, controlled=True, inverse="CNOT"),
    GateType("CY", 2, (), "Y", controlled=True, inverse="CY"),
    GateType("CZ", 2, (), "Z", is_real=True, controlled=True, inverse="CZ"),
    GateType("SWAP", 2, (), "SWAP", is_real=True, inverse="SWAP"),
    GateType("CRX", 2, ("theta",), "RX", controlled=True, n_frequencies=2),
    GateType("CRY", 2, ("theta",), "RY", is_real=True, controlled=True, n_frequencies=2),
    GateType("CRZ", 2, ("theta",), "RZ", controlled=True, n_frequencies=2),
    GateType("RXX", 2, ("theta",), "RXX"),
    GateType("RYY", 2, ("theta",), "RYY"),
    GateType("RZZ", 2, ("theta",), "RZZ"),
)

GATES: dict[str, GateType] = {row.name: row for row in _ROWS}


def gate_type(name: str) -> GateType:
    """The row of the gate called `name`, whatever its case ("Rot", "rot" and "ROT" are one)."""
    try:
        return GATES[name.upper()]
    except KeyError:
        raise UnknownNameError("gate", name, GATES) from None
