"""The shape of a recipe: which keys it has, and what kind of value each of them holds."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

from hybridqies.circuit.expressions import MAX_VALUE
from hybridqies.errors import CircuitError, UnknownNameError

Check = Callable[[Any], bool]
Kind = tuple[str, Check]


MAX_OPTIONS = 100
MAX_NAME = 64
MAX_DEPTH = 64
"""Tables inside each other, and parts of a dotted key."""
# Strings and comments of TOML. Those without an end go as far as they can, so that a search takes one pass.
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?(?:"""|\Z)'
    r"|'''.*?(?:'''|\Z)"
    r'|"(?:\\[^\n]|[^"\\\n])*"?'
    r"|'[^'\n]*'?"
    r"|#[^\n]*",
    re.DOTALL,
)


def check_text(text: str, name: str) -> None:
    """Refuses TOML whose keys have so many parts that reading it takes time that grows with their square.

    Raises
    ------
    CircuitError: a key or a table's name has more than MAX_DEPTH parts.
    """
    # Quoted parts of keys may hold dots, commas and brackets of their own.
    for line in _STRING.sub("q", text).splitlines():
        for token in re.split(r"[,={}\[\]]", line.replace(" ", "").replace("\t", "")):
            if token.count(".") >= MAX_DEPTH:
                raise CircuitError(
                    f"recipe {name!r} has a key of {token.count('.') + 1} parts",
                    expected=f"at most {MAX_DEPTH}",
                )


def _is_value(given: Any) -> bool:
    # Python refuses to print integers of thousands of digits.
    if isinstance(given, int):
        return abs(given) <= MAX_VALUE
    return isinstance(given, float | str)


def _is_word(given: Any) -> bool:
    return isinstance(given, str)


def _list_of(check: Check) -> Check:
    return lambda given: isinstance(given, list) and all(map(check, given))


_WORD: Kind = ("a word in quotes", _is_word)
_WORDS: Kind = ("a list of words", _list_of(_is_word))
_NAMES: Kind = ("a gate's name or a list of them", lambda given: _is_word(given) or _list_of(_is_word)(given))
_WHOLE: Kind = (
    "a whole number",
    lambda given: isinstance(given, int) and not isinstance(given, bool) and _is_value(given),
)
_VALUE: Kind = ("a number, true, false or an expression in quotes", _is_value)
_VALUES: Kind = (
    "a number, an expression or a list of them",
    lambda given: _is_value(given) or _list_of(_is_value)(given),
)
_FORMULA: Kind = ("an expression in quotes", lambda given: _is_word(given) or _WHOLE[1](given))
_TABLE: Kind = ("a table", lambda given: isinstance(given, Mapping))
_LIST: Kind = ("a list of tables", lambda given: isinstance(given, list))

_RECIPE: Mapping[str, Kind] = {
    "title": _WORD,
    "reference": _WORD,
    "start": _WORD,
    "min_qubits": _WHOLE,
    "weights": _FORMULA,
    "options": _TABLE,
    "blocks": _TABLE,
    "layers": _LIST,
    "measure": _LIST,
}
_NEEDED = ("title", "reference", "weights", "layers", "measure")
_OPTION: Mapping[str, Kind] = {
    "default": _VALUE,
    "min": _VALUE,
    "max": _VALUE,
    "choices": _WORDS,
    "kind": ("'lattice'", lambda given: given == "lattice"),
    "help": _WORD,
}
# A key means the same in every kind of layer; `LayerBuilder` checks which kind may have which.
_LAYER: Mapping[str, Kind] = {
    "encode": _NAMES,
    "rotate": _NAMES,
    "entangle": _NAMES,
    "then": _NAMES,
    "repeat": _VALUE,
    "layers": _LIST,
    "index": _WORD,
    "block": _WORD,
    "when": _VALUE,
    "first": _VALUE,
    "scale": _VALUE,
    "share": _VALUE,
    "angle": _VALUE,
    "pattern": _WORD,
    "distances": _VALUES,
    "qubits": _VALUES,
}
_MEASURE: Mapping[str, Kind] = {
    "pauli": _WORD,
    "qubits": _VALUE,
    "pattern": _WORD,
    "distances": _VALUES,
}


def check_recipe(content: Mapping[str, Any], name: str) -> None:
    """Refuses a recipe with a key missing or unknown, or a value of the wrong kind, at any depth.

    Raises
    ------
    CircuitError: a key is missing, or its value is of another kind.
    UnknownNameError: a key that recipes don't have.
    """
    where = f"recipe {name!r}"
    for key in content:
        if key not in _RECIPE:
            raise UnknownNameError(f"key in {where}:", key, _RECIPE)
    for key in _NEEDED:
        if key not in content:
            raise CircuitError(
                f"{where} has no {key!r}", expected="title, reference, weights, layers and measure"
            )
    _check_table(content, _RECIPE, where)
    for what in ("options", "blocks"):
        _check_names(content.get(what, {}), f"{what} of {where}")
    for option, row in content.get("options", {}).items():
        _check_option(option, row, where)
    _check_layers(content["layers"], where)
    for block, layers in content.get("blocks", {}).items():
        _check(layers, _LIST, f"block {block!r} of {where}")
        _check_layers(layers, f"block {block!r} of {where}")
    for row in content["measure"]:
        _check(row, _TABLE, f"a 'measure' of {where}")
        _check_table(row, _MEASURE, f"a 'measure' of {where}")


def _check_names(table: Mapping[str, Any], what: str) -> None:
    if len(table) > MAX_OPTIONS:
        raise CircuitError(f"{len(table)} {what} are declared", expected=f"at most {MAX_OPTIONS}")
    for name in table:
        if len(name) > MAX_NAME:
            raise CircuitError(
                f"a name among the {what} has {len(name)} characters", expected=f"at most {MAX_NAME}"
            )


def _check_option(option: str, row: Any, where: str) -> None:
    what = f"option {option!r} of {where}"
    _check(row, _TABLE, what)
    for key in row:
        if key not in _OPTION:
            raise UnknownNameError(f"key in {what}:", key, _OPTION)
    if option == "n":
        raise CircuitError(f"{what} has the name of the number of qubits", expected="another name")
    if "default" not in row:
        raise CircuitError(f"{what} has no default")
    _check_table(row, _OPTION, what)
    choices = row.get("choices")
    if choices and row["default"] not in choices:
        raise CircuitError(
            f"{what} has the default {row['default']!r}", expected=f"one of {', '.join(choices)}"
        )


def _check_layers(layers: list[Any], where: str) -> None:
    for layer in layers:
        _check(layer, _TABLE, f"a layer of {where}")
        _check_table(layer, _LAYER, f"a layer of {where}")
        _check_layers(layer.get("layers", []), where)


def _check_table(table: Mapping[str, Any], kinds: Mapping[str, Kind], where: str) -> None:
    for key, given in table.items():
        if key in kinds:
            _check(given, kinds[key], f"{key!r} in {where}")


def _check(given: Any, kind: Kind, what: str) -> None:
    expected, fits = kind
    if not fits(given):
        raise CircuitError(f"{what} is {_shown(given)}", expected=expected)


def _shown(given: Any) -> str:
    try:
        return reprlib.repr(given)
    except ValueError:  # an integer of thousands of digits
        return "a number of thousands of digits"
