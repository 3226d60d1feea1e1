"""From flat `key=value` settings, as a user writes them, to a head's options."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from hybridqies.circuit import load_recipe
from hybridqies.errors import UnknownNameError
from hybridqies.heads.registry import QUANTUM_HEADS, head_class

_ENCODER, _CIRCUIT = "encoder.", "circuit."


def head_options(
    head: str, settings: Mapping[str, Any], circuit: str | None = None, n_qubits: int | None = None
) -> dict[str, Any]:
    """The options of `head` that `settings` mean.

    A key is a field of the head's config, or an option of its circuit's recipe
    (`circuit.` before it when both have it); `encoder.` before a key makes it an
    option of the encoder's recipe.

    Raises
    ------
    UnknownNameError: a key that neither has; the nearest is offered.
    """
    fields = {field.name for field in dataclasses.fields(head_class(head).Config)}  # type: ignore[arg-type]
    options: dict[str, Any] = {}
    if head in QUANTUM_HEADS:
        options |= {} if circuit is None else {"circuit": circuit}
        options |= {} if n_qubits is None else {"n_qubits": n_qubits}
    recipes = _recipe_options(head, settings, circuit)
    for key, value in settings.items():
        prefix = next((p for p in (_ENCODER, _CIRCUIT) if key.startswith(p)), "")
        plain = key.removeprefix(prefix)
        if not prefix and key in fields:
            options[key] = value
        elif prefix in (_ENCODER, _CIRCUIT) and plain in recipes.get(prefix, ()):
            options.setdefault(f"{prefix[:-1]}_options", {})[plain] = value
        elif not prefix and key in recipes.get(_CIRCUIT, ()):
            options.setdefault("circuit_options", {})[key] = value
        else:
            known = (
                fields
                | set(recipes.get(_CIRCUIT, ()))
                | {_ENCODER + name for name in recipes.get(_ENCODER, ())}
            )
            raise UnknownNameError(
                f"setting of head {head!r}:", key, known - {"circuit_options", "encoder_options"}
            )
    return options


def _recipe_options(head: str, settings: Mapping[str, Any], circuit: str | None) -> dict[str, set[str]]:
    """The option names of the recipes a head uses, by prefix."""
    if head not in QUANTUM_HEADS:
        return {}
    defaults = {field.name: field.default for field in dataclasses.fields(head_class(head).Config)}  # type: ignore[arg-type]
    named = {_CIRCUIT: circuit or settings.get("circuit", defaults["circuit"])}
    if "encoder_circuit" in defaults:
        named[_ENCODER] = settings.get("encoder_circuit", defaults["encoder_circuit"])
    return {
        prefix: {option.name for option in load_recipe(str(name)).options} for prefix, name in named.items()
    }
