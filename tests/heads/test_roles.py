"""What each parameter of a head is for, as training groups them."""

from __future__ import annotations

import pytest
from built_heads import built_head

from hybridqies.backends import QuantumLayer
from hybridqies.circuit import load_circuit
from hybridqies.heads import HEADS
from hybridqies.roles import Role, roles_of

BODY, CIRCUIT, ENCODING, READOUT = Role.BODY, Role.CIRCUIT, Role.ENCODING, Role.READOUT

ROLES = {
    "two-module": (
        {"n_qubits": 3, "fit": "project", "merge": "learnt"},
        {
            "amplitudes.projection": BODY,
            "encoders.weights": ENCODING,
            "merge.weight": BODY,
            "merge.bias": BODY,
            "circuit.weights": CIRCUIT,
            "readout.weight": READOUT,
            "readout.bias": READOUT,
        },
    ),
    "dressed": (
        {"n_qubits": 3},
        {
            "squeeze.weight": BODY,
            "squeeze.bias": BODY,
            "circuit.weights": CIRCUIT,
            "readout.weight": READOUT,
            "readout.bias": READOUT,
        },
    ),
    "reupload": (
        {},
        {"scale": BODY, "circuit.weights": CIRCUIT, "readout.weight": READOUT, "readout.bias": READOUT},
    ),
    "logistic": ({}, {"linear.weight": BODY, "linear.bias": BODY}),
    "mlp": ({}, {f"layers.{at}.{part}": BODY for at in (0, 3) for part in ("weight", "bias")}),
    "matched-mlp": (
        {"target": 30},
        {f"layers.{at}.{part}": BODY for at in (0, 3) for part in ("weight", "bias")},
    ),
    "svc": ({}, {}),
}


@pytest.mark.parametrize("name", HEADS)
def test_every_parameter_has_its_role(name: str) -> None:
    settings, roles = ROLES[name]
    assert roles_of(built_head(name, 6, 2, **settings)) == roles


def test_a_circuit_layer_has_the_role_that_it_is_built_with() -> None:
    circuit = load_circuit("iqp", 2)
    plain, encoding = QuantumLayer(circuit), QuantumLayer(circuit, role=ENCODING)
    assert (roles_of(plain), roles_of(encoding)) == ({"weights": CIRCUIT}, {"weights": ENCODING})
