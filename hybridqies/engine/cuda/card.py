"""One card: its limits, its compiled kernels, and how they are launched on tensors."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from hybridqies.engine.cuda.compiler import Compiler, Nvrtc, find_machine_code
from hybridqies.engine.cuda.driver import Driver
from hybridqies.errors import CapabilityError, MissingExtraError

# Older drivers run no machine code of the versions of NVRTC that are looked for.
_OLDEST_DRIVER = (12, 0)


class Variant(NamedTuple):
    """One compilation of the kernels."""

    is_double: bool
    planes: int
    held: int

    @property
    def most_threads(self) -> int:
        """Threads of a block; with more of them a thread would have too few registers."""
        return 256 if self.is_double else 512

    def definitions(self) -> list[str]:
        """The words that its compilation defines."""
        kind = "double" if self.is_double else "float"
        return [
            f"REAL={kind}",
            f"PLANES={self.planes}",
            f"HELD={self.held}",
            f"MAX_THREADS={self.most_threads}",
        ]


class Launch(NamedTuple):
    """How many thread blocks of how many threads a kernel starts, and their shared memory."""

    grid: tuple[int, int]
    threads: int
    shared_bytes: int


@dataclass(eq=False)
class Card:
    """A card and the kernels that have been loaded for it; `find_stream` gives the stream to launch on."""

    driver: Driver
    compiler: Compiler
    number: int
    find_stream: Callable[[], int]
    _modules: dict[Variant, Any] = field(default_factory=dict)
    _functions: dict[tuple[Variant, str], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found, needed = self.driver.version(), max(_OLDEST_DRIVER, (self.compiler.version()[0], 0))
        if found < needed:
            raise CapabilityError(
                f"NVIDIA's driver supports CUDA {found[0]}.{found[1]}",
                expected=f"CUDA {needed[0]}.{needed[1]} or later",
                todo="update the driver"
                if found < _OLDEST_DRIVER
                else "update the driver, or pip install nvidia-cuda-nvrtc-cu12 in place of nvidia-cuda-nvrtc",
            )
        self.shared_bytes = self.driver.shared_bytes(self.number)
        self._context = self.driver.context(self.number)

    @classmethod
    def open(cls, device: torch.device) -> Card:
        """The card of torch's device.

        Raises
        ------
        MissingExtraError: NVRTC is not installed.
        CapabilityError: the driver is missing, or too old for NVRTC.
        """
        driver = Driver.load()
        compiler = Nvrtc.find(driver.version())
        if compiler is None:
            raise MissingExtraError("running circuits on a CUDA device by compiled kernels", "cuda")
        number = torch.cuda.current_device() if device.index is None else device.index
        return cls(driver, compiler, number, lambda: int(torch.cuda.current_stream(number).cuda_stream))

    def launch(self, variant: Variant, name: str, shape: Launch, *structures: ctypes.Structure) -> None:
        """Starts a kernel on these arguments."""
        function = self._functions.get((variant, name)) or self._load(variant, name)
        pointers = (ctypes.c_void_p * len(structures))(*map(ctypes.addressof, structures))
        self.driver.launch(
            self._context,
            function,
            name,
            shape.grid,
            shape.threads,
            shape.shared_bytes,
            self.find_stream(),
            pointers,
        )

    def _load(self, variant: Variant, name: str) -> Any:
        if variant not in self._modules:
            capability = self.driver.capability(self.number)
            code = find_machine_code(self.compiler, variant.definitions(), capability, self.driver.version())
            self._modules[variant] = self.driver.load_module(self._context, code)
        function = self.driver.function(self._context, self._modules[variant], name, self.shared_bytes)
        self._functions[variant, name] = function
        return function
