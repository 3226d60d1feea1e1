"""Energy that the machine measures: its processors by RAPL, its NVIDIA GPUs by NVML."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

POWERCAP = Path("/sys/class/powercap")
_LIBRARY = "libnvidia-ml.so.1"
_FUNCTIONS = (
    "nvmlInit_v2",
    "nvmlDeviceGetCount_v2",
    "nvmlDeviceGetHandleByIndex_v2",
    "nvmlDeviceGetTotalEnergyConsumption",
)
_MICRO, _MILLI = 1e-6, 1e-3


class Meter(Protocol):
    """A counter of joules."""

    @property
    def name(self) -> str:
        """What it measures."""
        ...

    @property
    def range(self) -> float:
        """Joules at which it begins again at 0; infinite for one that does not."""
        ...

    def read(self) -> float:
        """Joules since a moment that is the same for all readings.

        Raises
        ------
        OSError: it cannot be read.
        """
        ...


class Rapl:
    """A processor, with all that runs on it; `folder` is its domain in the kernel's powercap interface."""

    def __init__(self, folder: Path) -> None:
        self._counter = folder / "energy_uj"
        self.name = f"RAPL {(folder / 'name').read_text().strip()}"
        self.range = _MICRO * _read_whole(folder / "max_energy_range_uj")

    def read(self) -> float:
        """Joules since the machine was started, or since the counter began again."""
        return _MICRO * _read_whole(self._counter)


class Nvml:
    """A GPU; `library` is NVIDIA's management library, initialised."""

    range = float("inf")

    def __init__(self, library: Any, index: int) -> None:
        self._library, self._handle = library, ctypes.c_void_p()
        self.name = f"NVML GPU {index}"
        _check(library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(self._handle)))

    def read(self) -> float:
        """Joules since the driver was loaded."""
        found = ctypes.c_ulonglong()
        _check(self._library.nvmlDeviceGetTotalEnergyConsumption(self._handle, ctypes.byref(found)))
        return _MILLI * found.value


class Consumption:
    """Joules by meter since it was made; `sample` has to be called before any counter begins again."""

    def __init__(self, meters: Sequence[Meter]) -> None:
        self._meters: list[tuple[Meter, float]] = []
        for meter in meters:
            with contextlib.suppress(OSError):
                self._meters.append((meter, meter.read()))
        self.joules = {meter.name: 0.0 for meter, _ in self._meters}

    def sample(self) -> None:
        """Adds what was used since the last call; a meter that fails is left out from then on."""
        sampled = []
        for meter, before in self._meters:
            try:
                now = meter.read()
            except OSError:
                # A part of the energy would pass for all of it.
                del self.joules[meter.name]
                continue
            self.joules[meter.name] += now - before + (meter.range if now < before else 0.0)
            sampled.append((meter, now))
        self._meters = sampled


def find_meters(*, gpus: bool, powercap: Path = POWERCAP, library: str = _LIBRARY) -> tuple[list[Meter], str]:
    """The meters that can be read, and why not more of them: empty where all can."""
    meters: list[Meter] = []
    lacking = []
    for find in (_processors(powercap), *([_gpus(library)] if gpus else [])):
        try:
            found = list(find)
            for meter in found:
                meter.read()
            meters += found
        except OSError as error:
            lacking.append(str(error))
    return meters, "; ".join(lacking)


def _processors(powercap: Path) -> Iterator[Meter]:
    folders = sorted(powercap.glob("intel-rapl:*")) if powercap.is_dir() else []
    packages = [Rapl(folder) for folder in folders if (folder / "name").read_text().startswith("package")]
    if not packages:
        raise OSError(f"no RAPL counters in {powercap}")
    yield from packages


def _gpus(library: str) -> Iterator[Meter]:
    nvml = ctypes.CDLL(library)
    lacking = [name for name in _FUNCTIONS if not hasattr(nvml, name)]
    if lacking:
        raise OSError(f"{library} of this driver has no {lacking[0]}")
    _check(nvml.nvmlInit_v2())
    count = ctypes.c_uint()
    _check(nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)))
    for index in range(count.value):
        yield Nvml(nvml, index)


def _read_whole(path: Path) -> int:
    try:
        return int(path.read_text())
    except ValueError:
        raise OSError(f"{path} holds no number") from None


def _check(code: int) -> None:
    if code:
        raise OSError(f"NVML answered with error {code}")
