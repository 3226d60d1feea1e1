"""`hybridqies jobs`: what it prints, what it asks of the service, and what it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from backends.jobs.fake_provider import FakeProvider, Kill, Service, outcomes, some_work

from hybridqies.backends import registry
from hybridqies.backends.jobs import JobRunner, JobState, Journal, Limits, Retry
from hybridqies.cli.app import run
from hybridqies.errors import MissingExtraError

WORK = some_work(3)
KEYS = [part.key() for part in WORK.split(4)]
AT_ONCE = Retry(poll_seconds=0)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    """One that the program reaches for every backend but those of a missing package."""
    service = Service()

    def provider_of(spec: str) -> FakeProvider:
        if spec.startswith("missing"):
            raise MissingExtraError("the client", "ionq")
        return FakeProvider(service)

    monkeypatch.setattr(registry, "provider_of", provider_of, raising=False)
    monkeypatch.setattr("backends.jobs.fake_provider.POLLS", 1)
    return service


@pytest.fixture
def folder(service: Service, tmp_path: Path) -> Path:
    """A run folder whose two jobs are with the service, their counts not fetched."""

    def die(where: str) -> None:
        if where == "before status":
            raise Kill

    with pytest.raises(Kill):
        JobRunner(FakeProvider(service, at=die), Journal(tmp_path), Limits(), AT_ONCE).run(WORK)
    return tmp_path


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs `hybridqies jobs`, expects success, and gives stdout."""

    def call(*arguments: object) -> str:
        assert run(["jobs", *map(str, arguments)]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out

    return call


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs `hybridqies jobs`, expects one line on stderr and exit code 2, and gives the line."""

    def call(*arguments: object) -> str:
        assert run(["jobs", *map(str, arguments)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        return err

    return call


def states(said: Callable[..., str], folder: Path) -> list[str]:
    return [record["state"] for record in json.loads(said("list", "--journal", folder, "--json"))]


class TestList:
    def test_table(self, said: Callable[..., str], folder: Path) -> None:
        for out in (said("--journal", folder), said("list", "--journal", folder / "jobs.jsonl")):
            for word in (KEYS[0][:12], KEYS[1][:12], "fake:qpu", "job-0", "job-1", "queued", " s "):
                assert word in out

    def test_json(self, said: Callable[..., str], folder: Path) -> None:
        records = json.loads(said("list", "--journal", folder, "--json"))
        assert [record["key"] for record in records] == KEYS
        assert [record["n_circuits"] for record in records] == [4, 2]
        assert [record["job_id"] for record in records] == ["job-0", "job-1"]

    def test_the_default_journal(
        self, said: Callable[..., str], folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HYBRIDQIES_JOBS", str(folder / "jobs.jsonl"))
        assert KEYS[0][:12] in said("list")
        monkeypatch.setenv("HYBRIDQIES_JOBS", str(folder / "none.jsonl"))
        assert said("list") == "No jobs.\n"
        assert json.loads(said("list", "--json")) == []


class TestShow:
    def test_angles_are_abbreviated(self, said: Callable[..., str], folder: Path) -> None:
        out = said("show", KEYS[0][:6], "--journal", folder)
        for word in (
            KEYS[0],
            "2 × 2 radians: -1, -0.4",
            "basis 0",
            WORK.circuits[0].digest(),
            "seed",
            "queued",
        ):
            assert word in out

    def test_counts(self, said: Callable[..., str], folder: Path) -> None:
        said("resume", "--journal", folder)
        out = said("show", KEYS[1], "--journal", folder)
        expected = outcomes(WORK.split(4)[1])
        for counts in expected:
            assert f"00 {counts['00']}  11 {counts['11']}" in out
        record = json.loads(said("show", KEYS[1], "--journal", folder, "--json"))
        assert record["counts"] == expected
        assert record["work"]["circuits"] == [circuit.to_mapping() for circuit in WORK.circuits]


class TestResume:
    def test_all(self, said: Callable[..., str], folder: Path, service: Service) -> None:
        out = said("resume", "--journal", folder)
        assert out.count("completed") == 2
        assert Journal(folder).records()[KEYS[0]].counts == tuple(outcomes(WORK.split(4)[0]))
        assert service.labels() == KEYS

    def test_one(self, said: Callable[..., str], folder: Path) -> None:
        said("resume", KEYS[1][:8], "--journal", folder)
        assert states(said, folder) == ["queued", "completed"]

    def test_again(
        self, said: Callable[..., str], refused: Callable[..., str], folder: Path, service: Service
    ) -> None:
        with service.jobs() as jobs:
            jobs["job-0"]["end"] = JobState.FAILED.value
        line = refused("resume", "--journal", folder)
        assert f"job {KEYS[0][:12]} failed at fake:qpu: the ion escaped" in line
        assert f"hybridqies jobs resume --again {KEYS[0][:12]} --journal {folder}/jobs.jsonl" in line
        assert states(said, folder) == ["failed", "completed"]
        said("resume", "--again", KEYS[0][:12], "--journal", folder)
        assert states(said, folder) == ["completed", "completed"]
        assert service.labels() == [*KEYS, f"{KEYS[0]}-2"]

    def test_one_backend_does_not_keep_the_others(
        self, said: Callable[..., str], refused: Callable[..., str], folder: Path
    ) -> None:
        journal, other = Journal(folder), some_work(1, backend="missing:qpu")
        digests = [circuit.digest() for circuit in other.circuits]
        journal.append("intent", other.key(), digests=digests, work=other.to_mapping())
        journal.append("submitted", other.key(), job_id="far-0")
        assert "pip install 'hybridqies[ionq]'" in refused("resume", "--journal", folder)
        assert states(said, folder) == ["completed", "completed", "queued"]

    def test_interrupted(
        self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(self: FakeProvider, job_id: str) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(FakeProvider, "status", interrupt)
        assert run(["jobs", "resume", "--journal", str(folder)]) == 130
        told = (
            f"go on at their services; fetch them with: hybridqies jobs resume --journal {folder}/jobs.jsonl"
        )
        assert told in capsys.readouterr().err


def test_cancel(
    said: Callable[..., str], folder: Path, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "cancelled" in said("cancel", KEYS[0][:8], "--journal", folder)
    assert states(said, folder) == ["cancelled", "queued"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["show"], "show was given no job; expected its key; see the keys with: hybridqies jobs list"),
        (["cancel"], "cancel was given no job"),
        (["resume", "--again"], "--again was given no job"),
        (["list", "3f"], "list was given the key '3f'; see one job with: hybridqies jobs show 3f"),
        (["cancel", "3f", "--again"], "--again was given to cancel; expected resume"),
        (["show", "xyz"], "no jobs in "),
        (["lst"], "'lst' is not one of 'list', 'show', 'cancel', 'resume'"),
    ],
)
def test_refusals(
    arguments: list[str],
    told: str,
    refused: Callable[..., str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HYBRIDQIES_JOBS", str(folder / "jobs.jsonl"))
    assert told in refused(*arguments)


def test_no_such_journal(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "there is no job journal" in refused("--journal", tmp_path)
    assert "there is no job journal" in refused("resume", "--journal", tmp_path / "none.jsonl")


def test_what_a_service_said_is_text_and_no_markup(said: Callable[..., str], folder: Path) -> None:
    reason = "HTTP 400: no route [/v0.4/jobs] for shots[max] [/] [bold]x[/bold] \x1b[31mred"
    Journal(folder).append("failed", KEYS[0], reason=reason)
    for arguments in (("list",), ("show", KEYS[0][:8])):
        shown = "".join(said(*arguments, "--journal", folder).split())
        for word in ("[/v0.4/jobs]", "[/]", "[bold]", "\\x1b[31mred"):
            assert "".join(word) in re.sub("[│┃]", "", shown)
        assert "\x1b" not in shown


def test_a_journal_of_an_earlier_version_is_said_to_be_unchecked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "jobs.jsonl"
    events = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    rows = [{name: value for name, value in event.items() if name != "sum"} for event in events]
    header = {"format": "hybridqies-jobs", "version": 1}
    path.write_text("".join(json.dumps(row) + "\n" for row in (header, *rows)))
    assert run(["jobs", "list", "--journal", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert KEYS[0][:12] in out
    assert err.endswith("lines of an earlier version have no checksum and are shown unchecked\n")
    assert err.count("\n") == 1
