"""The gate set: one row a gate, with everything about it. Adding a gate is adding a row here."""

from __future__ import annotations

import math
from typing import Any

from hybridqies.circuit import matrices as m
from hybridqies.circuit.gate_type import (
    Apply,
    Foreign,
    GateType,
    Move,
    Own,
    Part,
    Relabel,
    Relabelling,
    Rotation,
    Rows,
    X,
    Y,
    Z,
)
from hybridqies.errors import UnknownNameError

_QUARTER = math.pi / 2
_CNOT = Relabel(Relabelling.ADD, (0, 1))
_OWN = (Own(0),)


def _fixed(name: str, rows: Rows, inverse: str, pennylane: Foreign, **row: Any) -> GateType:
    """A gate on one qubit without an angle; it is lowered to its own matrix by default."""
    low = name.lower()
    given: dict[str, Any] = {
        "qiskit": Foreign(low),
        "qasm": Foreign(low),
        "symbol": name,
        "lowering": (Apply(0, (rows,)),),
    }
    return GateType(name, 1, (), matrix=m.fixed(rows), pennylane=pennylane, inverse=inverse, **(given | row))


def _turn(name: str, pauli: Rows, axis: int, **row: Any) -> GateType:
    """A rotation of one qubit about a Pauli axis."""
    return GateType(
        name,
        1,
        ("theta",),
        matrix=m.rotation(pauli),
        lowering=(Apply(0, (Rotation(axis, 0),)),),
        **_called(name.lower(), name),
        symbol=name,
        **row,
    )


def _controlled_turn(name: str, pauli: Rows, axis: int, **row: Any) -> GateType:
    """A rotation of the second qubit about a Pauli axis where the first is 1."""
    return GateType(
        name,
        2,
        ("theta",),
        matrix=m.controlled(m.rotation(pauli)),
        lowering=(Apply(1, (Rotation(axis, 0),), control=0),),
        **_called(name.lower(), name),
        symbol=name.removeprefix("C"),
        controlled=True,
        n_frequencies=2,
        **row,
    )


def _ising(name: str, pauli: Rows, lowering: tuple[Move, ...], definition: tuple[Part, ...]) -> GateType:
    """exp(-i theta/2 P P) for a Pauli matrix P on both qubits."""
    return GateType(
        name,
        2,
        ("theta",),
        matrix=m.rotation(m.kron(pauli, pauli)),
        lowering=lowering,
        **_called(name.lower(), f"Ising{name.removeprefix('R')}"),
        symbol=name,
        definition=definition,
    )


def _called(qiskit: str, pennylane: str) -> dict[str, Any]:
    """The names of a gate that is called the same in Qiskit and in OpenQASM."""
    return {"qiskit": Foreign(qiskit), "qasm": Foreign(qiskit), "pennylane": Foreign(pennylane)}


# Between two CNOTs, which only relabel basis states, RXX is RX and RZZ is RZ.
_RXX = (_CNOT, Apply(0, (Rotation(X, 0),)), _CNOT)
# S turns X into Y.
_RYY = (Apply(0, (m.SDG,)), Apply(1, (m.SDG,)), *_RXX, Apply(0, (m.S,)), Apply(1, (m.S,)))
_RZZ = (_CNOT, Apply(1, (Rotation(Z, 0),)), _CNOT)

_CX_RZ_CX = (Part("CNOT", (0, 1)), Part("RZ", (1,), _OWN), Part("CNOT", (0, 1)))

_ROWS = (
    _fixed("H", m.H, "H", Foreign("Hadamard"), is_real=True),
    _fixed("X", m.PAULI_X, "X", Foreign("PauliX"), is_real=True, lowering=(Relabel(Relabelling.FLIP, (0,)),)),
    _fixed(
        "Y",
        m.PAULI_Y,
        "Y",
        Foreign("PauliY"),
        lowering=(Apply(0, (m.REAL_Y,)),),
        phase=lambda: _QUARTER,
    ),
    _fixed("Z", m.PAULI_Z, "Z", Foreign("PauliZ"), is_real=True),
    _fixed("S", m.S, "SDG", Foreign("S")),
    _fixed("SDG", m.SDG, "S", Foreign("S", adjoint=True), symbol="S†"),
    _fixed("T", m.T, "TDG", Foreign("T")),
    _fixed("TDG", m.TDG, "T", Foreign("T", adjoint=True), symbol="T†"),
    _fixed("SX", m.SX, "SXDG", Foreign("SX"), symbol="√X"),
    _fixed(
        "SXDG",
        m.SXDG,
        "SX",
        Foreign("SX", adjoint=True),
        symbol="√X†",
        definition=(Part("RX", (0,), (-_QUARTER,)),),
    ),
    _turn("RX", m.PAULI_X, X),
    _turn("RY", m.PAULI_Y, Y, is_real=True),
    _turn("RZ", m.PAULI_Z, Z),
    GateType(
        "P",
        1,
        ("phi",),
        matrix=m.phase,
        lowering=(Apply(0, (Rotation(Z, 0),)),),
        **_called("p", "PhaseShift"),
        symbol="P",
        phase=lambda phi: phi / 2,
    ),
    GateType(
        "ROT",
        1,
        ("phi", "theta", "omega"),
        matrix=m.rot,
        lowering=(Apply(0, (Rotation(Z, 0), Rotation(Y, 1), Rotation(Z, 2))),),
        # Equal to Qiskit's U up to a global phase; the label distinguishes it.
        qiskit=Foreign("u", (1, 2, 0), label="Rot"),
        pennylane=Foreign("Rot"),
        qasm=Foreign("rot"),
        symbol="Rot",
        definition=tuple(Part(name, (0,), (Own(at),)) for at, name in enumerate(("RZ", "RY", "RZ"))),
    ),
    GateType(
        "U",
        1,
        ("theta", "phi", "lambda"),
        matrix=m.u,
        lowering=(Apply(0, (Rotation(Z, 2), Rotation(Y, 0), Rotation(Z, 1))),),
        qiskit=Foreign("u"),
        pennylane=Foreign("U3"),
        # The U of the language itself, but for a global phase.
        qasm=Foreign("U"),
        symbol="U",
        phase=lambda _theta, phi, lamda: (phi + lamda) / 2,
    ),
    GateType(
        "CNOT",
        2,
        (),
        matrix=m.controlled(m.fixed(m.PAULI_X)),
        lowering=(_CNOT,),
        **_called("cx", "CNOT"),
        symbol="X",
        marks=("●", "⊕"),
        is_real=True,
        controlled=True,
        inverse="CNOT",
    ),
    GateType(
        "CY",
        2,
        (),
        matrix=m.controlled(m.fixed(m.PAULI_Y)),
        lowering=(Apply(1, (m.PAULI_Y,), control=0),),
        **_called("cy", "CY"),
        symbol="Y",
        controlled=True,
        inverse="CY",
    ),
    GateType(
        "CZ",
        2,
        (),
        matrix=m.controlled(m.fixed(m.PAULI_Z)),
        lowering=(Apply(1, (m.PAULI_Z,), control=0),),
        **_called("cz", "CZ"),
        symbol="Z",
        marks=("●", "●"),
        is_real=True,
        controlled=True,
        inverse="CZ",
    ),
    GateType(
        "SWAP",
        2,
        (),
        matrix=m.fixed(m.SWAP),
        lowering=(Relabel(Relabelling.SWAP, (0, 1)),),
        **_called("swap", "SWAP"),
        symbol="SWAP",
        marks=("×", "×"),
        is_real=True,
        inverse="SWAP",
    ),
    _controlled_turn("CRX", m.PAULI_X, X),
    _controlled_turn("CRY", m.PAULI_Y, Y, is_real=True),
    _controlled_turn("CRZ", m.PAULI_Z, Z),
    _ising(
        "RXX",
        m.PAULI_X,
        _RXX,
        (Part("H", (0,)), Part("H", (1,)), *_CX_RZ_CX, Part("H", (0,)), Part("H", (1,))),
    ),
    _ising(
        "RYY",
        m.PAULI_Y,
        _RYY,
        (
            Part("SX", (0,)),
            Part("SX", (1,)),
            *_CX_RZ_CX,
            Part("RX", (0,), (-_QUARTER,)),
            Part("RX", (1,), (-_QUARTER,)),
        ),
    ),
    _ising("RZZ", m.PAULI_Z, _RZZ, _CX_RZ_CX),
)

GATES: dict[str, GateType] = {row.name: row for row in _ROWS}


def gate_type(name: str) -> GateType:
    """The row of the gate called `name`, whatever its case ("Rot", "rot" and "ROT" are one)."""
    row = GATES.get(name.upper()) if isinstance(name, str) else None
    if row is None:
        raise UnknownNameError("gate", str(name), GATES)
    return row
