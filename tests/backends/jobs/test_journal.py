"""The journal: on disk before it returns, shared by processes, whole after a kill, without secrets."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from backends.jobs.fake_provider import outcomes, some_work

from hybridqies import journals
from hybridqies.backends.jobs import JobState, Journal, Work, default_journal, scrub
from hybridqies.errors import InputError


def intend(journal: Journal, work: Work) -> str:
    digests = [circuit.digest() for circuit in work.circuits]
    journal.append("intent", work.key(), digests=digests, work=work.to_mapping())
    return work.key()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "jobs.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class TestRecords:
    def test_a_life(self, path: Path) -> None:
        journal, work = Journal(path, now=iter(range(100, 200)).__next__), some_work()
        key = intend(journal, work)
        record = journal.records()[key]
        assert (record.key, record.backend, record.n_circuits, record.shots) == (key, "fake:qpu", 10, 100)
        assert (record.state, record.in_doubt, record.standing) == (None, True, "intended")
        assert record.digests == tuple(circuit.digest() for circuit in work.circuits)
        assert record.work().key() == key
        journal.append("submitted", key, job_id="j-1")
        journal.append("state", key, state="running", reason="")
        record = journal.records()[key]
        assert (record.job_id, record.state, record.in_doubt) == ("j-1", JobState.RUNNING, False)
        journal.append("completed", key, counts=outcomes(work))
        record = Journal(path).records()[key]
        assert record.counts == tuple(outcomes(work))
        assert record.times == {"intent": 100, "submitted": 101, "state": 102, "completed": 103}
        assert record == journal.records()[key]

    def test_counts_outlive_whatever_comes_later(self, path: Path) -> None:
        journal, work = Journal(path), some_work()
        key = intend(journal, work)
        journal.append("submitted", key, job_id="j-1")
        journal.append("completed", key, counts=outcomes(work))
        journal.append("failed", key, reason="says somebody who came late")
        assert journal.records()[key].state is JobState.COMPLETED

    def test_again_makes_a_new_attempt(self, path: Path) -> None:
        journal = Journal(path)
        key = intend(journal, some_work())
        assert journal.records()[key].label == key
        journal.append("submitted", key, job_id="j-1")
        journal.append("failed", key, reason="hot")
        journal.append("again", key)
        record = journal.records()[key]
        assert (record.label, record.job_id, record.state, record.in_doubt) == (f"{key}-2", None, None, False)

    def test_what_others_append_is_seen(self, path: Path) -> None:
        mine, others = Journal(path), Journal(path)
        assert mine.records() == {}
        first, second = intend(others, some_work()), intend(mine, some_work(3))
        others.append("submitted", second, job_id="j-2")
        mine.append("submitted", first, job_id="j-1")
        assert {key: record.job_id for key, record in mine.records().items()} == {first: "j-1", second: "j-2"}
        assert dict(mine.records()) == dict(others.records())

    def test_only_what_is_new_is_read(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        journal = Journal(path)
        for rows in range(1, 5):
            intend(journal, some_work(rows))
        journal.records()
        folded: list[bytes] = []
        fold = Journal._fold
        monkeypatch.setattr(Journal, "_fold", lambda self, line: (folded.append(line), fold(self, line))[1])
        intend(Journal(path), some_work(5))
        folded.clear()
        assert len(journal.records()) == 5
        assert len(folded) == 1

    def test_reading_waits_for_nobody(self, path: Path) -> None:
        journal = Journal(path)
        key = intend(journal, some_work())
        with journal.locked():
            assert list(Journal(path).records()) == [key]

    def test_by_prefix(self, path: Path) -> None:
        journal = Journal(path)
        keys = [intend(journal, some_work(seed=seed)) for seed in range(20)]
        assert journal.record(keys[3][:12]).key == keys[3]
        with pytest.raises(InputError, match=r"no jobs in .* begin with 'xyz'"):
            journal.record("xyz")
        with pytest.raises(InputError, match=r"20 jobs .*; expected the beginning of one key"):
            journal.record("")

    def test_a_file_that_was_replaced_is_read_anew(self, path: Path) -> None:
        journal = Journal(path)
        intend(journal, some_work())
        journal.records()
        path.unlink()
        assert journal.records() == {}
        key = intend(Journal(path), some_work(3))
        assert list(journal.records()) == [key]

    def test_an_event_never_loses_its_job(self, path: Path) -> None:
        journal = Journal(path)
        key = intend(journal, some_work())
        path.unlink()
        with pytest.raises(InputError, match="no longer knows job"):
            journal.append("submitted", key, job_id="j-1")


class TestDisk:
    def test_synced_before_it_returns(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        synced: list[tuple[str, int]] = []

        def fsync(descriptor: int) -> None:
            name = Path(f"/proc/self/fd/{descriptor}").readlink().name
            synced.append((name, os.fstat(descriptor).st_size if name == path.name else 0))

        if not Path("/proc/self/fd").is_dir():
            pytest.skip("asks /proc what a descriptor is")
        monkeypatch.setattr("hybridqies.journals.os.fsync", fsync)
        journal = Journal(path)
        key = intend(journal, some_work())
        size = path.stat().st_size
        made, written = synced[:3], synced[3:]
        # The new folder, the first line under another name, its new name; then the event.
        assert [made[0], made[2]] == [(path.parent.parent.name, 0), (path.parent.name, 0)]
        assert made[1][0].startswith(".jobs-")
        assert written == [(path.name, size)]
        journal.append("submitted", key, job_id="j-1")
        assert synced[4:] == [(path.name, path.stat().st_size)]

    def test_reading_makes_no_file(self, path: Path) -> None:
        assert Journal(path).records() == {}
        assert not path.parent.exists()

    def test_in_a_folder(self, tmp_path: Path) -> None:
        intend(Journal(tmp_path), some_work())
        assert lines(tmp_path / "jobs.jsonl")[0]["format"] == "hybridqies-jobs"

    def test_where_it_is_by_default(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.delenv("HYBRIDQIES_JOBS", raising=False)
        monkeypatch.delenv("XDG_DATA_HOME", raising=False)
        assert default_journal() == tmp_path / ".local" / "share" / "hybridqies" / "jobs.jsonl"
        monkeypatch.setenv("XDG_DATA_HOME", "relative")
        assert default_journal() == tmp_path / ".local" / "share" / "hybridqies" / "jobs.jsonl"
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
        assert default_journal() == tmp_path / "xdg" / "hybridqies" / "jobs.jsonl"
        monkeypatch.setenv("HYBRIDQIES_JOBS", str(tmp_path / "own.jsonl"))
        assert Journal().path == tmp_path / "own.jsonl"

    def test_unusable(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match=r"cannot be written: .*; fix that, or set HYBRIDQIES_JOBS"):
            intend(Journal(tmp_path / "file" / "jobs.jsonl"), some_work())

    def test_a_full_disk_tears_nothing(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        journal = Journal(path)
        key = intend(journal, some_work())

        def full(descriptor: int, content: bytes, offset: int) -> None:
            os.pwrite(descriptor, content[: len(content) // 2], offset)
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(journals, "_write", full)
            with pytest.raises(InputError, match="No space left"):
                journal.append("submitted", key, job_id="j-1")
        assert journal.records()[key].job_id is None
        journal.append("submitted", key, job_id="j-2")
        assert Journal(path).records()[key].job_id == "j-2"


class TestDamage:
    @pytest.mark.parametrize(
        "event", [{"event": "unheard", "key": "k"}, {"event": "submitted"}, {"event": ["x"], "key": {}}]
    )
    def test_odd_events_are_refused_by_their_line(self, event: dict[str, Any], path: Path) -> None:
        journal = Journal(path)
        key = intend(journal, some_work())
        journal._append(
            {name: key if value == "k" else value for name, value in event.items()} | {"key": key}
        )
        for use in (Journal(path).records, lambda: intend(Journal(path), some_work(3))):
            with pytest.raises(InputError, match=r"line 3 of the job journal .* is damaged .*expected the"):
                use()

    def test_an_event_of_a_job_that_nobody_intended_is_damage(self, path: Path) -> None:
        path.parent.mkdir()
        path.write_text(
            '{"format": "hybridqies-jobs", "version": 1}\n'
            '{"event": "submitted", "key": "k", "time": 1, "job_id": "j"}\n'
        )
        with pytest.raises(InputError, match=r"line 2 .* is damaged"):
            Journal(path).records()

    def test_a_journal_of_version_1_is_read_as_unchecked(self, path: Path) -> None:
        journal = Journal(path)
        key = intend(journal, some_work())
        assert journal.records()
        assert journal.is_checked
        events = [{name: value for name, value in line.items() if name != "sum"} for line in lines(path)[1:]]
        header = {"format": "hybridqies-jobs", "version": 1}
        path.write_text("".join(json.dumps(line) + "\n" for line in (header, *events)))
        old = Journal(path)
        assert list(old.records()) == [key]
        assert not old.is_checked

    @pytest.mark.parametrize(
        "content", ["notes", "", "a,b\n1,2\n", '{"format": "hybridqies-jobs", "version": 3}\n', "\n"]
    )
    def test_other_files_are_left_as_they_are(self, content: str, path: Path) -> None:
        path.parent.mkdir()
        path.write_text(content)
        for use in (Journal(path).records, lambda: intend(Journal(path), some_work())):
            with pytest.raises(InputError, match="is no job journal that this version can read; expected"):
                use()
        assert path.read_text() == content


TOKEN = "Zx9/Qv+7Wm2=Kp4.Jd8-Ys6_Gb3"


class TestScrubbing:
    @pytest.mark.parametrize(
        "name", ["IONQ_API_KEY", "IONQ_API_TOKEN", "QISKIT_IONQ_API_TOKEN", "QISKIT_IBM_TOKEN"]
    )
    def test_credentials_of_the_environment(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(name, "s3cr3t")
        assert scrub("401 for s3cr3t at\n host") == "401 for *** at host"

    def test_the_longer_of_two(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("IONQ_API_KEY", "abc")
        monkeypatch.setenv("QISKIT_IBM_TOKEN", "abcdef")
        assert scrub("abcdef abc") == "*** ***"

    @pytest.mark.parametrize("before", ["", "u", "user:", "my user:"])
    @pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
    def test_base64_wherever_it_begins(
        self, encode: Any, before: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("IONQ_API_KEY", TOKEN)
        echoed = encode(f"{before}{TOKEN}/jobs".encode()).decode()
        found = scrub(f"no route for {echoed} here")
        assert found.startswith("no route for ")
        assert found.endswith(" here")
        assert len(found) < len(f"no route for {echoed} here") - len(TOKEN)

    @pytest.mark.parametrize(
        "echoed",
        [
            quote(TOKEN, safe=""),
            quote(TOKEN, safe="").lower(),
            quote_plus(TOKEN),
            "".join(f"%{ord(letter):02X}" for letter in TOKEN),
            TOKEN.encode().hex(),
            TOKEN.upper(),
            TOKEN[:9] + " " + TOKEN[9:],
            f"'{TOKEN[:11]}' + '{TOKEN[11:]}'",
            " ".join(TOKEN),
            TOKEN[:10],
            TOKEN[-12:],
        ],
    )
    def test_other_forms_and_parts(self, echoed: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("IONQ_API_KEY", TOKEN)
        found = scrub(f"401 for {echoed} at the host")
        assert not set("".join(filter(str.isalnum, found)).lower()) - set("401foratthehost")

    def test_other_secrets(self) -> None:
        assert scrub(f"no account {TOKEN}!", [TOKEN]) == "no account ***!"

    def test_other_text_stays(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("IONQ_API_KEY", TOKEN)
        text = "IonQ refused a request (HTTP 400): no route [/v0.4/jobs] for shots[max], job 3f9a7712-6e1c"
        assert scrub(text) == text

    def test_authorisation_headers(self) -> None:
        assert scrub("{'Authorization': 'apiKey x-y.z', 'a': 1}") == "{'Authorization': 'apiKey ***', 'a': 1}"
        assert scrub("Authorization: Bearer x-y.z") == "Authorization: Bearer ***"

    def test_no_reason_keeps_one(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("IONQ_API_KEY", "s3cr3t")
        journal = Journal(path)
        key = intend(journal, some_work())
        for event in ("retry", "failed", "cancelled"):
            journal.append(event, key, reason="the key s3cr3t is not known")
        journal.append("error", key, reason="s3cr3t", in_doubt=False)
        assert b"s3cr3t" not in path.read_bytes()
        assert journal.records()[key].reason == "***"
