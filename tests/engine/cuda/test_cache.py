"""Compiled kernels on disk, with a compiler that needs nothing: its code tells what it was asked for."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from hybridqies import files
from hybridqies.engine.cuda import compiler
from hybridqies.engine.cuda.compiler import Capability, Nvrtc, find_machine_code
from hybridqies.engine.uncached import warn_uncached

DEFINITIONS, CARD, DRIVER = ("REAL=float", "PLANES=1", "HELD=1", "MAX_THREADS=512"), (9, 0), (12, 9)
LONG = bytes(range(256)) * 40_000


class FakeCompiler:
    """Counts what it compiles."""

    def __init__(self, version: tuple[int, int] = (12, 9)) -> None:
        self._version = version
        self.compiled = 0

    def version(self) -> tuple[int, int]:
        return self._version

    def compile(self, definitions: Sequence[str], capability: Capability) -> bytes:
        self.compiled += 1
        return repr((self._version, tuple(definitions), capability)).encode()


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HYBRIDQIES_CACHE", str(tmp_path))
    warn_uncached.cache_clear()
    return tmp_path / "kernels"


class WaitingCompiler(FakeCompiler):
    """Says that it was asked, and waits until it may answer."""

    def __init__(self, asked: int, may_answer: int) -> None:
        super().__init__()
        self._asked, self._may_answer = asked, may_answer

    def compile(self, definitions: Sequence[str], capability: Capability) -> bytes:
        os.write(self._asked, b"x")
        os.read(self._may_answer, 1)
        return LONG


def compile_in_child(asked: int, may_answer: int) -> int:
    """Starts a process that wants kernels; its exit code is 0 where it got them whole."""
    child = os.fork()
    if child:
        return child
    code = 2
    try:
        found = find_machine_code(WaitingCompiler(asked, may_answer), ["REAL=float"], CARD, DRIVER)
        code = int(found != LONG)
    finally:
        os._exit(code)


def test_two_processes_at_once_leave_one_whole_file(cache: Path) -> None:
    """Both are at the compiler before either writes."""
    (is_asked, asked), (may_answer, answer) = os.pipe(), os.pipe()
    children = [compile_in_child(asked, may_answer) for _ in range(2)]
    os.close(asked)
    try:
        assert [os.read(is_asked, 1) for _ in range(2)] == [b"x", b"x"]
    finally:
        os.write(answer, b"xx")
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        for each in (is_asked, may_answer, answer):
            os.close(each)
    assert codes == [0, 0]
    (kept,) = cache.iterdir()
    assert kept.stat().st_size == 32 + len(LONG)
    after = FakeCompiler()
    assert find_machine_code(after, ["REAL=float"], CARD, DRIVER) == LONG
    assert after.compiled == 0


def test_each_card_driver_compiler_variant_and_source_has_code_of_its_own(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = FakeCompiler()
    asked = [
        (made, DEFINITIONS, CARD, DRIVER),
        (made, DEFINITIONS, (8, 0), DRIVER),
        (made, DEFINITIONS, CARD, (13, 0)),
        (made, ("REAL=double", *DEFINITIONS[1:]), CARD, DRIVER),
        (FakeCompiler((12, 8)), DEFINITIONS, CARD, DRIVER),
    ]
    for _ in range(2):
        for each in asked:
            code = find_machine_code(*each)
            assert code == repr((each[0].version(), each[1], each[2])).encode()
    assert (made.compiled, asked[-1][0].compiled) == (4, 1)
    monkeypatch.setattr(compiler, "_digest_of_source", lambda: "another source")
    find_machine_code(*asked[0])
    assert made.compiled == 5
    assert len(list(cache.iterdir())) == 6


def test_a_read_only_folder_compiles_in_every_process_after_one_warning(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(files, "write_bytes", refuse)
    made = FakeCompiler()
    with pytest.warns(
        UserWarning, match=r"CUDA kernels cannot be kept .*Read-only.*HYBRIDQIES_CACHE"
    ) as told:
        codes = {find_machine_code(made, DEFINITIONS, CARD, DRIVER) for _ in range(2)}
    assert (len(codes), made.compiled, len(told)) == (1, 2, 1)
    assert not cache.exists()


def test_nvrtcs_code_is_read_back_as_it_was_compiled(cache: Path) -> None:
    found = Nvrtc.find()
    if found is None:
        pytest.skip("NVRTC is not installed; pip install 'hybridqies[cuda]'")
    code = find_machine_code(found, DEFINITIONS, CARD, DRIVER)
    assert code.startswith(b"\x7fELF")
    (kept,) = cache.iterdir()
    assert kept.read_bytes()[32:] == code
    assert find_machine_code(found, DEFINITIONS, CARD, DRIVER) == code
