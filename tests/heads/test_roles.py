"""What each parameter of a head is for, as training groups them."""

from __future__ import annotations

import pytest
from built_heads import built_head
from head_rows import HEAD_ROWS

from hybridqies.backends import QuantumLayer
from hybridqies.circuit import load_circuit
from hybridqies.roles import Role, roles_of


@pytest.mark.parametrize("name", HEAD_ROWS)
def test_every_parameter_has_its_role(name: str) -> None:
    row = HEAD_ROWS[name]
    assert roles_of(built_head(name, 13, 2, **row.options[-1])) == row.roles


def test_a_circuit_layer_has_the_role_that_it_is_built_with() -> None:
    circuit = load_circuit("iqp", 2)
    plain, encoding = QuantumLayer(circuit), QuantumLayer(circuit, role=Role.ENCODING)
    assert roles_of(plain) == {"weights": Role.CIRCUIT}
    assert roles_of(encoding) == {"weights": Role.ENCODING}
