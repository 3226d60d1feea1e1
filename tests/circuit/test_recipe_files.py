"""The format of recipe files: what is read, and what is refused by name."""

from __future__ import annotations

import pytest

from hybridqies.circuit import (
    Constant,
    Recipe,
    Weight,
    load_circuit,
    load_recipe,
    to_openqasm3,
)
from hybridqies.errors import CircuitError, UnknownNameError

MINIMAL = """
title = "t"
reference = "r"
weights = "n"
layers = [{ rotate = "RY" }]
measure = [{ pauli = "Z" }]
"""


def recipe(layers: str, weights: str = "n", more: str = "", measure: str = '{ pauli = "Z" }') -> Recipe:
    text = f'title="t"\nreference="r"\nweights="{weights}"\nlayers=[{layers}]\nmeasure=[{measure}]\n{more}'
    return Recipe.parse(text, "mine")


def test_a_users_file_by_path(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL, encoding="utf-8")
    circuit = load_circuit(path, 3)
    assert circuit == load_circuit(str(path), 3)
    assert (circuit.name, circuit.n_weights) == ("mine", 3)


def test_a_missing_or_unreadable_file_is_refused(tmp_path):
    with pytest.raises(CircuitError, match="no recipe file"):
        load_circuit("nowhere/mine.toml", 3)
    path = tmp_path / "latin.toml"
    path.write_bytes('title = "é"'.encode("latin-1"))
    with pytest.raises(CircuitError, match="cannot be read"):
        load_circuit(path, 3)
    path.write_text("title = ", encoding="utf-8")
    with pytest.raises(CircuitError, match="no valid TOML"):
        load_circuit(path, 3)


@pytest.mark.parametrize("key", ["title", "reference", "weights", "layers", "measure"])
def test_a_recipe_without_a_key_is_refused(key):
    text = "\n".join(line for line in MINIMAL.splitlines() if not line.startswith(key))
    with pytest.raises(CircuitError, match=key):
        Recipe.parse(text, "mine")


@pytest.mark.parametrize(
    ("layers", "more", "nearest"),
    [
        ('{ rotate = "RYY1" }', "", "RYY"),
        ('{ entangle = "CNOT", pattern = "rings" }', "", "ring"),
        ('{ entangle = "CNOT", distance = 1 }', "", "distances"),
        ('{ block = "pqc" }', '[blocks]\npqc1 = [{ rotate = "RY" }]', "pqc1"),
        ('{ rotate = "RY", when = "layer > 1" }', "[options]\nlayers = { default = 1 }", "layers"),
    ],
)
def test_unknown_names_in_a_recipe_offer_the_nearest(layers, more, nearest):
    with pytest.raises(UnknownNameError) as caught:
        recipe(layers, more=more).build(3, {})
    assert caught.value.nearest == nearest


def test_unknown_keys_of_a_recipe_offer_the_nearest():
    for text, nearest in (
        (MINIMAL + 'titel = "x"', "title"),
        (MINIMAL + "[options]\nlayers = { defaults = 1 }", "default"),
    ):
        with pytest.raises(UnknownNameError) as caught:
            Recipe.parse(text, "mine")
        assert caught.value.nearest == nearest
    with pytest.raises(UnknownNameError) as caught:
        recipe('{ rotate = "RY" }', measure='{ pauli = "Z", qubit = 1 }').build(3, {})
    assert caught.value.nearest == "qubits"


@pytest.mark.parametrize(
    "layers",
    [
        "{ }",
        '{ rotate = "RY", entangle = "CNOT" }',
        '"RY"',
        '{ rotate = "CNOT" }',
        '{ entangle = "RY" }',
        '{ encode = "H" }',
        "{ repeat = 2 }",
        '{ repeat = "0.5 * n", layers = [] }',
        '{ rotate = "RY", qubits = [9] }',
        '{ entangle = "CNOT", distances = 3 }',
        '{ entangle = "CNOT", distances = 0 }',
        '{ rotate = "RY" }, { rotate = "RY" }',
    ],
)
def test_malformed_layers_are_refused_in_one_line(layers):
    with pytest.raises(CircuitError) as caught:
        recipe(layers).build(3, {})
    assert "\n" not in str(caught.value)


def test_blocks_share_their_weights_and_other_layers_do_not():
    circuit = recipe(
        '{ rotate = "RX" }, { block = "b" }, { rotate = "RZ" }, { block = "b" }, { rotate = "RX" }',
        weights="5 * n",
        more='[blocks]\nb = [{ rotate = ["RY", "RZ"] }]',
    ).build(2, {})
    indices = [each.angles[0].index for each in circuit.gates]
    assert indices == [0, 1, 2, 3, 4, 5, 6, 7, 2, 3, 4, 5, 8, 9]


def test_a_block_within_a_block_is_shared_too():
    blocks = (
        '[blocks]\nouter = [{ rotate = "RX" }, { block = "inner" }, { rotate = "RZ" }, { block = "inner" }]\n'
        'inner = [{ rotate = "RY" }]'
    )
    circuit = recipe('{ block = "outer" }, { block = "outer" }, { rotate = "RY" }', "4 * n", blocks).build(
        1, {}
    )
    assert [each.angles[0].index for each in circuit.gates] == [0, 1, 2, 1, 0, 1, 2, 1, 3]


def test_a_block_that_contains_itself_is_refused():
    with pytest.raises(CircuitError, match="contains itself"):
        recipe('{ block = "b" }', more='[blocks]\nb = [{ block = "b" }]').build(2, {})


def test_share_and_angle():
    circuit = recipe(
        '{ rotate = "ROT", share = true }, { rotate = "RX", angle = 0.5 },{ entangle = "CRX", share = true }',
        weights="4",
    ).build(3, {})
    rotations = [each.angles for each in circuit.gates if each.type.name == "ROT"]
    assert rotations == [(Weight(0), Weight(1), Weight(2))] * 3
    assert {each.angles for each in circuit.gates if each.type.name == "RX"} == {(Constant(0.5),)}
    assert {each.angles for each in circuit.gates if each.type.name == "CRX"} == {(Weight(3),)}


@pytest.mark.parametrize(
    ("layer", "pairs"),
    [
        ('pattern = "ring"', [(0, 1), (1, 2), (2, 3), (3, 0)]),
        ('pattern = "chain"', [(0, 1), (1, 2), (2, 3)]),
        ('pattern = "chain", distances = [2, 1]', [(0, 2), (1, 3), (0, 1), (1, 2), (2, 3)]),
        ('pattern = "brick"', [(0, 1), (2, 3), (1, 2)]),
        ('pattern = "matching"', [(0, 1), (2, 3)]),
        ('pattern = "matching", distances = [2, 3]', [(0, 2), (1, 3), (0, 3)]),
        ('pattern = "all-to-all"', [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]),
        ('distances = "2..n - 1"', [(0, 2), (1, 3), (2, 0), (3, 1), (0, 3), (1, 0), (2, 1), (3, 2)]),
    ],
)
def test_patterns(layer, pairs):
    circuit = recipe(f'{{ entangle = "CZ", {layer} }}', weights="0").build(4, {})
    assert [each.qubits for each in circuit.gates] == pairs


def test_measured_pairs():
    circuit = recipe(
        '{ rotate = "RY" }', measure='{ pauli = "ZZ", pattern = "ring" }, { pauli = "X", qubits = 1 }'
    )
    read = [str(each) for each in circuit.build(3, {}).observables]
    assert read == ["Z0Z1", "Z1Z2", "Z0Z2", "X0"]


def test_a_wrong_formula_is_refused():
    with pytest.raises(CircuitError, match="by its formula"):
        recipe('{ rotate = "RY" }', weights="n + 1").build(2, {})


def test_an_openqasm_file_is_a_circuit_wherever_a_recipe_is(tmp_path):
    circuit = load_circuit("rot-ring", 3, layers=1)
    path = tmp_path / "mine.qasm"
    path.write_text(to_openqasm3(circuit))
    for given in (path, str(path)):
        back = load_circuit(given, 3)
        assert back.name == "mine"
        assert back.digest() == circuit.digest()
    recipe = load_recipe(str(path))
    assert (recipe.options, recipe.usual_qubits, recipe.n_weights(3, {})) == ((), 3, circuit.n_weights)
    with pytest.raises(CircuitError, match="4 qubits; expected 3"):
        load_circuit(path, 4)
    with pytest.raises(UnknownNameError, match="'layers'"):
        load_circuit(path, 3, layers=2)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff\xfe", b"OPENQASM 2.0;"])
def test_an_openqasm_file_that_is_none_is_refused_with_its_name(tmp_path, content):
    path = tmp_path / "mine.qasm"
    path.write_bytes(content)
    with pytest.raises(CircuitError, match=r"mine\.qasm") as caught:
        load_recipe(path)
    assert "\n" not in str(caught.value)
