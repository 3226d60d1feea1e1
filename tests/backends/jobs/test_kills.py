"""A runner that dies at any point, and one that goes on: nothing is lost, nothing is paid twice."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from backends.jobs.bench import Bench, script
from backends.jobs.fake_provider import (
    Fault,
    Kill,
    some_work,
)

from hybridqies import journals
from hybridqies.backends.jobs import JobError, Work


class Killer:
    """Dies at the n-th point out of: before and after every request, and every write torn at three places."""

    def __init__(self, points: Iterator[int]) -> None:
        self.points = points
        self.left = next(points, -1)
        self.write = journals._write

    def pass_by(self, where: str) -> None:
        if self.left == 0:
            raise Kill(where)
        self.left -= 1

    def write_or_die(self, descriptor: int, content: bytes, offset: int) -> None:
        for much in (0, len(content) // 2, len(content)):
            if self.left == 0:
                self.write(descriptor, content[:much], offset)
            self.pass_by(f"{much} bytes written")
        self.write(descriptor, content, offset)


def run_through_kills(
    bench: Bench,
    work: Work,
    points: list[int],
    fault: Callable[[str], Fault | None],
    patch: pytest.MonkeyPatch,
) -> int:
    """Runs, dies at each of `points` in turn, and starts again until it ends; returns how often it died."""
    left = iter(points)
    for died in range(len(points) + 100):
        killer = Killer(left)
        patch.setattr(journals, "_write", killer.write_or_die)
        try:
            counts = bench.runner(fault, at=killer.pass_by).run(work)
        except Kill:
            continue
        except JobError:
            continue
        finally:
            patch.setattr(journals, "_write", killer.write)
        bench.check(work, counts)
        return died
    raise AssertionError("it never ended")


@pytest.mark.usefixtures("no_sync")
class TestKills:
    @pytest.mark.parametrize("lost", [None, Fault.LOST, Fault.UNSENT, Fault.LATE])
    def test_at_every_point(
        self, lost: Fault | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        work = some_work(3)
        died, point = 1, 0
        while died:
            bench = Bench(tmp_path / str(point))
            died = run_through_kills(bench, work, [point], script("submit", None, lost), monkeypatch)
            point += 1
        # Two jobs: at least 2 submits, 6 states, 2 fetches, and 10 events with three places each.
        assert point > 2 * (2 + 6 + 2) + 3 * 8

    @pytest.mark.parametrize("seed", range(60))
    def test_at_random_points_of_random_trouble(
        self, seed: int, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Up to 30 deaths a run while every fourth request goes wrong, in every way."""
        draw = random.Random(seed)
        faults = [None] * 15 + list(Fault)
        points = [int(draw.expovariate(1 / 12)) for _ in range(draw.randrange(30))]
        work = some_work(draw.randrange(1, 9), draw.randrange(1, 4), seed=seed)
        run_through_kills(bench, work, points, lambda verb: draw.choice(faults), monkeypatch)
