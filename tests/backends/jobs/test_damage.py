"""A damaged job journal is one clear error, never another exception and never another result."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from backends.jobs.fake_provider import outcomes, some_work

from hybridqies.backends.jobs import Journal
from hybridqies.errors import InputError

WORK = some_work()
KEY = WORK.key()
DIGESTS = [circuit.digest() for circuit in WORK.circuits]
INTENT = {"event": "intent", "key": KEY, "time": 1.5, "digests": DIGESTS, "work": WORK.to_mapping()}
SUBMITTED = {"event": "submitted", "key": KEY, "time": 2, "job_id": "j-1"}
COMPLETED = {"event": "completed", "key": KEY, "time": 3, "counts": outcomes(WORK)}


def written(path: Path, *events: Any) -> Journal:
    """A journal of version 1, whose lines have no checksums."""
    header = {"format": "hybridqies-jobs", "version": 1}
    path.write_text("".join(json.dumps(each) + "\n" for each in (header, *events)))
    return Journal(path)


def with_work(**changed: Any) -> dict[str, Any]:
    return {**INTENT, "work": {**WORK.to_mapping(), **changed}}


ODD = {
    "a list": [],
    "a number": 3,
    "nothing": {},
    "no event": {**INTENT, "event": None},
    "an unknown event": {**INTENT, "event": "paid"},
    "no key": {name: value for name, value in INTENT.items() if name != "key"},
    "a key that is a list": {**INTENT, "key": [KEY]},
    "a key that is a number": {**INTENT, "key": 3},
    "no time": {**INTENT, "time": None},
    "a time in words": {**INTENT, "time": "noon"},
    "a time beyond every calendar": {**INTENT, "time": 1e300},
    "a time that is a truth": {**INTENT, "time": True},
    "digests in one word": {**INTENT, "digests": "abc"},
    "work that is a word": {**INTENT, "work": "abc"},
    "no circuits": with_work(circuits=[]),
    "circuits that are a number": with_work(circuits=3),
    "angles that are words": with_work(angles="abc"),
    "angles in one row": with_work(angles=[1, 2]),
    "no shots": with_work(shots=0),
    "shots in words": with_work(shots="many"),
    "a backend that is a number": with_work(backend=3),
}
ODD_LATER = {
    "a job id that is a number": {**SUBMITTED, "job_id": 7},
    "no job id": {**SUBMITTED, "job_id": None},
    "an unknown state": {"event": "state", "key": KEY, "time": 2, "state": "lost", "reason": ""},
    "a state that is a list": {"event": "state", "key": KEY, "time": 2, "state": [], "reason": ""},
    "a reason that is a mapping": {"event": "failed", "key": KEY, "time": 2, "reason": {}},
    "doubt in words": {"event": "error", "key": KEY, "time": 2, "reason": "x", "in_doubt": "no"},
    "no counts": {**COMPLETED, "counts": None},
    "too few counts": {**COMPLETED, "counts": outcomes(WORK)[1:]},
    "counts of nothing": {**COMPLETED, "counts": [{}] * len(WORK)},
    "counts of words": {**COMPLETED, "counts": [{"up": 100}] * len(WORK)},
    "counts below zero": {**COMPLETED, "counts": [{"00": -1}] * len(WORK)},
    "half a count": {**COMPLETED, "counts": [{"00": 99.5}] * len(WORK)},
    "outcomes of two lengths": {**COMPLETED, "counts": [{"00": 1, "000": 99}] * len(WORK)},
}


@pytest.mark.parametrize("what", ODD)
def test_an_odd_first_event_is_one_line(what: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 2 of the job journal .* is damaged") as caught:
        written(tmp_path / "jobs.jsonl", ODD[what]).records()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("what", ODD_LATER)
def test_an_odd_later_event_is_one_line(what: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 3 of the job journal .* is damaged") as caught:
        written(tmp_path / "jobs.jsonl", INTENT, ODD_LATER[what]).records()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changed",
    [
        {"angles": [[0.5] * len(row) for row in WORK.angles]},
        {"shots": 101},
        {"circuits": [{}]},
        {"seed": "x"},
    ],
)
def test_work_of_another_key_is_not_handed_in(changed: dict[str, Any], tmp_path: Path) -> None:
    record = written(tmp_path / "jobs.jsonl", with_work(**changed)).records()[KEY]
    with pytest.raises(InputError, match=r"the work of job .* is damaged .*look the job up") as caught:
        record.work()
    assert "\n" not in str(caught.value)


def mutate(content: bytes, random_: random.Random) -> bytes:
    """One bit, one digit, or everything behind one place."""
    match random_.randrange(3):
        case 0:
            at = random_.randrange(len(content))
            return content[:at] + bytes([content[at] ^ 1 << random_.randrange(8)]) + content[at + 1 :]
        case 1:
            at = random_.choice([at for at, byte in enumerate(content) if chr(byte).isdigit()])
            other = random_.choice([digit for digit in b"0123456789" if digit != content[at]])
            return content[:at] + bytes([other]) + content[at + 1 :]
        case _:
            return content[: random_.randrange(len(content))]


@pytest.mark.parametrize("seed", range(100))
def test_no_mutation_is_accepted_with_another_result(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    journal = Journal(path, now=iter(range(1, 9)).__next__)
    for event in (INTENT, SUBMITTED, COMPLETED):
        content = {name: value for name, value in event.items() if name not in ("event", "key", "time")}
        journal.append(str(event["event"]), KEY, **content)
    before = dict(journal.records())
    path.write_bytes(mutate(path.read_bytes(), random.Random(seed)))
    message = ""
    try:
        assert dict(Journal(path).records()) == before
    except InputError as error:
        message = str(error)
    assert "\n" not in message
