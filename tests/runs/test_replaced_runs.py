"""What becomes of job journals when a run is replaced, taken back or begun anew."""

from __future__ import annotations

import dataclasses
import itertools
import os
from pathlib import Path
from typing import Any

import pytest

from hybridqies.errors import InputError
from hybridqies.runs import DataOptions, RunConfig, execute, prepare, recorded_config, start_run
from hybridqies.runs.folder import end_run

pytestmark = pytest.mark.usefixtures("own_cache")
JOURNALS = ("jobs.jsonl", "compare/dressed/jobs.jsonl")


@pytest.fixture
def config(reviews: Path, tiny_encoder: Path) -> RunConfig:
    return RunConfig(data=DataOptions(str(reviews)), encoder=str(tiny_encoder), n_qubits=2, compare=())


@pytest.fixture
def folder(config: RunConfig, tmp_path: Path) -> Path:
    """A finished run with journals of its own and of an evaluation."""
    run = tmp_path / "run"
    start_run(prepare(config), run)
    (run / "result.json").write_text("{}")
    (run / "compare" / "dressed").mkdir(parents=True)
    for name in JOURNALS:
        (run / name).write_text(name)
    return run


@pytest.fixture
def other(config: RunConfig) -> RunConfig:
    return dataclasses.replace(config, n_qubits=3)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def read(folder: Path) -> tuple[str, ...]:
    return tuple((folder / name).read_text() for name in JOURNALS)


def fail(*_: object) -> None:
    raise InputError("a job failed")


def grow(folder: Path) -> None:
    with (folder / "jobs.jsonl").open("a") as stream:
        stream.write(" and more")


def test_the_new_run_gets_them(folder: Path, other: RunConfig) -> None:
    start_run(prepare(other), folder, overwrite=True)
    assert recorded_config(folder) == other
    assert files(folder) == {"config.json", *JOURNALS}
    assert read(folder) == JOURNALS


def test_they_go_from_one_unfinished_run_to_the_next(folder: Path, other: RunConfig) -> None:
    for _ in range(2):
        start_run(prepare(other), folder, overwrite=True)
        grow(folder)
        (folder / "metrics.jsonl").write_text("")
    start_run(prepare(other), folder, overwrite=True)
    assert files(folder) == {"config.json", *JOURNALS}
    assert read(folder) == ("jobs.jsonl and more and more", JOURNALS[1])


def test_the_old_run_comes_back_with_all_of_them(
    folder: Path, config: RunConfig, other: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hybridqies.runs.execution.embed_run", fail)
    start_run(prepare(other), folder, overwrite=True)
    grow(folder)
    with pytest.raises(InputError, match="a job failed"):
        execute(prepare(other), folder)
    assert recorded_config(folder) == config
    assert files(folder) == {"config.json", "result.json", *JOURNALS}
    assert read(folder) == ("jobs.jsonl and more", JOURNALS[1])
    assert [path.name for path in folder.parent.iterdir()] == ["run"]


def test_a_run_that_journalled_something_is_not_taken_back(
    folder: Path, other: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pay_and_fail(*_: object) -> None:
        grow(folder)
        raise InputError("a job failed")

    monkeypatch.setattr("hybridqies.runs.execution.embed_run", pay_and_fail)
    start_run(prepare(other), folder, overwrite=True)
    with pytest.raises(InputError, match="a job failed"):
        execute(prepare(other), folder)
    assert recorded_config(folder) == other
    assert read(folder) == ("jobs.jsonl and more", JOURNALS[1])


def test_a_folder_of_journals_alone_is_new(
    folder: Path, other: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hybridqies.runs.execution.embed_run", fail)
    (folder / "config.json").unlink()
    (folder / "result.json").unlink()
    start_run(prepare(other), folder)
    assert read(folder) == JOURNALS
    with pytest.raises(InputError, match="a job failed"):
        execute(prepare(other), folder)
    assert files(folder) == set(JOURNALS)


def test_a_kill_while_a_run_is_put_aside_loses_none(folder: Path, other: RunConfig) -> None:
    folder.rename(folder.with_name(".run-replaced"))
    start_run(prepare(other), folder)
    assert read(folder) == JOURNALS


class KillError(BaseException):
    """What a kill looks like to the code that it ends."""


def kill_at_deletion(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """The process dies before it deletes its `count`-th file (from 0)."""
    unlink, deleted = os.unlink, itertools.count()

    def delete(*given: Any, **named: Any) -> None:
        if next(deleted) == count:
            raise KillError
        unlink(*given, **named)

    monkeypatch.setattr(os, "unlink", delete)


@pytest.mark.parametrize("count", range(5))
def test_a_kill_while_the_old_run_is_deleted_bars_no_new_one(
    count: int, folder: Path, other: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a").write_text("")
    (folder / "z").write_text("")
    prepared = prepare(other)
    start_run(prepared, folder, overwrite=True)
    (folder / "result.json").write_text("{}")
    with monkeypatch.context() as killed:
        kill_at_deletion(killed, count)
        with pytest.raises(KillError):
            end_run(folder)
    start_run(prepared, folder, overwrite=True)
    assert recorded_config(folder) == other
    assert read(folder) == JOURNALS
    end_run(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["run"]


@pytest.mark.parametrize("count", range(3))
def test_a_kill_while_an_unfinished_run_is_cleared_bars_no_new_one(
    count: int, folder: Path, other: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(other)
    start_run(prepared, folder, overwrite=True)
    for name in ("a", "metrics.jsonl"):
        (folder / name).write_text("")
    with monkeypatch.context() as killed:
        kill_at_deletion(killed, count)
        with pytest.raises(KillError):
            start_run(prepared, folder, overwrite=True)
    start_run(prepared, folder, overwrite=True)
    assert files(folder) == {"config.json", *JOURNALS}
    assert read(folder) == JOURNALS
