"""Cards that are none: the kernels compiled by g++ behind a driver of the same functions, and a counter."""

from __future__ import annotations

import ctypes
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hybridqies.engine.cuda.card import Card, Launch, Variant
from hybridqies.engine.cuda.compiler import SOURCE, Capability
from hybridqies.engine.cuda.driver import Driver

HERE = Path(__file__).parent
CUDA_HEADERS = Path("/usr/local/cuda/include")
STREAM = 77


class GppCompiler:
    """Kernels for the CPU: the image of a module is the path of a library."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.compiled: list[tuple[str, ...]] = []

    def version(self) -> tuple[int, int]:
        return 12, 9

    def compile(self, definitions: Sequence[str], capability: Capability) -> bytes:
        self.compiled.append(tuple(definitions))
        library = self.folder / ("-".join(definitions) + ".so")
        if not library.exists():
            build(HERE / "emulated.cpp", library, *(f"-D{each}" for each in definitions))
        return str(library).encode() + b"\0"


def build(source: Path, library: Path, *options: str) -> None:
    folders = [f"-I{SOURCE}", f"-I{HERE}", f"-I{CUDA_HEADERS}"]
    command = [
        "g++",
        "-O1",
        "-std=c++17",
        "-shared",
        "-fPIC",
        *folders,
        *options,
        "-o",
        str(library),
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def load_driver(folder: Path) -> ctypes.CDLL:
    """The driver's library, compiled on first use."""
    library = folder / "libcuda.so"
    if not library.exists():
        build(HERE / "libcuda.cpp", library)
    return ctypes.CDLL(str(library))


def emulated_card(folder: Path, compiler: GppCompiler | None = None) -> Card:
    return Card(Driver(load_driver(folder)), compiler or GppCompiler(folder), 0, lambda: STREAM)


def read_number(folder: Path, name: str) -> int:
    """A counter of the emulated driver."""
    return ctypes.c_int.in_dll(load_driver(folder), name).value


class CountingCard:
    """Has a data-centre card's shared memory, and counts launches by the kernel's name."""

    shared_bytes = 232_448

    def __init__(self) -> None:
        self.launches = Counter[str]()

    def launch(self, variant: Variant, name: str, shape: Launch, *structures: ctypes.Structure) -> None:
        self.launches[name] += 1
