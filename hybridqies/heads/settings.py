"""From flat `key=value` settings, as a user writes them, to a head's options."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from hybridqies.circuit import Circuit, load_recipe
from hybridqies.errors import InputError, UnknownNameError
from hybridqies.heads.registry import QUANTUM_HEADS, head_class

_ENCODER, _CIRCUIT = "encoder.", "circuit."
_NESTED = {"circuit_options", "encoder_options", "amplitudes"}


def head_options(
    head: str,
    settings: Mapping[str, Any],
    circuit: str | Circuit | None = None,
    n_qubits: int | None = None,
) -> dict[str, Any]:
    """The options of `head` that `settings` mean.

    A key is a field of the head's config, or an option of its circuit's recipe
    (`circuit.` before it when both have it); `encoder.` before a key makes it an
    option of the encoder's recipe. A `circuit` that is laid out already has no options.

    Raises
    ------
    UnknownNameError: a key that neither has; the nearest is offered.
    InputError: a circuit for a head that has none, or one thing given twice.
    """
    config = head_class(head).Config
    nested = _nested_fields(config)
    fields = ({field.name for field in dataclasses.fields(config)} | set(nested)) - _NESTED
    options = _own_options(head, settings, circuit, n_qubits)
    recipes = _recipe_options(head, settings, circuit)
    for key, value in settings.items():
        prefix = next((p for p in (_ENCODER, _CIRCUIT) if key.startswith(p)), "")
        plain = key.removeprefix(prefix)
        if not prefix and key in nested:
            options.setdefault(nested[key], {})[key] = value
        elif not prefix and key in fields:
            options[key] = value
        elif plain in recipes.get(prefix or _CIRCUIT, ()):
            options.setdefault(f"{(prefix or _CIRCUIT)[:-1]}_options", {})[plain] = value
        else:
            ours, theirs = recipes.get(_CIRCUIT, set()), recipes.get(_ENCODER, set())
            known = fields | ours | {_ENCODER + name for name in theirs}
            raise UnknownNameError(f"setting of head {head!r}:", key, known)
    return options


def _nested_fields(config: type) -> dict[str, str]:
    """The fields of a config's own configs, and the field each of those is: settings name them plainly."""
    return {
        inner.name: field.name
        for field in dataclasses.fields(config)
        if dataclasses.is_dataclass(field.default)
        for inner in dataclasses.fields(field.default)
    }


def _own_options(
    head: str, settings: Mapping[str, Any], circuit: str | Circuit | None, n_qubits: int | None
) -> dict[str, Any]:
    """What is given beside the settings, refused where the settings say it too."""
    name = circuit.name if isinstance(circuit, Circuit) else circuit
    given = {key: value for key, value in (("circuit", name), ("n_qubits", n_qubits)) if value is not None}
    if given and head not in QUANTUM_HEADS:
        raise InputError(
            f"head {head!r} was given {' and '.join(given)}, and has no circuit",
            expected=f"one of {', '.join(QUANTUM_HEADS)} with a circuit or qubits",
        )
    for key in given:
        if key in settings:
            raise InputError(f"{key!r} was given twice, once among the settings", expected="it once")
    return given


def _recipe_options(
    head: str, settings: Mapping[str, Any], circuit: str | Circuit | None
) -> dict[str, set[str]]:
    """The option names of the recipes a head uses, by prefix."""
    if head not in QUANTUM_HEADS:
        return {}
    defaults = {field.name: field.default for field in dataclasses.fields(head_class(head).Config)}
    named: dict[str, Any] = {}
    if not isinstance(circuit, Circuit):
        named[_CIRCUIT] = circuit or settings.get("circuit", defaults["circuit"])
    if "encoder_circuit" in defaults:
        named[_ENCODER] = settings.get("encoder_circuit", defaults["encoder_circuit"])
    return {
        prefix: {option.name for option in load_recipe(str(name)).options} for prefix, name in named.items()
    }
