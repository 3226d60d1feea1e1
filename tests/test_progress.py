"""Progress as lines: after five seconds, then more and more rarely, and never for short work."""

from __future__ import annotations

import io
import logging
import sys
import threading

import pytest

from hybridqies import progress
from hybridqies.progress import ProgressLines
from hybridqies.verbosity import LOGGER, log_progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def written() -> list[str]:
    return []


@pytest.fixture
def lines(written: list[str], clock: Clock) -> ProgressLines:
    return ProgressLines(written.append, clock)


def test_short_work_is_not_worth_a_word(lines: ProgressLines, written: list[str], clock: Clock) -> None:
    for stage in ("embedding", "training"):
        lines.begin(stage, 10)
        clock.now += 4.9
        lines.update(10, 10)
    lines.end()
    assert written == []


def test_intervals_grow(lines: ProgressLines, clock: Clock) -> None:
    times: list[float] = []
    lines._write = lambda line: times.append(clock.now - 100)
    lines.begin("embedding", 10_000)
    for done in range(3000):
        clock.now += 0.125
        lines.update(done, 10_000)
    assert [round(time) for time in times] == [5, 10, 20, 30, 60, 120, 180, 240, 300, 360]


def test_what_a_line_says(lines: ProgressLines, written: list[str], clock: Clock) -> None:
    lines.begin("embedding", 12_000)
    clock.now += 6
    lines.update(1500, 12_000)
    clock.now += 1
    lines.update(12_000, 12_000)
    lines.begin("training dressed", 40)
    clock.now += 5
    lines.epoch({"epoch": 3, "train_loss": 0.5, "validation_accuracy": 0.75, "other": 1})
    lines.begin("training svc", 1)
    clock.now += 61
    lines.tick()
    lines.end()
    assert written == [
        "embedding: 1,500 of 12,000, 6 s",
        "embedding: 12,000 of 12,000, 7 s",
        "training dressed: 3 of 40, loss 0.500  val acc 0.750, 5 s",
        "training svc: 61 s",
    ]


def test_what_was_done_before_is_counted(lines: ProgressLines, written: list[str], clock: Clock) -> None:
    lines.begin("trials", 30, 12)
    clock.now += 5
    lines.tick()
    assert written == ["trials: 12 of 30, 5 s"]


def test_work_that_reports_nothing_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    said = threading.Event()
    monkeypatch.setattr(progress, "_PAUSES", (0.0, 1e9))
    with ProgressLines(lambda line: said.set()) as lines:
        lines.begin("compiling", 1)
        assert said.wait(60)
    assert "hybridqies-progress" not in {thread.name for thread in threading.enumerate()}


class TestLogging:
    @pytest.fixture(autouse=True)
    def at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(progress, "_PAUSES", (-1.0, 0.0))

    def work(self, verbose: bool) -> None:
        with log_progress(verbose) as lines:
            lines.begin("embedding", 5)
            lines.update(2, 5)

    def test_the_logger_is_used_where_logging_is_set_up(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, logger="hybridqies"):
            self.work(verbose=False)
        assert "embedding: 2 of 5, 0 s" in caplog.messages

    def test_nothing_is_logged_unasked(self, caplog: pytest.LogCaptureFixture) -> None:
        self.work(verbose=False)
        assert caplog.messages == []

    def test_verbose_shows_it_and_leaves_logging_as_it_was(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        monkeypatch.setattr(LOGGER, "propagate", False)
        before = (LOGGER.level, list(LOGGER.handlers))
        self.work(verbose=True)
        assert "embedding: 2 of 5, 0 s\n" in sys.stderr.getvalue()  # type: ignore[union-attr]
        assert (LOGGER.level, list(LOGGER.handlers)) == before
