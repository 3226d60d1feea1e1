"""What the fixture `say` gives."""

from __future__ import annotations

from collections.abc import Callable

# Arguments of the program, to its stdout and stderr.
Say = Callable[..., tuple[str, str]]
