"""How this package compiles: once for each kind of argument, kept on disk, without the interpreter's lock."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from numba import njit
from numba.extending import overload

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """A function compiled on its first call with new kinds of arguments.

    What is kept on disk is good for these sources of the engine alone. Numba by itself asks only the
    function's own file whether it has changed, and functions of other files are compiled into it.
    """
    compiled: Any = njit(cache=True, nogil=True)(function)
    try:
        compiled._cache._cache_file._source_stamp = _digest_of_sources()
    except AttributeError:
        # A Numba that keeps its stamp elsewhere: better compiled in every process than stale.
        compiled = njit(nogil=True)(function)
    result: Function = compiled
    return result


@cache
def _digest_of_sources() -> str:
    """A digest of every file of the engine."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def chosen_by_type(stub: Function) -> Callable[[Function], Function]:
    """Gives `stub` the implementation that the decorated function returns for the types of its arguments."""
    # Not strict: implementations carry no annotations, and numba compares those, too.
    decorator: Callable[[Function], Function] = overload(stub, strict=False)
    return decorator
