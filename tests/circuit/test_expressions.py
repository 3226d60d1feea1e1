from __future__ import annotations

import pytest

from hybridqies.circuit.expressions import Value, evaluate, whole, whole_numbers
from hybridqies.errors import CircuitError, UnknownNameError

NAMES: dict[str, Value] = {"n": 5, "layers": 3, "ry_column": True, "entangler": "CZ"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2 * (layers + 1) * n", 40),
        ("n // 2", 2),
        ("n % 3", 2),
        ("2 ** n", 32),
        ("-n + 1", -4),
        ("min(3, n - 1)", 3),
        ("max(n, layers, 9)", 9),
        ("1 if ry_column else 0", 1),
        ("1 if not ry_column else 0", 0),
        ("layers == 3 and n > 4", True),
        ("layers != 3 or n >= 6", False),
        ("n < 5", False),
        ("n <= 5", True),
        ("n > 5 and 1 // 0 > 0", False),
        (" n ", 5),
        ("0.5 * n", 2.5),
        (7, 7),
        (0.25, 0.25),
        (True, True),
    ],
)
def test_value(text, value):
    assert evaluate(text, NAMES) == value


@pytest.mark.parametrize(
    "text",
    [
        "n +",
        "",
        "n / 2",
        "n[0]",
        "__import__('os')",
        "n.bit_length()",
        "abs(n)",
        "min(n, key=1)",
        "'word'",
        "1 // 0",
        "1 % 0",
        "1 < n < 9",
        "lambda: n",
        "[n]",
        "9 ** 9 ** 9",
        "entangler + 1",
        "\0",
    ],
)
def test_anything_else_is_refused_in_one_line(text):
    with pytest.raises(CircuitError) as caught:
        evaluate(text, NAMES)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(UnknownNameError) as caught:
        evaluate("layer * n", NAMES)
    assert caught.value.nearest == "layers"


def test_whole_refuses_fractions():
    assert whole("n * layers", NAMES) == 15
    with pytest.raises(CircuitError, match="whole number"):
        whole("n * 0.5", NAMES)


@pytest.mark.parametrize(
    ("given", "numbers"),
    [
        ("1..layers", [1, 2, 3]),
        ("n..n", [5]),
        ("2..1", []),
        (["n", 1, "layers - 1"], [5, 1, 2]),
        (4, [4]),
        ("n", [5]),
    ],
)
def test_whole_numbers(given, numbers):
    assert whole_numbers(given, NAMES) == numbers


@pytest.mark.parametrize("bracket", ["[", "{", "("])
def test_refuses_what_pythons_parser_cannot_hold(bracket):
    with pytest.raises(CircuitError, match="cannot be evaluated"):
        evaluate(f"n + {bracket * 900}", NAMES)
