"""How kernels are compiled: once for each kind of argument, kept on disk, without the interpreter's lock."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from numba import njit
from numba.core.caching import FunctionCache
from numba.extending import overload

from hybridqies.engine.uncached import warn_uncached

Function = TypeVar("Function", bound=Callable[..., Any])
_warn_uncached = partial(warn_uncached, "compiled kernels", "20 s or more", "NUMBA_CACHE_DIR")


class _Cache(FunctionCache):  # type: ignore[misc]
    """Numba's cache on disk, valid for one version of the engine's sources; without a cache kernels run, too.

    Numba checks only whether the function's own file has changed, but code of other files is compiled
    into the function.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file._source_stamp = _digest_of_sources()

    @contextmanager
    def _guard_against_spurious_io_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, EOFError) as error:
            _warn_uncached(str(error))


def kernel(function: Function) -> Function:
    """A function for Python to call: compiled on its first call with new types, and cached on disk.

    Where nothing can be written (no home directory and a read-only installation, a full disk) every process
    compiles for itself, after one warning.
    """
    compiled: Any = njit(nogil=True)(function)
    try:
        compiled._cache = _Cache(function)
    except RuntimeError as error:
        if "cannot cache function" not in str(error):
            raise
        _warn_uncached("no cache folder is writable")
    except AttributeError:
        # The stamp cannot be set in this version of Numba, and a cache without it could be stale.
        _warn_uncached("this version of Numba keeps its cache in another way")
    result: Function = compiled
    return result


def part(function: Function) -> Function:
    """A function that kernels alone call: it is compiled into each of them, and Python cannot call it.

    Without an entrance of its own and a place on disk it takes a quarter off the time of compilation.
    """
    compiled: Function = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    return compiled


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
