"""Fuzzes one reader of files, programs, options or arguments, guided by the code that its inputs reach.

    python benchmarks/fuzz_readers.py --list
    python benchmarks/fuzz_readers.py openqasm --seconds 600

It needs the package atheris (pip install atheris). A reader may read an input or refuse it with a
HybridqiesError. Findings are other exceptions, and inputs that take more than 2 seconds of processor time or
500 MB. Prints executions and findings, keeps the input of each finding in --out, and exits 1 if it has any.
`--input FILE` reads one such input again, without atheris.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from fuzz_table import READERS, Reader

SECONDS, MEGABYTES = 2.0, 500
# Modules whose branches guide the search.
INSTRUMENTED = ["hybridqies", "tomllib", "csv", "openqasm3", "qiskit_qasm3_import", "typer", "click"]
_TOKENS = (b"10**18", b"-1", b"0", b"1e400", b"9" * 5000, b'"', b"[" * 200, b"\xff", b"\x00", b"\n", b"null")
_TOKENS += (
    b"\xed\xa0\x80",
    b"NaN",
    b"true",
    b"{}",
    b"[]",
    b"'",
    b"=",
    b".",
    b"\xc2\xb2",
    b"\x1b[2J",
    b"[/b]",
)


class SlowError(BaseException):
    """One input has taken too long; no reader catches it."""


def main() -> None:
    """Fuzzes one reader, or reads one input."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reader", nargs="?", choices=READERS)
    parser.add_argument("--list", action="store_true", help="print the readers")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("fuzz-findings"), help="where inputs are kept")
    parser.add_argument("--input", type=Path, help="read this input and say what it does")
    given = parser.parse_args()
    if given.list or given.reader is None:
        print("\n".join(READERS))
        return
    isolate()
    with tempfile.TemporaryDirectory() as folder:
        reader = READERS[given.reader]
        if given.input is None:
            fuzz(reader, Path(folder), given.seconds, given.seed, given.out)
        warm_up(reader, Path(folder))
        found = check(reader, given.input.read_bytes(), Path(folder))
    print(found or "no finding")
    sys.exit(bool(found))


def isolate() -> None:
    """Nothing is downloaded, and no key of a service is at hand."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "HYBRIDQIES_PROGRESS": "off"}
    for name in [name for name in os.environ if name.startswith(("IONQ_", "QISKIT_IBM_"))]:
        del os.environ[name]


def warm_up(reader: Reader, folder: Path) -> list[bytes]:
    """Reads the seeds once, so that imports and first compilations are not charged to an input."""
    from hybridqies.errors import HybridqiesError

    seeds = list(reader.seeds(folder))
    for seed in seeds:
        with contextlib.suppress(HybridqiesError):
            reader.read(seed, folder)
    return seeds


def check(reader: Reader, content: bytes, folder: Path) -> str:
    """What is wrong with how the reader takes an input; empty if nothing is."""
    from hybridqies.errors import HybridqiesError

    before, memory, found = time.process_time(), _forget_peak(), ""
    try:
        with _limit(SECONDS):
            reader.read(content, folder)
    except HybridqiesError as error:
        found = "a message of several lines" if "\n" in str(error) else ""
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        frames = [each for each in traceback.extract_tb(error.__traceback__) if "fuzz_" not in each.filename]
        own = [each for each in frames if "hybridqies/" in each.filename] or frames
        place = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "?"
        found = f"{type(error).__name__} at {place}: {error!s:.200}"
    seconds = time.process_time() - before
    if _peak() - memory > MEGABYTES:
        found = found or "more memory than allowed"
    return found or ("more time than allowed" if seconds > SECONDS else "")


def _forget_peak() -> float:
    """Has the kernel measure the peak of this process's memory from now on, where it can; that peak in MB."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> float:
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextlib.contextmanager
def _limit(seconds: float) -> Iterator[None]:
    def stop(_: int, __: FrameType | None) -> NoReturn:
        raise SlowError(f"more than {seconds} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def mutations(seeds: list[bytes], draw: random.Random, count: int) -> Iterator[bytes]:
    """Inputs made of the seeds by a few random changes each."""
    for _ in range(count):
        content = bytearray(draw.choice(seeds))
        for _ in range(draw.choice((1, 1, 2, 4))):
            at, to = sorted(draw.randrange(len(content) + 1) for _ in range(2))
            match draw.randrange(6):
                case 0 if at < len(content):
                    content[at] ^= 1 << draw.randrange(8)
                case 1:
                    del content[at : min(to, at + 40)]
                case 2:
                    content[at:at] = content[at : at + draw.randrange(1, 40)]
                case 3:
                    del content[at:]
                case _:
                    content[at : at + draw.choice((0, 1, 3))] = draw.choice(_TOKENS)
        yield bytes(content)


def fuzz(reader: Reader, folder: Path, seconds: float, seed: int, out: Path) -> NoReturn:
    """Runs the fuzzer for so long, prints what came of it and ends the process."""
    if importlib.util.find_spec("atheris") is None:
        sys.exit("fuzz_readers.py needs the package atheris, which is not installed: pip install atheris")
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED, enable_loader_override=False):
        seeds = warm_up(reader, folder)
    corpus = folder / "corpus"
    corpus.mkdir()
    for at, content in enumerate(seeds):
        (corpus / str(at)).write_bytes(content)
    (folder / "dictionary").write_text("".join(f'"{word}"\n' for word in reader.dictionary))
    session = _Session(reader, folder, time.monotonic() + seconds, out)
    options = [f"-seed={seed}", "-timeout=3600", "-rss_limit_mb=0", "-verbosity=0", "-print_final_stats=0"]
    options += ["-max_len=8192", f"-dict={folder / 'dictionary'}"] if reader.dictionary else ["-max_len=8192"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], session.take)
    atheris.Fuzz()
    sys.exit("the fuzzer ended before its time")


class _Session:
    """Counts executions, and keeps the first input of each finding."""

    def __init__(self, reader: Reader, folder: Path, until: float, out: Path) -> None:
        self._reader, self._folder, self._until, self._out = reader, folder, until, out
        self._begun, self._count = time.monotonic(), 0
        self._findings: Counter[str] = Counter()

    def take(self, content: bytes) -> None:
        """Reads one input; ends the process when time is up."""
        self._count += 1
        found = check(self._reader, content, self._folder)
        if found:
            kind = found.partition(": ")[0]
            if kind not in self._findings:
                self._keep(content, found)
            self._findings[kind] += 1
        if time.monotonic() >= self._until:
            self._end()

    def _keep(self, content: bytes, found: str) -> None:
        self._out.mkdir(parents=True, exist_ok=True)
        path = self._out / f"{self._reader.name.replace(' ', '-')}-{len(self._findings)}"
        path.write_bytes(content)
        print(f"{path}: {found}", flush=True)

    def _end(self) -> None:
        seconds = time.monotonic() - self._begun
        done = f"{self._count:,} executions in {seconds:.0f} s"
        print(f"{self._reader.name}: {done}, {len(self._findings)} findings")
        for kind, count in self._findings.items():
            print(f"  {kind}: {count} inputs")
        sys.stdout.flush()
        shutil.rmtree(self._folder, ignore_errors=True)
        # The fuzzer has no way to be left.
        os._exit(bool(self._findings))


if __name__ == "__main__":
    main()
