"""Packages whose members are imported when they are first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any


def import_lazily(
    package: str, names: Sequence[str], modules: Sequence[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package that offers `names` from its `modules`, in their order.

    Put light modules first: importing what they define then leaves the others alone.
    """

    def find(name: str) -> Any:
        if name in names:
            for module in modules:
                found = importlib.import_module(f"{package}.{module}")
                if hasattr(found, name):
                    return getattr(found, name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find, lambda: sorted(names)
