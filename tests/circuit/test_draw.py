from __future__ import annotations

import math
import warnings

import matplotlib as mpl
import pytest
from hypothesis import given, settings
from strategies import circuits, every_gate

from hybridqies.circuit import (
    Circuit,
    PauliString,
    Start,
    Weight,
    draw_picture,
    draw_text,
    feature,
    gate,
    load_circuit,
    picture,
)
from hybridqies.circuit.draw import angle_label, gate_label, pack
from hybridqies.errors import InputError

MAGIC = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


def test_text_of_a_small_circuit():
    circuit = Circuit.of(
        3,
        [
            gate("RY", 0, feature(0)),
            gate("CNOT", (0, 2)),
            gate("H", 1),
            gate("SWAP", (1, 2)),
            gate("CRZ", (2, 1), Weight(3)),
            gate("CZ", (0, 1)),
            gate("RZZ", (1, 0), feature(0, 1, scale=2.0)),
        ],
        [PauliString.parse("ZII"), PauliString.parse("XII"), PauliString.parse("IYZ")],
        name="small",
    )
    assert draw_text(circuit).splitlines() == [
        "small: 3 qubits, 7 gates, 5 two-qubit gates, 2 features, 4 weights, depth 6",
        "",
        "q0 |0⟩─┤RY(x0)├─●────────────────●─┤RZZ(2·x0·x1)├─⟨Z⟩⟨X⟩",
        "                │                │       │",
        "q1 |0⟩──────────┼─┤H├─×─┤RZ(w3)├─●─────┤RZZ├──────",
        "                │     │    │",
        "q2 |0⟩──────────⊕─────×────●──────────────────────",
        "",
        "reads ⟨Y1Z2⟩",
    ]


def test_text_of_a_start_from_amplitudes():
    circuit = Circuit.of(3, [gate("X", 1)], start=Start.AMPLITUDES)
    assert draw_text(circuit).splitlines()[2:] == [
        "q0 |ψ⟩┬─────⟨Z⟩",
        "      │",
        "q1    ├─┤X├─⟨Z⟩",
        "      │",
        "q2    └─────⟨Z⟩",
    ]


@pytest.mark.parametrize(
    ("angle", "label"),
    [
        (feature(0), "x0"),
        (feature(2, 0), "x0·x2"),
        (feature(1, 1, 0, scale=-1.0), "-x0·x1²"),
        (feature(3, scale=math.pi), "π·x3"),
        (Weight(12), "w12"),
        (Weight(3, -1.0), "-w3"),
        (Weight(3, 0.5), "0.5·w3"),
    ],
)
def test_angle_labels(angle, label):
    assert angle_label(angle) == label


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (0.0, "0"),
        (math.pi, "π"),
        (-math.pi / 2, "-π/2"),
        (3 * math.pi / 4, "3π/4"),
        (2 * math.pi, "2π"),
        (0.3, "0.3"),
        (1e-3, "0.001"),
        (-2.71828, "-2.72"),
    ],
)
def test_constant_labels(value, label):
    assert gate_label(gate("RX", 0, value)) == f"RX({label})"


@settings(max_examples=60, deadline=None)
@given(circuits(max_gates=30))
def test_text_stays_within_its_width_and_draws_every_gate(circuit):
    text = draw_text(circuit, width=60)
    assert max(map(len, text.splitlines())) <= 60
    gates = [each for column in pack(circuit) for each in column]
    assert sorted(map(repr, gates)) == sorted(map(repr, circuit.gates))
    for each in circuit.gates:
        assert gate_label(each) in text or each.type.name in ("CNOT", "CZ", "SWAP")


def test_packing_keeps_the_order_on_every_wire():
    circuit = load_circuit("long-range-reupload", 5)
    packed = [each for column in pack(circuit) for each in column]
    for qubit in range(5):
        assert [each for each in packed if qubit in each.qubits] == [
            each for each in circuit.gates if qubit in each.qubits
        ]


def test_a_narrow_width_is_refused():
    with pytest.raises(InputError, match="at least 40"):
        draw_text(every_gate(), width=20)


@pytest.mark.parametrize("suffix", MAGIC)
def test_pictures(tmp_path, suffix):
    before = dict(mpl.rcParams)
    draw_picture(every_gate(), tmp_path / f"circuit{suffix}")
    assert (tmp_path / f"circuit{suffix}").read_bytes().startswith(MAGIC[suffix])
    assert [path.name for path in tmp_path.iterdir()] == [f"circuit{suffix}"]
    assert dict(mpl.rcParams) == before


def test_an_unknown_suffix_writes_nothing(tmp_path):
    with pytest.raises(InputError, match=r"\.png"):
        draw_picture(every_gate(), tmp_path / "circuit.bmp")
    assert list(tmp_path.iterdir()) == []


def texts_of(circuit, monkeypatch, path):
    written = []
    original = picture._Pen.text
    monkeypatch.setattr(
        picture._Pen,
        "text",
        lambda pen, x, y, text, *rest, **style: (
            written.append(text) or original(pen, x, y, text, *rest, **style)
        ),
    )
    draw_picture(circuit, path)
    return written


def test_a_picture_holds_every_gate_and_a_legend(tmp_path, monkeypatch):
    circuit = load_circuit("iqp", 4)
    written = texts_of(circuit, monkeypatch, tmp_path / "circuit.svg")
    assert {"feature", "weight", "fixed", "iqp"} <= set(written)
    assert written.count("RZZ") == 2 * sum(each.type.name == "RZZ" for each in circuit.gates)
    assert written.count("H") == 8
    assert written.count("⟨Z⟩") == 4


def test_a_name_in_letters_that_no_font_has_is_escaped(tmp_path, monkeypatch):
    from matplotlib import font_manager

    from hybridqies import figures

    standard = [font for font in font_manager.fontManager.ttflist if font.name == "DejaVu Sans"]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", standard)
    figures._font_with.cache_clear()
    try:
        circuit = Circuit.of(1, [gate("RX", 0, Weight(0))], name="量子: $x_0$\n" + "é" * 100)
        with warnings.catch_warnings():
            # matplotlib says so where a font lacks a letter.
            warnings.simplefilter("error")
            written = texts_of(circuit, monkeypatch, tmp_path / "circuit.svg")
    finally:
        figures._font_with.cache_clear()
    (name,) = (text for text in written if "é" in text)
    assert name == r"\u91cf\u5b50: \$x_0\$\n" + "é" * 49 + "…"


def test_a_picture_that_breaks_off_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(picture, "MAX_GATES", 20)
    circuit = Circuit.of(1, [gate("RX", 0, Weight(0))] * 50)
    written = texts_of(circuit, monkeypatch, tmp_path / "circuit.svg")
    assert written.count("RX") == 20
    assert "Breaks off: 20 gates are drawn, 30 more are not." in written
