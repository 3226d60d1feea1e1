"""Layers of a model chosen by their names."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from hybridqies.errors import InputError, UnknownNameError, nearest


def choose_layers(
    patterns: str | Iterable[str], layers: Iterable[str], others: Iterable[str] = (), *, todo: str = ""
) -> list[str]:
    """The names among `layers` that a pattern fits, and those among `others` that one names, in their order.

    A pattern is a whole name or, where none is the same, the end of names from a dot on ("k_proj",
    "attention.query"). Or it has the wildcards * ? [ ], which fit a whole name or its last part.
    `others` are modules of other kinds: wildcards leave them out.

    Raises
    ------
    UnknownNameError: a pattern fits nothing; the nearest name is offered.
    InputError: there is no pattern.
    """
    names, rest = list(layers), list(others)
    given = [patterns] if isinstance(patterns, str) else list(patterns)
    if not given or "" in given:
        raise InputError(f"layers were given as {given!r}", expected="names of layers, or patterns")
    chosen: set[str] = set()
    for pattern in given:
        fitting = _fitting(pattern, names, rest)
        if not fitting:
            raise UnknownNameError("layer", pattern, _known(pattern, names), todo=todo)
        chosen.update(fitting)
    return [name for name in dict.fromkeys([*names, *rest]) if name in chosen]


def has_wildcards(pattern: str) -> bool:
    """Whether `choose_layers` reads it as more than a name."""
    return any(sign in pattern for sign in "*?[")


def refuse_shared(model: Any, chosen: Iterable[str]) -> None:
    """Refuses layers of a torch model that have a parameter in common with another one.

    Raises
    ------
    InputError: naming both.
    """
    found = set(chosen)
    owners: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owners.setdefault(id(parameter), []).append(name)
    for names in owners.values():
        own = [name for name in names if name.rpartition(".")[0] in found]
        if own and len(names) > 1:
            other = next(name for name in names if name != own[0])
            raise InputError(
                f"layer {own[0].rpartition('.')[0]!r} shares its weight with {other!r}",
                expected="layers with a weight of their own",
                todo="leave it out of the layers",
            )


def _fitting(pattern: str, layers: list[str], others: list[str]) -> list[str]:
    if has_wildcards(pattern):
        return [name for name in layers if fnmatchcase(name, pattern) or fnmatchcase(_last(name), pattern)]
    every = [*layers, *others]
    return [pattern] if pattern in every else [name for name in every if name.endswith(f".{pattern}")]


def _known(pattern: str, names: list[str]) -> set[str]:
    """What the message lists: the last parts of names, which are few, and the nearest whole name."""
    known = set(map(_last, names))
    close = nearest(pattern, names) if "." in pattern else None
    return known if close is None else known | {close}


def _last(name: str) -> str:
    return name.rpartition(".")[2]
