"""How this package compiles: once for each kind of argument, kept on disk, without the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit
from numba.extending import overload

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """A function compiled on its first call with new kinds of arguments."""
    compiled: Function = njit(cache=True, nogil=True)(function)
    return compiled


def chosen_by_type(stub: Function) -> Callable[[Function], Function]:
    """Gives `stub` the implementation that the decorated function returns for the types of its arguments."""
    # Not strict: implementations carry no annotations, and numba compares those, too.
    decorator: Callable[[Function], Function] = overload(stub, strict=False)
    return decorator
