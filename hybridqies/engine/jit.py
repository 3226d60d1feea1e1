"""How kernels are compiled: once for each kind of argument, kept on disk, without the interpreter's lock."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from numba import njit
from numba.core.caching import FunctionCache
from numba.extending import overload

Function = TypeVar("Function", bound=Callable[..., Any])


class _Cache(FunctionCache):  # type: ignore[misc]
    """Numba's cache on disk, good for these sources of the engine alone, and never a reason to fail.

    Numba by itself asks only the function's own file whether it has changed, and functions of other
    files are compiled into it.
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
    """A function compiled on its first call with new kinds of arguments, and kept on disk if possible.

    Without a place (no home directory beside a read-only installation, a full disk) each process compiles
    for itself, after one warning.
    """
    compiled: Any = njit(nogil=True)(function)
    try:
        compiled._cache = _Cache(function)
    except RuntimeError as error:
        if "cannot cache function" not in str(error):
            raise
        _warn_uncached("no cache folder is writable")
    except AttributeError:
        # A Numba that keeps its stamp elsewhere: better compiled in every process than stale.
        pass
    result: Function = compiled
    return result


@cache
def _warn_uncached(reason: str) -> None:
    warnings.warn(
        f"compiled kernels can't be kept on disk ({reason}): every process compiles them again, for 20 s "
        "and more; set NUMBA_CACHE_DIR to a folder that can be written",
        stacklevel=2,
    )


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
