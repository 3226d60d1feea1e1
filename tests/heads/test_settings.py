"""Flat settings become a head's options, each key where it belongs, anything else refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hybridqies.circuit import load_circuit, to_openqasm3
from hybridqies.errors import InputError, UnknownNameError
from hybridqies.heads import head_class, head_options


def test_a_key_goes_where_it_belongs() -> None:
    settings = {"encoders": 2, "layers": 3, "circuit.connectivity": 2, "encoder.layers": 5, "merge": "sum"}
    assert head_options("two-module", settings, "long-range-reupload", 6) == {
        "circuit": "long-range-reupload",
        "n_qubits": 6,
        "encoders": 2,
        "merge": "sum",
        "circuit_options": {"layers": 3, "connectivity": 2},
        "encoder_options": {"layers": 5},
    }


def test_two_underscores_stand_for_the_dot() -> None:
    assert head_options("two-module", {"encoder__layers": 5, "circuit__layers": 3}) == head_options(
        "two-module", {"encoder.layers": 5, "circuit.layers": 3}
    )
    with pytest.raises(UnknownNameError, match=r"'encoder__layer'.*did you mean 'encoder.layers'"):
        head_options("two-module", {"encoder__layer": 5})


@pytest.mark.parametrize(
    "settings",
    [
        {"layers": 3, "circuit.layers": 2},
        {"encoder.layers": 3, "encoder__layers": 3},
    ],
)
def test_a_setting_under_two_names_is_given_twice(settings: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"'(circuit\.layers|encoder__layers)' was given twice"):
        head_options("two-module", settings)


def test_options_follow_the_circuit_that_is_asked_for() -> None:
    assert head_options("dressed", {"pairs": "ring"}, "iqp") == {
        "circuit": "iqp",
        "circuit_options": {"pairs": "ring"},
    }
    assert head_options("dressed", {"circuit": "iqp", "pairs": "ring"})["circuit_options"] == {
        "pairs": "ring"
    }
    with pytest.raises(UnknownNameError, match="unknown setting of head 'dressed': 'pairs'"):
        head_options("dressed", {"pairs": "ring"}, "product")


def test_a_recipe_file_has_its_own_options(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'title = "One column"\nreference = "none"\nweights = "depth * n"\n'
        'layers = [{ encode = "RY" }, { repeat = "depth", layers = [{ rotate = "RY" }] }]\n'
        'measure = [{ pauli = "Z" }]\n[options]\ndepth = { default = 1, min = 1, help = "columns" }\n'
    )
    assert head_options("dressed", {"depth": 3}, str(file))["circuit_options"] == {"depth": 3}


@pytest.mark.parametrize(
    ("head", "key", "near"),
    [
        ("two-module", "merg", "merge"),
        ("two-module", "conectivity", "connectivity"),
        ("two-module", "encoder.layer", "encoder.layers"),
        ("two-module", "encoder.reuploads", None),
        ("dressed", "encoders", None),
        ("mlp", "width", "widths"),
        ("logistic", "layers", None),
        ("two-module", "circuit_options", None),
    ],
)
def test_unknown_keys(head: str, key: str, near: str | None) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown setting of head '{head}': '{key}'") as caught:
        head_options(head, {key: 1})
    if near:
        assert caught.value.nearest == near
    assert "circuit_options" not in str(caught.value).partition("expected")[2]


def test_unknown_heads_and_circuits_offer_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        head_class("two_module")
    assert caught.value.nearest == "two-module"
    with pytest.raises(UnknownNameError) as caught:
        head_options("two-module", {}, "long-range-upload")
    assert caught.value.nearest == "long-range-reupload"
    with pytest.raises(UnknownNameError) as caught:
        head_options("two-module", {"encoder_circuit": "long-range-encode"})
    assert caught.value.nearest == "long-range-encoder"


@pytest.mark.parametrize("head", ["logistic", "mlp", "svc"])
def test_a_classical_head_has_no_circuit(head: str) -> None:
    with pytest.raises(InputError, match=f"head '{head}' was given circuit and n_qubits, and has no circuit"):
        head_options(head, {}, "iqp", 4)


def test_nothing_is_given_twice() -> None:
    with pytest.raises(InputError, match="'n_qubits' was given twice"):
        head_options("dressed", {"n_qubits": 4}, None, 5)
    with pytest.raises(InputError, match="'circuit' was given twice"):
        head_options("dressed", {"circuit": "iqp"}, "product")


@pytest.mark.parametrize("head", ["dressed", "two-module", "quantum-kernel"])
def test_a_program_says_how_many_qubits_it_has(head: str, tmp_path: Path) -> None:
    program = tmp_path / "own.qasm"
    program.write_text(to_openqasm3(load_circuit("iqp", 3)))
    assert head_options(head, {}, str(program))["n_qubits"] == 3
    assert head_options(head, {"circuit": str(program)})["n_qubits"] == 3
    assert head_options(head, {}, str(program), 5)["n_qubits"] == 5
    assert "n_qubits" not in head_options(head, {}, "iqp")


def test_a_circuit_that_is_laid_out_has_no_options_left() -> None:
    circuit = load_circuit("iqp", 3)
    assert head_options("dressed", {"spread": 1.0}, circuit) == {"circuit": "iqp", "spread": 1.0}
    with pytest.raises(UnknownNameError, match="'layers'"):
        head_options("dressed", {"layers": 3}, circuit)
