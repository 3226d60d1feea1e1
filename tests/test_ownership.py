"""One owner per folder, across processes, renamed folders and killed owners."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hybridqies.errors import InputError
from hybridqies.ownership import FolderLock

HOLD = """
import sys, time
from pathlib import Path
from hybridqies.ownership import FolderLock
with FolderLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_owner_is_refused_in_one_line(tmp_path: Path) -> None:
    process = hold(tmp_path / "run")
    try:
        with pytest.raises(
            InputError, match=rf"run' is in use by process {process.pid} on '.*'; .*wait until"
        ):
            FolderLock(tmp_path / "run").acquire()
        with FolderLock(tmp_path / "other"):
            pass
    finally:
        process.communicate("")
    with FolderLock(tmp_path / "run"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_killed_owner_is_free(tmp_path: Path) -> None:
    process = hold(tmp_path / "run")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (tmp_path / ".run.lock").is_file()
    with FolderLock(tmp_path / "run"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_another_lock_of_the_same_process_is_refused(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path / "run")
    with lock:
        for second in (lock, FolderLock(tmp_path / "run"), FolderLock(tmp_path / "x" / ".." / "run")):
            with pytest.raises(InputError, match="is in use by"):
                second.acquire()
    lock.release()
    with lock:
        assert lock.path.is_file()


def test_the_folder_may_be_renamed_and_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with FolderLock(folder):
        folder.rename(tmp_path / ".run-replaced")
        folder.mkdir()
        with pytest.raises(InputError):
            FolderLock(folder).acquire()


def test_links_to_one_folder_share_its_lock(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to("run")
    with FolderLock(tmp_path / "link"), pytest.raises(InputError):
        FolderLock(tmp_path / "run").acquire()


def test_a_lock_deleted_while_it_was_waited_for_is_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner before deletes the file after it was opened and before it is locked."""
    lock, opened = FolderLock(tmp_path / "run"), FolderLock._open

    def open_then_lose(self: FolderLock) -> int:
        descriptor = opened(self)
        monkeypatch.undo()
        self.path.unlink()
        return descriptor

    monkeypatch.setattr(FolderLock, "_open", open_then_lose)
    with lock:
        assert lock.path.is_file()
        with pytest.raises(InputError):
            FolderLock(tmp_path / "run").acquire()


def test_where_nothing_may_be_written_beside_the_folder_itself_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, os_open = tmp_path / "run", os.open
    folder.mkdir()

    def denied(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied", str(path))
        return os_open(path, flags, mode)

    monkeypatch.setattr(os, "open", denied)
    with FolderLock(folder):
        with pytest.raises(InputError, match="in use by another process"):
            FolderLock(folder).acquire()
        assert list(tmp_path.iterdir()) == [folder]
    with FolderLock(folder):
        pass
    with pytest.raises(PermissionError):
        FolderLock(tmp_path / "new").acquire()


def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".run.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        FolderLock(tmp_path / "run").acquire()
    assert not (tmp_path / "elsewhere").exists()


def test_the_root_is_no_folder_to_own() -> None:
    with pytest.raises(InputError, match="root of the file system"):
        FolderLock(Path("/"))
