"""The journal of trials: an altered or odd line is one error, and never another result."""

from __future__ import annotations

import errno
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from hybridqies.errors import InputError
from hybridqies.records import LineSeal
from hybridqies.study.trials.journal import FILE_NAME, StudyState, TrialJournal
from hybridqies.study.trials.outcome import TrialFailure
from hybridqies.study.trials.trial import Trial, TrialRecord
from hybridqies.tasks import DataOptions

ABOUT = {"data": "rows", "classes": [0, 1], "test_texts": {"0": [3, 4], "1": [4, 5]}}


def trial_of(seed: int) -> Trial:
    return Trial("svc", "svc", seed, DataOptions(), "d", "e", "f", "none", "statevector", "t")


def record_of(trial: Trial) -> TrialRecord:
    metrics = {"accuracy": 0.5, "log_loss": 0.7}
    return TrialRecord(
        trial.key,
        trial.to_mapping(),
        {},
        ({"options": {}},),
        metrics,
        metrics,
        (0, 1),
        (1, 1),
        3,
        True,
        "",
        1.0,
        ({"n": 2, "confidence": 0.75, "accuracy": 0.5},),
        8,
    )


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A study of two trials, one of which failed."""
    done, failed = trial_of(0), trial_of(1)
    with TrialJournal(tmp_path) as journal:
        journal.begin(ABOUT)
        assert journal.claim(done.key)
        journal.settle(record_of(done))
        assert journal.claim(failed.key)
        journal.settle(TrialFailure(failed.key, failed.to_mapping(), "MemoryError: ", 1.0))
    return tmp_path / FILE_NAME


def read(path: Path) -> StudyState:
    return TrialJournal(path.parent).state()


def test_what_was_written_is_read(journal: Path) -> None:
    state = read(journal)
    assert state.about == ABOUT
    assert state.records == {trial_of(0).key: record_of(trial_of(0))}
    assert list(state.failures) == [trial_of(1).key]


def test_no_mutation_is_read_as_another_result(journal: Path) -> None:
    """A bit flipped, a digit changed, a piece cut off: refused in one line, or without effect."""
    content, whole, draw = journal.read_bytes(), read(journal), random.Random(0)
    digits = [at for at, byte in enumerate(content) if chr(byte).isdigit()]
    refused = 0
    for _ in range(300):
        at = draw.choice(digits)
        mutated = {
            0: content[:at] + bytes([48 + (content[at] - 48 + draw.randint(1, 9)) % 10]) + content[at + 1 :],
            1: (lambda at: content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :])(
                draw.randrange(len(content))
            ),
            2: content[: draw.randrange(len(content))],
        }[draw.randrange(3)]
        journal.write_bytes(mutated)
        try:
            assert read(journal) == whole
        except InputError:
            refused += 1
    assert refused > 250


def write(path: Path, events: list[Any]) -> None:
    """A journal of these events whose checksums fit, whatever they are."""
    seal, lines = LineSeal(b"hybridqies-trials", all_sealed=True), b""
    for event in events:
        # What is no object, or an empty one, cannot be sealed.
        lines += seal.seal(event) if event and isinstance(event, dict) else json.dumps(event).encode() + b"\n"
    first = b'{"format": "hybridqies-trials", "version": 2, "bytes": "%015d"}\n'
    path.write_bytes(first % (len(first % 0) + len(lines)) + lines)


def test_a_journal_without_checksums_is_refused(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    done = json.dumps({"event": "done", "key": KEY, "record": RECORD})
    path.write_text('{"format": "hybridqies-trials", "version": 1}\n' + done + "\n")
    with pytest.raises(InputError, match="is no trial journal that this version can read"):
        read(path)


KEY = trial_of(0).key
RECORD = record_of(trial_of(0)).to_mapping()


@pytest.mark.parametrize(
    "event",
    [
        {"event": "study"},
        {"event": "study", "about": 3},
        {"event": "study", "about": {"test_texts": []}},
        {"event": "done", "key": KEY},
        {"event": "done", "key": KEY, "record": 3},
        {"event": "done", "key": "other", "record": RECORD},
        {"event": "done", "key": KEY, "record": RECORD | {"validation": 3}},
        {"event": "done", "key": KEY, "record": RECORD | {"validation": {"accuracy": "0.5"}}},
        {"event": "done", "key": KEY, "record": RECORD | {"predictions": "01"}},
        {"event": "done", "key": KEY, "record": RECORD | {"predictions": [0]}},
        {"event": "done", "key": KEY, "record": RECORD | {"predictions": [0, "1"]}},
        {"event": "done", "key": KEY, "record": RECORD | {"converged": 1}},
        {"event": "done", "key": KEY, "record": RECORD | {"n_parameters": True}},
        {"event": "done", "key": KEY, "record": RECORD | {"more": 1}},
        {"event": "done", "key": KEY, "record": RECORD | {"reliability": "[]"}},
        {"event": "done", "key": KEY, "record": RECORD | {"reliability": [{"n": 1, "confidence": 0.5}]}},
        {"event": "done", "key": KEY, "record": RECORD | {"n_inputs": "8"}},
        {"event": "failed", "key": KEY, "failure": {"key": KEY}},
        {"event": "failed", "key": KEY, "failure": {"key": KEY, "trial": {}, "error": 3, "seconds": 1}},
        {"event": "retried", "keys": [KEY]},
        {"event": "retried", "keys": 3},
        {"event": "claimed"},
        {"event": "claimed", "key": []},
        {"event": "nosuch"},
        {"event": []},
        {},
        [],
        3,
        None,
    ],
)
def test_an_odd_event_is_one_error(event: Any, tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    write(path, [event])
    with pytest.raises(InputError, match=r"line 2 of the trial journal .* is damaged"):
        read(path)


def test_a_record_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    old = {key: each for key, each in RECORD.items() if key not in ("reliability", "n_inputs")}
    write(path, [{"event": "done", "key": KEY, "record": old}])
    record = read(path).records[KEY]
    assert (record.reliability, record.n_inputs) == ((), 0)
    assert record.predictions == (0, 1)


def test_a_trial_has_one_outcome(tmp_path: Path) -> None:
    done = {"event": "done", "key": KEY, "record": RECORD}
    path = tmp_path / FILE_NAME
    write(path, [done, done])
    with pytest.raises(InputError, match=r"line 3 .* has an outcome already"):
        read(path)


def test_a_file_system_without_locks_is_one_line(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("hybridqies.study.trials.journal.fcntl.lockf", refuse)
    refused = pytest.raises(InputError, match="cannot be locked: No locks available")
    with TrialJournal(journal.parent) as study, refused:
        study.claim(trial_of(9).key)


def test_a_study_goes_on_where_it_began(tmp_path: Path) -> None:
    about = ABOUT | {"plan_sha256": "a", "device": "cuda"}
    with TrialJournal(tmp_path / "cuda") as journal:
        journal.check_plan("a", "cpu")
        journal.begin(about)
        journal.begin(about)
        journal.check_plan("a", "cuda")
        with pytest.raises(
            InputError, match=r"begun on cuda, and was to be continued on cpu; .*--device cuda"
        ):
            journal.check_plan("a", "cpu")
        with pytest.raises(InputError, match="begun with another plan"):
            journal.check_plan("b", "cuda")


def test_a_journal_that_names_no_device_is_of_the_cpu(tmp_path: Path) -> None:
    with TrialJournal(tmp_path) as journal:
        journal.begin(ABOUT | {"plan_sha256": "a"})
        journal.begin(ABOUT | {"plan_sha256": "a", "device": "cpu"})
        journal.check_plan("a", "cpu")
        with pytest.raises(InputError, match="begun on cpu"):
            journal.check_plan("a", "cuda")
        with pytest.raises(InputError, match="another plan, data or encoder"):
            journal.begin(ABOUT | {"plan_sha256": "a", "device": "cuda"})
