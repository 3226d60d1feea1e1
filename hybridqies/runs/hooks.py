"""What a caller is told while a run goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def _ignore(*_: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Hooks:
    """Called while a run goes on, so that a caller can show progress; each may stay as it is.

    `on_stage` is given a name and the number of steps to come. `on_compile` is called before the kernels of a
    circuit are compiled, which takes half a minute, once on a machine.
    """

    on_stage: Callable[[str, int], None] = _ignore
    on_text: Callable[[int, int], None] = _ignore
    on_epoch: Callable[[dict[str, Any]], None] = _ignore
    on_compile: Callable[[], None] = _ignore
