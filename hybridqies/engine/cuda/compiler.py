"""CUDA C++ to machine code by NVRTC, once for each kind of card; kept on disk."""

from __future__ import annotations

import ctypes
import hashlib
import sys
from collections.abc import Iterator, Sequence
from ctypes import byref, c_char_p, c_int, c_size_t, c_void_p
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

from hybridqies import files
from hybridqies.engine.uncached import warn_uncached
from hybridqies.errors import CapabilityError, InputError

SOURCE = Path(__file__).parent / "source"
MAIN = SOURCE / "kernels.cu"
Capability = tuple[int, int]
_warn_uncached = partial(warn_uncached, "CUDA kernels", "some seconds", "HYBRIDQIES_CACHE")


class Compiler(Protocol):
    """What makes kernels for a card."""

    def version(self) -> tuple[int, int]:
        """The version of CUDA that it compiles for."""

    def compile(self, definitions: Sequence[str], capability: Capability) -> bytes:
        """The kernels with these definitions ("REAL=float") for cards of one compute capability."""


class Nvrtc:
    """NVIDIA's compiler as a library: it needs neither a C++ compiler nor a card."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    @classmethod
    def find(cls, driver: tuple[int, int] | None = None) -> Nvrtc | None:
        """The newest one, a wheel or the system's, that the driver runs; else the newest."""
        too_new = None
        for name in (*_wheels(), "libnvrtc.so.13", "libnvrtc.so.12"):
            try:
                found = cls(ctypes.CDLL(name))
            except OSError:
                continue
            if driver is None or found.version()[0] <= driver[0]:
                return found
            too_new = too_new or found
        return too_new

    def version(self) -> tuple[int, int]:
        """The version of CUDA that it compiles for."""
        major, minor = c_int(), c_int()
        self._call("nvrtcVersion", byref(major), byref(minor))
        return major.value, minor.value

    def capabilities(self) -> list[Capability]:
        """The cards that it compiles for."""
        count = c_int()
        self._call("nvrtcGetNumSupportedArchs", byref(count))
        found = (c_int * count.value)()
        self._call("nvrtcGetSupportedArchs", found)
        return [divmod(number, 10) for number in found]

    def compile(self, definitions: Sequence[str], capability: Capability) -> bytes:
        """The kernels with these definitions ("REAL=float") for cards of one compute capability.

        Raises
        ------
        CapabilityError: this version knows no such card.
        """
        major, minor = _fit(capability, self.capabilities(), self.version())
        options = [f"--gpu-architecture=sm_{major}{minor}", "--std=c++17", f"--include-path={SOURCE}"]
        options += [f"--define-macro={each}" for each in definitions]
        program = c_void_p()
        text = c_char_p(MAIN.read_bytes())
        self._call("nvrtcCreateProgram", byref(program), text, b"kernels.cu", 0, None, None)
        try:
            encoded = (c_char_p * len(options))(*(each.encode() for each in options))
            if self._library.nvrtcCompileProgram(program, len(options), encoded):
                raise RuntimeError(f"NVRTC could not compile the kernels:\n{self._log(program)}")
            return self._read(program, "nvrtcGetCUBIN")
        finally:
            self._call("nvrtcDestroyProgram", byref(program))

    def _log(self, program: c_void_p) -> str:
        return self._read(program, "nvrtcGetProgramLog").rstrip(b"\0").decode(errors="replace")

    def _read(self, program: c_void_p, name: str) -> bytes:
        size = c_size_t()
        self._call(f"{name}Size", program, byref(size))
        room = ctypes.create_string_buffer(size.value)
        self._call(name, program, room)
        return room.raw

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            self._library.nvrtcGetErrorString.restype = c_char_p
            said = self._library.nvrtcGetErrorString(status).decode()
            raise CapabilityError(f"NVRTC failed in {name}: {said}", todo="reinstall NVRTC")


def is_compiler_installed() -> bool:
    """Whether NVRTC is there, without loading it where it is a wheel."""
    return next(_wheels(), None) is not None or Nvrtc.find() is not None


def _wheels() -> Iterator[str]:
    """NVRTC in the folders of NVIDIA's wheels, the newest first."""
    found = [
        path
        for entry in sys.path
        for pattern in ("nvidia/cuda_nvrtc/lib", "nvidia/cu*/lib")
        for folder in Path(entry).glob(pattern)
        for path in folder.glob("libnvrtc.so.*")
    ]
    return map(str, sorted(found, key=lambda path: int(path.name.rpartition(".")[2]), reverse=True))


def _fit(wanted: Capability, known: Sequence[Capability], version: tuple[int, int]) -> Capability:
    """The nearest older capability whose machine code the card runs: that of the same generation."""
    fitting = [each for each in known if each[0] == wanted[0] and each[1] <= wanted[1]]
    if not fitting:
        raise CapabilityError(
            f"the card has compute capability {wanted[0]}.{wanted[1]}, which NVRTC "
            f"{version[0]}.{version[1]} does not compile for",
            expected=", ".join(f"{major}.{minor}" for major, minor in known),
            todo="install another version of NVRTC, or run on the CPU",
        )
    return max(fitting)


def find_machine_code(
    compiler: Compiler, definitions: Sequence[str], capability: Capability, driver: tuple[int, int]
) -> bytes:
    """The compiled kernels, from disk where they are kept for these sources, this compiler and driver.

    Where nothing can be written, every process compiles for itself, after one warning.
    """
    key = repr((_digest_of_source(), compiler.version(), tuple(definitions), capability, driver))
    name = hashlib.sha256(key.encode()).hexdigest()
    try:
        path = files.default_cache_folder() / "kernels" / f"{name}.cubin"
        kept = _read_kept(path)
    except InputError as error:
        _warn_uncached(str(error))
        return compiler.compile(definitions, capability)
    if kept is not None:
        return kept
    code = compiler.compile(definitions, capability)
    try:
        files.write_bytes(path, hashlib.sha256(code).digest() + code)
    except OSError as error:
        _warn_uncached(str(error))
    return code


def _read_kept(path: Path) -> bytes | None:
    """What a file holds after its digest; None where it is missing, unreadable or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, code = content[:32], content[32:]
    return code if code and hashlib.sha256(code).digest() == digest else None


@cache
def _digest_of_source() -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(SOURCE.iterdir()))).hexdigest()
