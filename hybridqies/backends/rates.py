"""Prices of services, as the user configures them; none is built in, because they change."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from hybridqies.errors import InputError
from hybridqies.options import from_mapping, within


@dataclass(frozen=True, slots=True)
class Rate:
    """The prices of one service; those left out are zero.

    `per_job` and `per_shot` are money, as are `per_1q_gate_shot` and `per_2q_gate_shot` for each gate
    in each shot, of which a circuit costs at least `least_per_circuit`. `seconds_per_job` and
    `seconds_per_shot` are QPU time, which costs `per_second`.
    """

    currency: str = "USD"
    per_job: float = 0.0
    per_shot: float = 0.0
    per_1q_gate_shot: float = 0.0
    per_2q_gate_shot: float = 0.0
    least_per_circuit: float = 0.0
    seconds_per_job: float = 0.0
    seconds_per_shot: float = 0.0
    per_second: float = 0.0

    def __post_init__(self) -> None:
        names = [name for name in self.__slots__ if name != "currency"]
        within(self, "rate", **dict.fromkeys(names, (0.0, 1e9)))

    def describe(self) -> str:
        """The figures that are set, such as "0.3 USD per job"."""
        names = [name for name in self.__slots__ if name != "currency" and getattr(self, name)]
        units = {name: "" if name.startswith("seconds") else f" {self.currency}" for name in names}
        return ", ".join(f"{getattr(self, name):g}{units[name]} {name.replace('_', ' ')}" for name in names)

    def seconds(self, *, jobs: int, shots: int) -> float:
        """QPU seconds of `jobs` jobs with `shots` shots in all."""
        return jobs * self.seconds_per_job + shots * self.seconds_per_shot

    def price(self, *, jobs: int, circuits: int, shots: int, gates_1q: float, gates_2q: float) -> float:
        """The price of `circuits` circuits in `jobs` jobs; shots and gates are those of one circuit."""
        gates = shots * (gates_1q * self.per_1q_gate_shot + gates_2q * self.per_2q_gate_shot)
        each = max(gates, self.least_per_circuit) + shots * self.per_shot
        time = self.seconds(jobs=jobs, shots=circuits * shots) * self.per_second
        return circuits * each + jobs * self.per_job + time


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates by backend; a name may have wildcards, and the first that fits counts."""

    by_name: Mapping[str, Rate]

    @classmethod
    def read(cls, path: Path) -> Rates:
        """From a TOML file: a table `["ionq:qpu.*"]` for each backend or several.

        Raises
        ------
        InputError: it cannot be read, or has a figure of another name or kind.
        """
        try:
            tables: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(
                f"the rates in {str(path)!r} cannot be read ({error})",
                expected='TOML tables such as ["ionq:qpu.*"] with per_job = 0.3',
            ) from None
        return cls(
            {name: from_mapping(Rate, table, what=f"rate of {name!r}:") for name, table in tables.items()}
        )

    def of(self, label: str) -> Rate | None:
        """The rate of the backend `label`, or None when none is configured."""
        return next((rate for name, rate in self.by_name.items() if fnmatch(label, name)), None)
