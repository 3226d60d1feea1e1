"""NVIDIA's driver, called directly: a dozen functions of `libcuda` whose interface does not change."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import byref, c_char_p, c_int, c_void_p
from typing import Any

from hybridqies.errors import CapabilityError

_COMPUTE_MAJOR, _COMPUTE_MINOR, _SHARED_BYTES = 75, 76, 97
_MOST_DYNAMIC_SHARED = 8
# What a kernel may use of shared memory without asking for more.
_USUAL_SHARED_BYTES = 48 * 1024


class Driver:
    """The functions of a loaded `libcuda`."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._call("cuInit", 0)

    @classmethod
    def load(cls, name: str = "libcuda.so.1") -> Driver:
        """The driver of this machine.

        Raises
        ------
        CapabilityError: there is none.
        """
        try:
            return cls(ctypes.CDLL(name))
        except OSError as error:
            raise CapabilityError(
                f"NVIDIA's driver cannot be loaded ({error})",
                expected=f"{name} for circuits on a CUDA device",
                todo="install NVIDIA's driver, or run on the CPU",
            ) from None

    def version(self) -> tuple[int, int]:
        """The newest version of CUDA that it runs."""
        number = c_int()
        self._call("cuDriverGetVersion", byref(number))
        return number.value // 1000, number.value % 1000 // 10

    def capability(self, device: int) -> tuple[int, int]:
        """The compute capability of a card, such as (9, 0)."""
        return self._attribute(device, _COMPUTE_MAJOR), self._attribute(device, _COMPUTE_MINOR)

    def shared_bytes(self, device: int) -> int:
        """Shared memory that one thread block can have on a card."""
        return self._attribute(device, _SHARED_BYTES)

    def _attribute(self, device: int, which: int) -> int:
        found, handle = c_int(), c_int()
        self._call("cuDeviceGet", byref(handle), device)
        self._call("cuDeviceGetAttribute", byref(found), which, handle)
        return found.value

    def context(self, device: int) -> c_void_p:
        """The context of a card that torch uses, too."""
        found, handle = c_void_p(), c_int()
        self._call("cuDeviceGet", byref(handle), device)
        self._call("cuDevicePrimaryCtxRetain", byref(found), handle)
        return found

    def load_module(self, context: c_void_p, image: bytes) -> c_void_p:
        """Loads compiled kernels."""
        module = c_void_p()
        self._call("cuCtxPushCurrent_v2", context)
        try:
            self._call("cuModuleLoadData", byref(module), c_char_p(image))
        finally:
            self._call("cuCtxPopCurrent_v2", byref(c_void_p()))
        return module

    def function(self, context: c_void_p, module: c_void_p, name: str, shared_bytes: int) -> c_void_p:
        """A kernel by name, allowed to use so much shared memory."""
        found = c_void_p()
        self._call("cuCtxPushCurrent_v2", context)
        try:
            self._call("cuModuleGetFunction", byref(found), module, c_char_p(name.encode()))
            if shared_bytes > _USUAL_SHARED_BYTES:
                self._call("cuFuncSetAttribute", found, _MOST_DYNAMIC_SHARED, shared_bytes)
        finally:
            self._call("cuCtxPopCurrent_v2", byref(c_void_p()))
        return found

    def launch(
        self,
        context: c_void_p,
        function: c_void_p,
        name: str,
        grid: tuple[int, int],
        threads: int,
        shared_bytes: int,
        stream: int,
        arguments: Any,
    ) -> None:
        """Starts a kernel, by its name in errors, on a stream; `arguments` is an array of pointers."""
        self._call("cuCtxPushCurrent_v2", context)
        try:
            self._call(
                "cuLaunchKernel", function, *grid, 1, threads, 1, 1, shared_bytes, c_void_p(stream),
                arguments, None,
                about=lambda: f" of {name!r}, {grid[0]} x {grid[1]} blocks of {threads} threads "
                f"and {shared_bytes} bytes",
            )  # fmt: skip
        finally:
            self._call("cuCtxPopCurrent_v2", byref(c_void_p()))

    def _call(self, name: str, *arguments: Any, about: Callable[[], str] = str) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            text = c_char_p()
            self._library.cuGetErrorString(status, byref(text))
            said = (text.value or b"unknown error").decode(errors="replace")
            raise CapabilityError(
                f"NVIDIA's driver refused {name}{about()} (error {status}: {said})",
                todo="check the card with nvidia-smi",
            )
