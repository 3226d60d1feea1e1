"""Journals: nothing that was written is lost, changed or cut off without being noticed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hybridqies import journals
from hybridqies.errors import InputError
from hybridqies.journals import LineJournal

OLD = '{"format": "notes", "version": 1}\n'


class Notes(LineJournal):
    format: ClassVar[str] = "notes"
    reads_unchecked: ClassVar[bool] = True
    what: ClassVar[str] = "book of notes"
    todo_damaged: ClassVar[str] = "restore it"
    todo_foreign: ClassVar[str] = "give another"
    todo_unusable: ClassVar[str] = "mend that"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.numbers: list[int] = []

    def add(self, number: int) -> None:
        self._append({"number": number})

    def read(self) -> list[int]:
        self._read()
        return list(self.numbers)

    def _clear(self) -> None:
        self.numbers = []

    def _fold(self, event: dict[str, Any]) -> None:
        self.numbers.append(int(event["number"]))

    def _check(self, event: Mapping[str, Any]) -> None:
        pass


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("hybridqies.journals.os.fsync", lambda descriptor: None)
    book = Notes(tmp_path / "book.jsonl")
    for number in (10, 20, 30):
        book.add(number)
    return book.path


def test_every_flipped_bit_is_noticed_or_changes_nothing(path: Path) -> None:
    content = path.read_bytes()
    noticed = 0
    for at in range(len(content)):
        for bit in (0, 1, 4):
            path.write_bytes(content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :])
            try:
                assert Notes(path).read() == [10, 20, 30]
            except InputError:
                noticed += 1
    # What passes is a smaller number of bytes in the first line.
    assert noticed > 3 * (len(content) - journals._SIZE_DIGITS)


def test_every_cut_is_noticed(path: Path) -> None:
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(InputError, match=r"was cut off|is no book of notes"):
            Notes(path).read()


def test_an_unfinished_last_line_is_ignored_and_removed(path: Path) -> None:
    content = path.read_bytes()
    Notes(path).add(40)
    line = path.read_bytes()[len(content) :]
    for size in range(len(line)):
        path.write_bytes(content + line[:size])
        torn = Notes(path)
        assert torn.read() == [10, 20, 30]
        torn.add(50)
        assert Notes(path).read() == [10, 20, 30, 50]
    # Killed after the line and before the first line is told of it: the event counts.
    path.write_bytes(content + line)
    assert Notes(path).read() == [10, 20, 30, 40]


def test_lines_without_checksums_are_read_by_kinds_that_say_so_alone(path: Path) -> None:
    class Strict(Notes):
        reads_unchecked = False

    assert Strict(path).read() == [10, 20, 30]
    path.write_text(OLD + '{"number": 1}\n')
    assert Notes(path).read() == [1]
    for use in (Strict(path).read, lambda: Strict(path).add(2)):
        with pytest.raises(InputError, match="is no book of notes that this version can read"):
            use()


@pytest.mark.parametrize("lost", [1, 2])
def test_lost_and_exchanged_lines_are_noticed(lost: int, path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:lost] + lines[lost + 1 :]) + b" " * len(lines[lost]) + b"\n")
    with pytest.raises(
        InputError, match=rf"line {lost + 1} of the book of notes .*its checksum does not fit"
    ):
        Notes(path).read()
    path.write_bytes(b"".join([lines[0], lines[2], lines[1], lines[3]]))
    with pytest.raises(InputError, match="line 2 of the book of notes"):
        Notes(path).read()


@pytest.mark.parametrize(
    "line",
    ["{", "\0", "[]", "7", "{}", '{"number": "x"}', '{"number": 1e999}', "[" * 10**5, '{"number": NaN}'],
)
def test_odd_lines_are_refused_by_their_number(line: str, path: Path) -> None:
    path.write_text(OLD + '{"number": 1}\n' + line + "\n")
    for use in (Notes(path).read, lambda: Notes(path).add(1)):
        with pytest.raises(InputError, match=r"line 3 of the book of notes .* is damaged .*; restore it"):
            use()


def test_a_journal_of_version_1_is_unchecked_and_grows_with_checksums(path: Path) -> None:
    path.write_text(OLD + '{"number": 1}\n')
    old = Notes(path)
    assert old.read() == [1]
    assert not old.is_checked
    old.add(2)
    assert old.read() == [1, 2]
    content = path.read_text()
    assert json.loads(content.splitlines()[2])["number"] == 2
    for altered in (
        content.replace('"number": 1', '"number": 7'),
        content.replace(": 2,", ": 7,"),
        content + '{"number": 3}\n',
    ):
        path.write_text(altered)
        with pytest.raises(InputError, match="line"):
            Notes(path).read()


def test_a_new_journal_is_there_with_its_first_line_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    book = Notes(tmp_path / "new" / "book.jsonl")
    monkeypatch.setattr("hybridqies.files.os.link", killed)
    with pytest.raises(KeyboardInterrupt):
        book.add(1)
    assert list((tmp_path / "new").iterdir()) == []
    monkeypatch.undo()
    book.add(1)
    assert Notes(book.path).read() == [1]


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("hybridqies.files.os.link", refuse)
    Notes(tmp_path / "book.jsonl").add(1)
    assert Notes(tmp_path / "book.jsonl").read() == [1]
    assert [each.name for each in tmp_path.iterdir()] == ["book.jsonl"]


def test_damage_is_named_where_nothing_may_be_written(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"20", b"21"))
    path.chmod(0o400)
    before = list(path.parent.iterdir())
    with pytest.raises(InputError, match="line 3 of the book of notes"):
        Notes(path).read()
    assert list(path.parent.iterdir()) == before
