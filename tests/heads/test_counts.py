"""Every head of the table says how many parameters it has, and why, over grids of its options."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import Any

import pytest
import torch
from built_heads import built_head
from head_rows import HEAD_ROWS

from hybridqies.circuit import load_recipe
from hybridqies.errors import InputError
from hybridqies.heads import HEADS
from hybridqies.heads.base import Head, Term

D = 13
# Their size is known once they are solved.
GROWING = ("svc", "quantum-kernel")


def value_of(term: Term) -> int:
    """The term's formula, computed from its text alone."""
    text = term.formula.replace(" support vectors", "")
    outer = re.fullmatch(r"(\d+) \* \((.*)\)", text) if " with " in text else None
    times, text = (int(outer[1]), outer[2]) if outer else (1, text)
    formula, _, stated = text.partition(" with ")
    names = dict(part.split("=") for part in stated.split(", ") if part)
    return times * int(
        eval(formula, {"__builtins__": {}}, {key: ast.literal_eval(names[key]) for key in names})
    )


def check(head: Head) -> None:
    described = head.describe()
    assert described.n_parameters == head.n_trained()
    assert [value_of(term) for term in described.terms] == [term.value for term in described.terms]
    assert described.head == head.name


def test_every_head_has_a_row() -> None:
    assert set(HEAD_ROWS) == set(HEADS)


@pytest.mark.parametrize("n_classes", [2, 6])
@pytest.mark.parametrize("name", [name for name in HEADS if name not in GROWING])
def test_count_equals_formula_and_trained_values(name: str, n_classes: int) -> None:
    built = 0
    for options in HEAD_ROWS[name].options:
        if _takes_no_features(options):
            with pytest.raises(InputError, match="expected one with angle features"):
                built_head(name, D, n_classes, **options)
            continue
        head = built_head(name, D, n_classes, **options)
        check(head)
        assert head.n_trained() == sum(value.numel() for value in head.parameters())
        assert head(torch.randn(3, D)).shape == (3, n_classes)
        built += 1
    assert built >= 1


def _takes_no_features(options: dict[str, Any]) -> bool:
    return load_recipe(options.get("circuit", "product")).build(4, {}).n_features == 0


@pytest.mark.parametrize("n_classes", [2, 6])
@pytest.mark.parametrize(
    ("name", "options"), [(name, options) for name in GROWING for options in HEAD_ROWS[name].options], ids=str
)
def test_a_support_vector_classifier_counts_what_it_keeps(
    name: str, options: dict[str, Any], n_classes: int
) -> None:
    head = built_head(name, D, n_classes, **options)
    draw = torch.Generator().manual_seed(1)
    labels = torch.arange(60) % n_classes
    rows = torch.randn(60, D, generator=draw) + labels[:, None]
    head.adapt(rows)
    head.solve(rows, labels, None, 0)  # type: ignore[operator]
    check(head)
    kept = head.state_dict()
    assert head.n_trained() == len(kept["vectors"]) * (n_classes - 1) + len(kept["intercepts"])


def test_the_papers_counts() -> None:
    """Logistic regression and MLPs on 768 numbers, two classes: arXiv:2504.08732 counts 769 and 37,010."""
    assert built_head("logistic", 768).n_trained() == 769
    assert built_head("mlp", 768, widths=()).n_trained() == 1538
    assert built_head("mlp", 768, widths=(48,)).n_trained() == 37010
    assert built_head("mlp", 768, widths=(192,)).n_trained() == 148034


@cache
def counts_of_mlps(n_classes: int) -> list[int]:
    """How many parameters MLPs of one hidden layer have, from 1 to 319 wide."""
    return [built_head("mlp", D, n_classes, widths=(width,)).n_trained() for width in range(1, 320)]


@pytest.mark.parametrize("n_classes", [2, 3, 6])
@pytest.mark.parametrize("target", [1, 14, 15, 33, 100, 193, 355, 688, 886, 4000])
def test_matched_mlp_is_the_closest_width(target: int, n_classes: int) -> None:
    head = built_head("matched-mlp", D, n_classes, target=target)
    assert abs(head.n_trained() - target) == min(abs(count - target) for count in counts_of_mlps(n_classes))
    assert head.describe().note == f"target {target}, off by {head.n_trained() - target:+d}"


def test_a_start_is_a_function_of_its_seed() -> None:
    for name in ("two-module", "dressed", "mlp"):
        options: dict[str, Any] = {"n_qubits": 4} if name != "mlp" else {}
        first, again = (built_head(name, D, seed=5, **options).state_dict() for _ in range(2))
        other = built_head(name, D, seed=6, **options).state_dict()
        assert all(torch.equal(first[key], again[key]) for key in first)
        assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", list(HEADS))
def test_building_leaves_the_global_generator_alone(name: str) -> None:
    before = torch.get_rng_state()
    built_head(name, D, **HEAD_ROWS[name].options[0])
    assert torch.equal(torch.get_rng_state(), before)
