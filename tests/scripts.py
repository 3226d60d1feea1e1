"""What tests of the scripts in `benchmarks` share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


Load = Callable[[str], Any]


class InThisProcess:
    """A pool of processes that runs what it is given at once: a process would import everything again."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def __enter__(self) -> InThisProcess:
        return self

    def __exit__(self, *raised: object) -> None: ...

    def map(self, function: Callable[[Any], Any], given: list[Any]) -> Iterator[Any]:
        return map(function, given)

    def submit(self, function: Callable[..., Any], *given: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*given))
        return future
