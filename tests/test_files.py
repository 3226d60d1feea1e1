"""Files are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import stat
from pathlib import Path

import pytest
import torch

from hybridqies.errors import (
    InputError,
)
from hybridqies.files import (
    create_bytes,
    remove_leftovers,
    replacing,
    sha256_of,
    write_bytes,
    write_json,
    write_text,
)
from hybridqies.records import write_lines, write_record
from hybridqies.tensors import save_tensors


class TestFiles:
    def test_written_whole_with_parents(self, tmp_path: Path) -> None:
        write_text(tmp_path / "a" / "b" / "c.txt", "ü\n")
        assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == "ü\n".encode()
        assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["c.txt"]

    def test_an_error_leaves_the_old_file_and_nothing_else(self, tmp_path: Path) -> None:
        target = tmp_path / "c.txt"
        write_bytes(target, b"old")
        fail = contextlib.suppress(RuntimeError)
        with fail, replacing(target) as temporary:
            temporary.write_bytes(b"ne")
            assert target.read_bytes() == b"old"
            raise RuntimeError
        assert target.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [target]

    def test_the_temporary_name_keeps_suffix_and_folder(self, tmp_path: Path) -> None:
        with replacing(tmp_path / "picture.png") as temporary:
            assert temporary.suffix == ".png"
            assert temporary.parent == tmp_path
            assert temporary.name.startswith(".")
            temporary.write_bytes(b"")

    def test_a_file_is_readable_like_any_other(self, tmp_path: Path) -> None:
        write_text(tmp_path / "ours", "")
        (tmp_path / "theirs").write_text("")
        modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "theirs")}
        assert len(modes) == 1

    def test_json_has_no_nan(self, tmp_path: Path) -> None:
        for value in (float("nan"), float("inf"), "\ud800"):
            with pytest.raises(InputError, match=r"a\.json' cannot be written as JSON"):
                write_json(tmp_path / "a.json", {"loss": value})
        assert list(tmp_path.iterdir()) == []
        write_json(tmp_path / "a.json", {"ü": [1, None]})
        assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"ü": [1, None]}

    def test_leftovers_of_killed_processes_go_and_nothing_else(self, tmp_path: Path) -> None:
        with replacing(tmp_path / "model.safetensors") as temporary:
            left = temporary.name
            temporary.write_bytes(b"")
        (tmp_path / "model.safetensors").unlink()
        kept = [".gitignore", ".note-of-mine.txt", "model-0123456789ab.safetensors", "result.json"]
        for name in [left, ".config-0123456789ab.json", ".LICENSE-0123456789ab", ".tmpa1B2c3", *kept]:
            (tmp_path / name).write_text("")
        remove_leftovers(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)

    @pytest.mark.parametrize("umask", [0o022, 0o027, 0o002])
    def test_modes_follow_the_umask(self, umask: int, tmp_path: Path) -> None:
        before = os.umask(umask)
        try:
            write_text(tmp_path / "a.txt", "")
            create_bytes(tmp_path / "b.txt", b"")
            save_tensors(tmp_path / "c.safetensors", {"a": torch.zeros(2)}, {})
            write_record(tmp_path / "d.json", {"a": 1})
            write_lines(tmp_path / "e.jsonl", [{"a": 1}])
        finally:
            os.umask(before)
        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o666 & ~umask}

    @pytest.mark.parametrize("room", [0, 1, 40, 4000])
    def test_a_full_disk_is_an_error_that_names_the_file(self, room: int, tmp_path: Path) -> None:
        """A limit on the size of files stands in for a small disk: `write` fails after as many bytes."""
        values = {"a": torch.zeros(2000)}
        writers = {
            "a.txt": lambda path: write_text(path, "x" * 5000),
            "b.json": lambda path: write_json(path, ["x" * 5000]),
            "c.safetensors": lambda path: save_tensors(path, values, {}),
            "d.txt": lambda path: create_bytes(path, b"x" * 5000),
        }
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        for name, write in writers.items():
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
            try:
                with pytest.raises(OSError, match="File too large") as caught:
                    write(tmp_path / name)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            assert caught.value.filename == str(tmp_path / name)
        assert list(tmp_path.iterdir()) == []

    def test_what_a_read_only_disk_holds_already_counts_as_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        target = tmp_path / "a.json"
        write_json(target, [1])

        def refuse(path: Path, content: bytes) -> int:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

        monkeypatch.setattr(Path, "write_bytes", refuse)
        write_json(target, [1])
        for other, content in ((target, [2]), (tmp_path / "b.json", [1])):
            with pytest.raises(OSError, match="Read-only") as caught:
                write_json(other, content)
            assert caught.value.filename == str(other)
        assert json.loads(target.read_text()) == [1]

    def test_errors_about_other_files_keep_their_names(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "a.txt"):
            (tmp_path / "source").read_bytes()
        assert caught.value.filename == str(tmp_path / "source")

    def test_a_new_file_replaces_nothing(self, tmp_path: Path) -> None:
        create_bytes(tmp_path / "a", b"first")
        with pytest.raises(FileExistsError):
            create_bytes(tmp_path / "a", b"second")
        assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"first")]

    def test_a_new_name_is_synced_where_the_file_system_can(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[list[str]] = []

        def look(folder: Path) -> None:
            seen.append([path.name for path in folder.iterdir()])
            raise OSError(errno.EINVAL, "folders cannot be synced here")

        monkeypatch.setattr("hybridqies.files.sync_folder", look)
        write_bytes(tmp_path / "a", b"abc")
        assert seen == [["a"]]

    def test_digest(self, tmp_path: Path) -> None:
        write_bytes(tmp_path / "a", b"abc")
        assert sha256_of(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223")
