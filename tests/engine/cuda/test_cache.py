"""Compiled kernels on disk, with a compiler that needs nothing: its code tells what it was asked for."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from hybridqies import files
from hybridqies.engine.cuda import compiler
from hybridqies.engine.cuda.compiler import Capability, Nvrtc, find_machine_code
from hybridqies.engine.uncached import warn_uncached

DEFINITIONS, CARD, DRIVER = ("REAL=float", "PLANES=1", "HELD=1", "MAX_THREADS=512"), (9, 0), (12, 9)
# Both are at the compiler before either writes: each waits for a line, which comes when both have asked.
TWO_PROCESSES = """
import sys
from hybridqies.engine.cuda.compiler import find_machine_code

class Slow:
    def version(self):
        return 12, 9

    def compile(self, definitions, capability):
        print("compiling", flush=True)
        sys.stdin.readline()
        return bytes(range(256)) * 40_000

code = find_machine_code(Slow(), ["REAL=float"], (9, 0), (12, 9))
print(code == bytes(range(256)) * 40_000, flush=True)
"""


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


def test_two_processes_at_once_leave_one_whole_file(cache: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", TWO_PROCESSES],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"HYBRIDQIES_CACHE": str(cache.parent)},
            text=True,
        )
        for _ in range(2)
    ]
    for each in started:
        assert each.stdout is not None
        assert each.stdout.readline() == "compiling\n"
    assert [each.communicate("\n", timeout=120)[0] for each in started] == ["True\n", "True\n"]
    (kept,) = cache.iterdir()
    assert kept.stat().st_size == 32 + 256 * 40_000
    after = FakeCompiler()
    assert find_machine_code(after, ["REAL=float"], CARD, DRIVER) == bytes(range(256)) * 40_000
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
