"""Classes by name: the rows of a table of this package, and what other packages announce as entry points."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from hybridqies.errors import CapabilityError, UnknownNameError

Kind = TypeVar("Kind")


def class_names(rows: Mapping[str, str], group: str) -> list[str]:
    """Every name: those of the table, then those that installed packages announce in `group`."""
    return [*rows, *_announced(group, tuple(rows))]


def find_class(what: str, name: str, rows: Mapping[str, str], group: str, base: type[Kind]) -> type[Kind]:
    """The class of that name, a subclass of `base`; `what` is the kind of thing, such as "backend".

    Raises
    ------
    UnknownNameError: nothing has that name; the nearest is offered.
    CapabilityError: another package announces it, and it cannot be loaded or is no subclass of `base`.
    """
    if name in rows:
        module, _, attribute = rows[name].partition(":")
        found: type[Kind] = getattr(importlib.import_module(module), attribute)
        return found
    announced = _announced(group, tuple(rows))
    if name not in announced:
        raise UnknownNameError(what, name, [*rows, *announced])
    return _load(what, name, announced[name], base)


@cache
def _announced(group: str, taken: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Entry points by name; one whose name is taken has its package's name before it: `other.aer`."""
    found = {}
    for point in entry_points(group=group):
        found[f"{_package(point)}.{point.name}" if point.name in taken else point.name] = point
    return found


def _load(what: str, name: str, point: EntryPoint, base: type[Kind]) -> type[Kind]:
    try:
        found = point.load()
    except Exception as error:  # Another package's module can raise anything when it is imported.
        raise CapabilityError(
            f"{what} {name!r} of package {_package(point)} cannot be loaded "
            f"({type(error).__name__}: {error})",
            todo="repair or remove that package",
        ) from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise CapabilityError(
            f"{what} {name!r} of package {_package(point)} is {found!r}",
            expected=f"a subclass of {base.__module__}.{base.__qualname__}",
        )
    return found


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "unknown"
