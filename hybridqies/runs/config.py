"""What a run is, as one frozen configuration: everything its numbers depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hybridqies import defaults
from hybridqies.files import expand_home
from hybridqies.tasks import DEFAULT_TASK, DataOptions, ModelSpec, load_task
from hybridqies.training import TrainingConfig
from hybridqies.tuning.spec import FROZEN, Tuning

__all__ = ["DataOptions", "RunConfig"]


@dataclass(frozen=True, slots=True)
class RunConfig:
    """One head, the heads it is compared with, and the one protocol for all of them.

    `frozen` names parts of the head that keep their start, `tuning` says how the encoder is changed.
    """

    task: str = DEFAULT_TASK
    data: DataOptions = field(default_factory=DataOptions)
    encoder: str = defaults.ENCODER
    head: str = defaults.HEAD
    circuit: str | None = None
    n_qubits: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    frozen: tuple[str, ...] = ()
    tuning: Tuning = FROZEN
    compare: tuple[str, ...] = defaults.COMPARE
    backend: str = defaults.BACKEND
    training: TrainingConfig = field(default_factory=TrainingConfig)
    device: str = "cpu"

    def spec(self) -> ModelSpec:
        """The model of the run's own head."""
        return ModelSpec(
            self.head,
            self.circuit,
            self.n_qubits,
            self.settings,
            frozen=self.frozen,
            tuning=self.tuning,
        )

    def anchored(self) -> RunConfig:
        """The same with absolute paths, so that it means the same from any folder."""
        circuit = None if self.circuit is None else _absolute(self.circuit)
        if load_task(self.task).is_made:
            # A folder may have the name of the task.
            return replace(self, circuit=circuit)
        return replace(
            self,
            data=replace(self.data, source=_absolute(self.data.source)),
            encoder=_absolute(self.encoder),
            circuit=circuit,
        )


def _absolute(name: str) -> str:
    """`name` as an absolute path where there is something at it, else as it is."""
    path = expand_home(name)
    return str(path.absolute()) if path.exists() else name
