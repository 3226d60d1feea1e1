"""Every constant of the estimate of energy, with its uncertainty and its source."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hybridqies.errors import InputError, UnknownNameError

# Of a normal distribution between its 5 % and 95 % quantiles.
_STANDARD_DEVIATIONS = 2 * 1.6448536269514722
# Products of constants with the largest state are still numbers.
_LEAST, _MOST = 1e-20, 1e20
_H100 = "NVIDIA H100 SXM5 80 GB, data sheet"
_ARIA = "IonQ Aria, system timing in Microsoft's documentation of Azure Quantum"


@dataclass(frozen=True, slots=True)
class Constant:
    """A positive quantity; it is between `low` and `high` with 90 %, and its logarithm is normal.

    Raises
    ------
    InputError: the numbers are not positive, not in order, or beyond all bounds.
    """

    value: float
    low: float
    high: float
    unit: str
    source: str

    def __post_init__(self) -> None:
        if not _LEAST <= self.low <= self.value <= self.high <= _MOST:
            raise InputError(
                f"a constant was given {self.low:g}:{self.value:g}:{self.high:g}",
                expected=f"positive numbers that rise: low, value, high, from {_LEAST:g} to {_MOST:g}",
            )

    def draw(self, count: int, random: np.random.Generator) -> np.ndarray:
        """Random values, (count,); half of them are below `value`, and each side has its own spread."""
        normal = random.normal(size=count)
        below, above = (
            2 * math.log(ratio) / _STANDARD_DEVIATIONS
            for ratio in (self.value / self.low, self.high / self.value)
        )
        drawn: np.ndarray = self.value * np.exp(np.where(normal < 0, below, above) * normal)
        return drawn


@dataclass(frozen=True, slots=True)
class Constants:
    """What the estimate depends on, beside the circuit."""

    qpu_watts: Constant = Constant(
        3000, 1000, 10_000, "W", "assumption: one to three racks with lasers, vacuum and control, always on"
    )
    qpu_shot_seconds: Constant = Constant(
        5e-3, 1e-3, 2e-2, "s", "assumption: cooling, preparing and reading out a chain of ions"
    )
    qpu_one_qubit_seconds: Constant = Constant(135e-6, 10e-6, 150e-6, "s", f"{_ARIA}; low: assumption")
    qpu_two_qubit_seconds: Constant = Constant(
        600e-6, 200e-6, 1000e-6, "s", f"{_ARIA}; low and high: assumption"
    )
    gpu_watts: Constant = Constant(700, 400, 700, "W", f"{_H100}; low: assumption, bound by memory")
    gpu_bytes_per_second: Constant = Constant(3.35e12, 2.0e12, 3.35e12, "B/s", f"{_H100}; low: A100 80 GB")
    gpu_bandwidth_reached: Constant = Constant(0.6, 0.3, 0.9, "1", "assumption: what kernels reach of it")
    gpu_flops_per_second: Constant = Constant(67e12, 30e12, 67e12, "1/s", f"{_H100}, FP32; low: half of it")
    gpu_memory_bytes: Constant = Constant(80e9, 80e9, 80e9, "B", _H100)
    gates_per_pass: Constant = Constant(
        3, 1, 10, "1", "assumption: one gate a pass over memory, or many that are fused"
    )
    host_factor: Constant = Constant(
        1.5, 1.2, 2.0, "1", "assumption: the server's other parts, for each watt of its GPUs"
    )
    link_factor: Constant = Constant(
        2, 1, 5, "1", "assumption: time lost to exchange where a state needs several GPUs"
    )

    def replace(self, given: Mapping[str, str]) -> Constants:
        """The same with constants from words: `5000`, which is then certain, or `2000:5000:9000`.

        Raises
        ------
        UnknownNameError: there is no such constant.
        InputError: a word that is neither.
        """
        known = {field.name for field in dataclasses.fields(self)}
        changed: dict[str, Constant] = {}
        for name, word in given.items():
            if name not in known:
                raise UnknownNameError("constant", name, known)
            changed[name] = _read(name, word, getattr(self, name).unit)
        return dataclasses.replace(self, **changed)

    def central(self) -> dict[str, float]:
        """The value of each constant."""
        return {field.name: getattr(self, field.name).value for field in dataclasses.fields(self)}

    def draw(self, count: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Random values (count,) of each constant, independent of each other."""
        random = np.random.default_rng(seed)
        return {
            field.name: getattr(self, field.name).draw(count, random) for field in dataclasses.fields(self)
        }


def _read(name: str, word: str, unit: str) -> Constant:
    try:
        numbers = [float(each) for each in word.split(":")]
        low, value, high = numbers * 3 if len(numbers) == 1 else numbers
    except ValueError:
        raise InputError(
            f"constant {name!r} was given {word!r}", expected="VALUE or LOW:VALUE:HIGH"
        ) from None
    return Constant(value, low, high, unit, "given")
