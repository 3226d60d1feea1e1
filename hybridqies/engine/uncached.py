"""The warning of compiled kernels that cannot be kept on disk."""

from __future__ import annotations

import warnings
from functools import cache


@cache
def warn_uncached(kernels: str, time: str, variable: str, reason: str) -> None:
    """Warns once for each reason; `time` is what compiling takes, `variable` names the folder to change."""
    warnings.warn(
        f"{kernels} cannot be kept on disk ({reason}): every process compiles them again, "
        f"which takes {time}; set {variable} to a folder that can be written",
        stacklevel=2,
    )
