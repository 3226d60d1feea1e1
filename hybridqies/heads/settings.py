"""From flat `key=value` settings, as a user writes them, to a head's options."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridqies.circuit import Circuit, load_recipe
from hybridqies.errors import InputError, UnknownNameError
from hybridqies.heads.registry import head_class, quantum_heads

if TYPE_CHECKING:
    from hybridqies.heads.base import Head

_CIRCUIT = "circuit"


def head_options(
    head: str,
    settings: Mapping[str, Any],
    circuit: str | Circuit | None = None,
    n_qubits: int | None = None,
) -> dict[str, Any]:
    """The options of `head` that `settings` mean.

    A key is a field of the head's config, or an option of a recipe that the head uses, with the circuit's
    part before it: `encoder.layers`, `circuit.layers`. `circuit.` may be left out where the head has no
    field of that name. In Python `__` may stand for the dot: `encoder__layers`. A `circuit` that is laid
    out already has no options, and its file says how many qubits it has.

    Raises
    ------
    UnknownNameError: a key that means nothing to this head; the nearest is offered.
    InputError: a circuit for a head that has none, or one thing given twice.
    """
    found = head_class(head)
    options = _given_beside(found, settings, circuit, n_qubits)
    places = _places(found, settings, circuit)
    for given, value in settings.items():
        key = given.replace("__", ".")
        if key not in places:
            known = {each for each in places if not each.startswith(f"{_CIRCUIT}.")}
            raise UnknownNameError(f"setting of head {head!r}:", given, known)
        *outer, name = places[key]
        home = options
        for each in outer:
            home = home.setdefault(each, {})
        if name in home:
            raise InputError(f"{given!r} was given twice among the settings", expected="it once")
        home[name] = value
    if not isinstance(circuit, Circuit):
        _take_qubits_of_file(options)
    return options


def _take_qubits_of_file(options: dict[str, Any]) -> None:
    """A circuit whose file lays it out has as many qubits as it says, and not the head's usual number."""
    named = options.get(_CIRCUIT)
    fixed = load_recipe(named).fixed if isinstance(named, str | Path) else None
    if fixed is not None:
        options.setdefault("n_qubits", fixed.n_qubits)


def _given_beside(
    head: type[Head], settings: Mapping[str, Any], circuit: str | Circuit | None, n_qubits: int | None
) -> dict[str, Any]:
    """What is given beside the settings; refused where the settings have it too."""
    name = circuit.name if isinstance(circuit, Circuit) else circuit
    given = {key: value for key, value in ((_CIRCUIT, name), ("n_qubits", n_qubits)) if value is not None}
    if given and not head.runs_circuit:
        raise InputError(
            f"head {head.name!r} was given {' and '.join(given)}, and has no circuit",
            expected=f"one of {', '.join(quantum_heads())} with a circuit or qubits",
        )
    for key in given:
        if key in settings:
            raise InputError(f"{key!r} was given twice, once among the settings", expected="it once")
    return given


def _places(
    head: type[Head], settings: Mapping[str, Any], circuit: str | Circuit | None
) -> dict[str, tuple[str, ...]]:
    """Where the value of each key goes: a field, or a field and a name within its value."""
    recipe_fields = {f"{part}_options" for part in head.recipes}
    places: dict[str, tuple[str, ...]] = {}
    for field, kind in typing.get_type_hints(head.Config).items():
        if dataclasses.is_dataclass(kind):
            places |= {inner.name: (field, inner.name) for inner in dataclasses.fields(kind)}
        elif field not in recipe_fields:
            places[field] = (field,)
    for part, names in _recipe_options(head, settings, circuit).items():
        places |= {f"{part}.{name}": (f"{part}_options", name) for name in names}
        if part == _CIRCUIT:
            places = {name: (f"{part}_options", name) for name in names} | places
    return places


def _recipe_options(
    head: type[Head], settings: Mapping[str, Any], circuit: str | Circuit | None
) -> dict[str, list[str]]:
    """The names of the options of every recipe that the head uses, by the circuit's part."""
    defaults = {field.name: field.default for field in dataclasses.fields(head.Config)}
    names = {part: settings.get(field, defaults[field]) for part, field in head.recipes.items()}
    if circuit is not None and _CIRCUIT in names:
        names[_CIRCUIT] = circuit
    return {
        part: [option.name for option in load_recipe(str(recipe)).options]
        for part, recipe in names.items()
        if not isinstance(recipe, Circuit)
    }
