from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hybridqies.circuit import (
    Feature,
    PauliString,
    Start,
    Weight,
    draw_picture,
    draw_text,
    from_openqasm3,
    from_qiskit,
    gate,
    list_circuits,
    load_circuit,
    load_recipe,
    observables_to_qiskit,
    to_openqasm3,
    to_qiskit,
)
from hybridqies.errors import InputError, UnknownNameError

# Weight counts from the papers' own descriptions, written apart from the recipes' formulas.
COUNTS: dict[str, Callable[..., int]] = {
    "brickwork": lambda n, layers=2, **_: 3 * n + layers * 3 * n,
    "butterfly": lambda n, layers=2, **_: layers * n * (1 + math.ceil(math.log2(n))),
    "data-reuploading": lambda n, layers=4, **_: (layers + 1) * n * 3,
    "hardware-efficient": lambda n, layers=2, **_: 2 * n + layers * 2 * n,
    "iqp": lambda n, layers=2, **_: layers * (n + n),
    "iqp-feature-map": lambda n, **_: 0,
    "kicked-ising": lambda n, **_: 0,
    "long-range-encoder": lambda n, layers=4, connectivity=None, ry_column=True: (
        layers * n * (connectivity or min(3, n - 1)) + n * ry_column
    ),
    "long-range-reupload": lambda n, layers=1, connectivity=None, ry_column=True, pqc2=True, **_: (
        (1 + pqc2) * (layers * n * (connectivity or min(3, n - 1)) + n * ry_column)
    ),
    "long-range-sparse": lambda n, cone=16, layers=None, **_: (
        3 * n * (1 + (layers or min(math.ceil(math.log2(n)), int(math.log2(cone)))))
    ),
    "product": lambda n, layers=2, **_: layers * n * 3,
    "product-encoder": lambda n, layers=4, connectivity=None, ry_column=True, **_: (
        layers * n * (connectivity or min(3, n - 1)) + n * ry_column
    ),
    "product-reupload": lambda n, layers=1, connectivity=None, ry_column=True, pqc2=True, **_: (
        (1 + pqc2) * (layers * n * (connectivity or min(3, n - 1)) + n * ry_column)
    ),
    "rot-ring": lambda n, layers=3: layers * n * 3,
    "strongly-entangling": lambda n, layers=2, **_: layers * n * 3,
}
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "brickwork": [{}, {"layers": 3, "readout_qubits": 1}],
    "butterfly": [{}, {"layers": 1, "readout_qubits": 1}],
    "data-reuploading": [{}, {"layers": 1, "entangled": False, "readout_qubits": 1}, {"lattice": "ring"}],
    "hardware-efficient": [{}, {"layers": 1, "entangler": "CZ"}],
    "long-range-sparse": [{}, {"cone": 2, "readout_qubits": 1}, {"cone": 8, "layers": 1}],
    "iqp": [{}, {"uploads": 1, "pairs": "chain"}, {"layers": 3, "pairs": "ring"}],
    "iqp-feature-map": [{}, {"uploads": 1, "pairs": "all-to-all"}, {"pairs": "ring", "readout_qubits": 1}],
    "kicked-ising": [{}, {"steps": 1, "theta_h": 0.1, "lattice": "ring", "readout_qubits": 1}],
    "long-range-encoder": [{}, {"connectivity": 1}, {"layers": 1, "ry_column": False}, {"layers": 3}],
    "long-range-reupload": [
        {},
        {"connectivity": 1, "reuploads": 4},
        {"layers": 3, "ry_column": False},
        {"layers": 2, "pqc2": False},
        {"fresh_features": True, "reuploads": 3, "readout_qubits": 2},
    ],
    "product": [{}, {"layers": 4}],
    "product-encoder": [
        {},
        {"connectivity": 1, "inputs": 1},
        {"layers": 1, "ry_column": False, "inputs": 99},
    ],
    "product-reupload": [
        {},
        {"connectivity": 1, "reuploads": 4},
        {"layers": 2, "pqc2": False},
        {"fresh_features": True, "reuploads": 3, "ry_column": False},
    ],
    "rot-ring": [{}, {"layers": 5}],
    "strongly-entangling": [{}, {"layers": 3, "reupload": False}],
}
ROWS = [(name, n, options) for name in list_circuits() for n in (2, 3, 4, 7) for options in OPTIONS[name]]


def test_every_shipped_recipe_is_in_the_tables():
    assert set(COUNTS) == set(OPTIONS) == set(list_circuits())


@pytest.mark.parametrize(("name", "n", "options"), ROWS)
def test_weight_count_is_the_closed_formula(name, n, options):
    circuit = load_circuit(name, n, **options)
    assert circuit.n_weights == COUNTS[name](n, **options)
    assert circuit.n_weights == load_recipe(name).n_weights(n, options)
    named = {angle.index for each in circuit.gates for angle in each.angles if isinstance(angle, Weight)}
    assert named == set(range(circuit.n_weights))
    assert circuit.name == name


@pytest.mark.parametrize("name", list_circuits())
def test_every_recipe_names_its_title_reference_and_options(name):
    shipped = load_recipe(name)
    assert shipped.title
    assert re.search(r"arXiv:\d{4}\.\d{5}", shipped.reference)
    assert all(option.help for option in shipped.options)


@pytest.mark.parametrize("name", list_circuits())
def test_every_recipe_is_drawn_and_exported(name, tmp_path):
    circuit = load_circuit(name, 3)
    assert name in draw_text(circuit)
    draw_picture(circuit, tmp_path / "circuit.svg")
    vector = [1.0] + [0.0] * 7 if circuit.start is Start.AMPLITUDES else None
    assert len(observables_to_qiskit(circuit)) == len(circuit.observables)
    assert from_qiskit(to_qiskit(circuit, amplitudes=vector)).gates[-len(circuit.gates) :] == circuit.gates
    assert (
        from_openqasm3(to_openqasm3(circuit, amplitudes=vector)).gates[-len(circuit.gates) :] == circuit.gates
    )


def long_range_layer(n, connectivity, first):
    """The paper's layer: for d = 1…C a ring of CNOT(q → q+d), each followed by RY on its target."""
    laid = []
    for distance in range(1, connectivity + 1):
        for qubit in range(n):
            target = (qubit + distance) % n
            laid += [gate("CNOT", (qubit, target)), gate("RY", target, Weight(first))]
            first += 1
    return laid, first


def long_range_pqc(n, connectivity, layers, ry_column, first):
    laid = []
    for layer in range(layers):
        more, first = long_range_layer(n, connectivity, first)
        laid += more
        if layer == 0 and ry_column:
            laid += [gate("RY", qubit, Weight(first + qubit)) for qubit in range(n)]
            first += n
    return laid, first


@pytest.mark.parametrize("ry_column", [True, False])
@pytest.mark.parametrize(
    ("n", "connectivity", "layers", "reuploads"), [(4, 2, 3, 1), (4, 2, 1, 3), (5, 4, 2, 2)]
)
def test_long_range_reupload_is_the_paper_gate_by_gate(n, connectivity, layers, reuploads, ry_column):
    upload = [gate("RY", qubit, Feature((qubit,))) for qubit in range(n)]
    first, next_weight = long_range_pqc(n, connectivity, layers, ry_column, 0)
    second, n_weights = long_range_pqc(n, connectivity, layers, ry_column, next_weight)
    circuit = load_circuit(
        "long-range-reupload",
        n,
        connectivity=connectivity,
        layers=layers,
        reuploads=reuploads,
        ry_column=ry_column,
    )
    assert list(circuit.gates) == (upload + first) * reuploads + second
    assert (circuit.n_features, circuit.n_weights) == (n, n_weights)
    assert circuit.observables == (PauliString.on("Z", 0),)
    assert circuit.start is Start.ZERO
    assert circuit.is_real
    assert circuit.two_qubit_gates() == (reuploads + 1) * layers * connectivity * n


def test_long_range_encoder_is_the_papers_first_module():
    circuit = load_circuit("long-range-encoder", 4, connectivity=2, layers=3)
    assert list(circuit.gates) == long_range_pqc(4, 2, 3, True, 0)[0]
    assert circuit.start is Start.AMPLITUDES
    assert circuit.n_features == 0
    assert circuit.observables == tuple(PauliString.on("Z", qubit) for qubit in range(4))


def test_fresh_features_take_the_next_ones_each_time():
    circuit = load_circuit("long-range-reupload", 3, fresh_features=True, reuploads=3)
    used = [angle.indices[0] for each in circuit.gates for angle in each.angles if isinstance(angle, Feature)]
    assert used == list(range(9))


def test_strongly_entangling_distances_grow_and_wrap():
    circuit = load_circuit("strongly-entangling", 4, layers=4)
    distances = [(b - a) % 4 for a, b in (each.qubits for each in circuit.gates if len(each.qubits) == 2)]
    assert distances == [1] * 4 + [2] * 4 + [3] * 4 + [1] * 4


def test_iqp_phases_are_features_and_their_products():
    circuit = load_circuit("iqp", 3, uploads=1, layers=1)
    phases = [each.angles[0] for each in circuit.gates if each.type.name in ("RZ", "RZZ")][:6]
    indices = [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)]
    assert phases == [Feature(each, 2.0) for each in indices]


def test_brickwork_alternates():
    pairs = [each.qubits for each in load_circuit("brickwork", 5, layers=1).gates if len(each.qubits) == 2]
    assert pairs == [(0, 1), (2, 3), (1, 2), (3, 4)]


def test_butterfly_doubles_its_distances():
    pairs = [each.qubits for each in load_circuit("butterfly", 5, layers=1).gates if len(each.qubits) == 2]
    assert [(b - a) % 5 for a, b in pairs] == [1] * 5 + [2] * 5 + [4] * 5
    assert load_circuit("butterfly", 5).is_real
    for n in (2, 16, 17, 600, 1000, 1121, 2000):
        assert load_recipe("butterfly").n_weights(n, {"layers": 1}) == n * (1 + math.ceil(math.log2(n)))


@pytest.mark.parametrize(
    ("n", "cone", "distances"),
    [
        (16, 16, [1, 2, 4, 8]),
        (128, 16, [1, 4, 16, 64]),
        (128, 28, [1, 4, 16, 64]),
        (128, 8, [1, 8, 64]),
        (128, 128, [1, 2, 4, 8, 16, 32, 64]),
        (100, 4, [1, 64]),
        (2, 16, [1]),
    ],
)
def test_long_range_sparse_leaves_distances_out_where_its_cone_is_capped(n, cone, distances):
    circuit = load_circuit("long-range-sparse", n, cone=cone)
    pairs = [each.qubits for each in circuit.gates if len(each.qubits) == 2]
    assert list(dict.fromkeys(b - a for a, b in pairs)) == distances
    # The pairs of a layer are disjoint, and with a power of two they take every qubit.
    for distance in distances:
        taken = [qubit for a, b in pairs if b - a == distance for qubit in (a, b)]
        assert len(taken) == len(set(taken))
        assert len(taken) == n or n & (n - 1)


def test_long_range_sparse_counts_powers_up_to_the_largest_circuit():
    for n in (3, 17, 600, 1000, 1121, 2000):
        resolved = load_recipe("long-range-sparse").resolve(n, {"cone": 2048})
        assert resolved["powers"] == resolved["layers"] == math.ceil(math.log2(n))


def test_product_has_no_entangler():
    assert load_circuit("product", 6).two_qubit_gates() == 0


def test_options_come_as_words_too():
    assert load_circuit("long-range-reupload", 4, connectivity="2", ry_column="false") == load_circuit(
        "long-range-reupload", 4, connectivity=2, ry_column=False
    )


@pytest.mark.parametrize(
    ("name", "n", "options", "said"),
    [
        ("long-range-reupload", 1, {}, "at least 2"),
        ("product", 0, {}, "at least 1"),
        ("long-range-reupload", 4, {"connectivity": 4}, "at most 3"),
        ("long-range-reupload", 4, {"connectivity": 0}, "at least 1"),
        ("long-range-reupload", 4, {"layers": 1.5}, "whole number"),
        ("long-range-reupload", 4, {"ry_column": 2}, "true or false"),
        ("product", 4, {"readout_qubits": 5}, "at most 4"),
        ("hardware-efficient", 4, {"entangler": "CN"}, "'CNOT'"),
        ("long-range-reupload", 4, {"conectivity": 2}, "'connectivity'"),
        ("long-range-reupload", 4, {"n": 2}, "unknown option"),
    ],
)
def test_bad_options_are_refused_in_one_line(name, n, options, said):
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        load_circuit(name, n, **options)
    assert "\n" not in str(caught.value)


def test_an_unknown_circuit_offers_the_nearest():
    with pytest.raises(UnknownNameError) as caught:
        load_circuit("long-range-reuplaod", 4)
    assert caught.value.nearest == "long-range-reupload"


def test_numbers_of_numpys_are_options():
    two: Any = np.int32(2)
    no: Any = np.False_
    assert load_circuit("rot-ring", two, layers=two) == load_circuit("rot-ring", 2, layers=2)
    assert not load_circuit("data-reuploading", 2, entangled=no).two_qubit_gates()
    with pytest.raises(InputError, match="whole number"):
        load_circuit("rot-ring", 2, layers=np.float64(2.5))
