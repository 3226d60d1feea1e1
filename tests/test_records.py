"""Records: what was written is read, or the file is refused in one line that names it."""

from __future__ import annotations

import json
import os
import random
import re
from pathlib import Path
from typing import Any

import pytest

from hybridqies.errors import InputError, ModelFolderError
from hybridqies.records import digest_of, read_lines, read_record, write_lines, write_record

CONTENT: dict[Any, Any] = {
    "head": "dressed",
    "accuracy": 0.8125,
    "n_test": 16,
    "classes": ["ü", "b"],
    "circuit": None,
    3: [1],
}
READ = json.loads(json.dumps(CONTENT))
NEEDED = {"head": str, "accuracy": float, "n_test": int, "circuit": str | None, "classes": list}
EPOCHS = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}, {"epoch": 3, "loss": 1.0}]


@pytest.fixture
def record(tmp_path: Path) -> Path:
    write_record(tmp_path / "result.json", CONTENT)
    return tmp_path / "result.json"


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    write_lines(tmp_path / "metrics.jsonl", EPOCHS)
    return tmp_path / "metrics.jsonl"


def cut(content: bytes) -> list[bytes]:
    return [content[:size] for size in range(len(content))]


def flipped(content: bytes) -> list[bytes]:
    return [
        content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :]
        for at in range(len(content))
        for bit in (0, 1, 4, 7)
    ]


class TestRecords:
    def test_round_trip(self, record: Path) -> None:
        assert read_record(record, needed=NEEDED) == READ

    def test_its_digest_can_be_computed_by_anybody(self, record: Path) -> None:
        content = json.loads(record.read_text(encoding="utf-8"))
        assert content.pop("digest") == digest_of(content)

    def test_every_change_is_noticed_or_changes_nothing(self, record: Path) -> None:
        content = record.read_bytes()
        noticed = 0
        for changed in [*cut(content), *flipped(content)]:
            record.write_bytes(changed)
            try:
                assert read_record(record) == READ
            except ModelFolderError:
                noticed += 1
        # White space may change, and the line end at the end of the file may be missing.
        assert noticed > 4.5 * len(content)

    def test_a_record_without_digest_is_refused(self, record: Path) -> None:
        content = record.read_text()
        for changed in (json.dumps(READ), content.replace('"digest"', '"digesu"')):
            record.write_text(changed)
            with pytest.raises(
                ModelFolderError, match="has no digest: it was altered, or written by an early"
            ):
                read_record(record, needed=NEEDED)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("head", 3),
            ("accuracy", "0.9"),
            ("accuracy", True),
            ("n_test", 1.5),
            ("n_test", True),
            ("circuit", 1),
        ],
    )
    def test_a_value_of_another_type_is_refused(self, key: str, value: Any, record: Path) -> None:
        write_record(record, READ | {key: value})
        with pytest.raises(ModelFolderError, match=rf"result\.json' is damaged: '{key}' is {value!r}"):
            read_record(record, needed=NEEDED)

    def test_a_whole_number_may_stand_for_a_float(self, record: Path) -> None:
        write_record(record, READ | {"accuracy": 1})
        assert read_record(record, needed=NEEDED)["accuracy"] == 1

    def test_a_missing_key_is_named(self, record: Path) -> None:
        with pytest.raises(ModelFolderError, match="it has no 'seconds'; see the guide"):
            read_record(record, needed={"seconds": float}, todo="see the guide")

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"[]",
            b"7",
            b"\xff",
            b'{"a": NaN}',
            b'{"a": -Infinity}',
            b'{"a": 1e999}',
            b'{"a": 1' + b"0" * 5000 + b"}",
            b"[" * 10**6,
            b'{"a":' * 10**5,
            b'{"digest": 5}',
            b'{"digest": null, "a": 1e5',
        ],
    )
    def test_odd_content_is_one_line_that_names_the_file(self, content: bytes, record: Path) -> None:
        record.write_bytes(content)
        with pytest.raises(ModelFolderError, match=r"^run record '.*result\.json' .*; restore it") as caught:
            read_record(record, what="run record")
        assert len(str(caught.value)) < 400

    def test_what_never_ends_is_not_read(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        (tmp_path / "zero").symlink_to("/dev/zero")
        for name in ("pipe", "loop", "zero", ".", "none"):
            with pytest.raises(ModelFolderError, match="cannot be read"):
                read_record(tmp_path / name)
            with pytest.raises(ModelFolderError, match="cannot be read"):
                read_lines(tmp_path / name)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", object()])
    def test_what_json_cannot_hold_is_not_written(self, value: Any, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"'.*a\.json' cannot be written as JSON"):
            write_record(tmp_path / "a.json", {"loss": [value]})
        assert list(tmp_path.iterdir()) == []


class TestLines:
    def test_round_trip(self, lines: Path) -> None:
        assert list(read_lines(lines, needed={"epoch": int, "loss": float})) == EPOCHS

    def test_each_is_json_for_any_reader(self, lines: Path) -> None:
        read = [json.loads(line) for line in lines.read_text().splitlines()]
        assert [{key: line[key] for key in ("epoch", "loss")} for line in read] == EPOCHS

    def test_every_change_is_noticed_or_changes_nothing(self, lines: Path) -> None:
        content = lines.read_bytes()
        for changed in [*cut(content)[:-1], *flipped(content)[:-4]]:
            lines.write_bytes(changed)
            with pytest.raises(ModelFolderError, match=r"line \d of record '.*metrics\.jsonl' is damaged"):
                read_lines(lines)

    def test_a_line_end_at_the_end_may_be_missing(self, lines: Path) -> None:
        lines.write_bytes(lines.read_bytes()[:-1])
        assert list(read_lines(lines)) == EPOCHS

    def test_lost_lines_are_noticed(self, lines: Path) -> None:
        whole = lines.read_bytes().splitlines(keepends=True)
        for left in (whole[1:], whole[:1] + whole[2:], whole[:2], whole[::-1], whole + whole[-1:]):
            lines.write_bytes(b"".join(left))
            with pytest.raises(ModelFolderError, match="its checksum does not fit"):
                read_lines(lines)

    def test_lines_without_checksums_are_refused(self, lines: Path) -> None:
        lines.write_text("".join(json.dumps(line) + "\n" for line in EPOCHS))
        with pytest.raises(ModelFolderError, match=r"line 1 of record .*: it has no checksum"):
            read_lines(lines, needed={"epoch": int})

    def test_a_missing_key_is_named_with_its_line(self, lines: Path) -> None:
        write_lines(lines, [{"epoch": 1}, {"loss": 1}])
        with pytest.raises(ModelFolderError, match=r"line 2 of training log .* it has no 'epoch'"):
            read_lines(lines, needed={"epoch": int}, what="training log")

    @pytest.mark.parametrize("line", [{"loss": float("nan")}, {"loss": object()}, {}])
    def test_what_json_cannot_hold_is_not_written(self, line: dict[str, Any], tmp_path: Path) -> None:
        for wrong in ([line], []):
            with pytest.raises(InputError, match=re.escape("metrics.jsonl")):
                write_lines(tmp_path / "metrics.jsonl", wrong)
        assert list(tmp_path.iterdir()) == []

    def test_random_bytes_are_never_read(self, lines: Path) -> None:
        chance = random.Random(0)
        for _ in range(200):
            lines.write_bytes(chance.randbytes(chance.randrange(1, 60)))
            with pytest.raises(ModelFolderError):
                read_lines(lines)
