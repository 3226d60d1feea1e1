"""Callbacks that show the progress of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def _ignore(*_: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Hooks:
    """Callbacks that show the progress of a run; by default they do nothing.

    `on_stage` is given the name of a stage and its number of steps. `on_compile` is called before the kernels
    of a circuit are compiled, which takes half a minute, once on a machine. `on_begin` is given the name of
    an arm that is about to be trained, its folder and its configuration; `on_end` is given its result.
    Tuning an encoder counts as an arm. `on_finished` is given all of that of an arm that had finished before.
    """

    on_stage: Callable[[str, int], None] = _ignore
    on_text: Callable[[int, int], None] = _ignore
    on_epoch: Callable[[dict[str, Any]], None] = _ignore
    on_compile: Callable[[], None] = _ignore
    on_begin: Callable[[str, Path, Mapping[str, Any]], None] = _ignore
    on_end: Callable[[Mapping[str, Any]], None] = _ignore
    on_finished: Callable[[str, Path, Mapping[str, Any], Mapping[str, Any]], None] = _ignore
