"""Backends at remote services: every submission is a job in a journal, found again and paid for once."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from hybridqies.backends.estimate import Estimate
from hybridqies.backends.executor import ExecutingBackend, ExecutionOptions
from hybridqies.backends.frequencies import Frequencies, estimate_observables
from hybridqies.backends.jobs import JobRunner, Journal, Limits, Provider, Retry, Work
from hybridqies.backends.jobs.journal import FILE_NAME
from hybridqies.backends.jobs.lifecycle import Progress
from hybridqies.backends.measurement_bases import split_by_basis
from hybridqies.backends.resources import Resources
from hybridqies.backends.spec import BackendSpec
from hybridqies.circuit import Circuit
from hybridqies.errors import InputError
from hybridqies.options import to_mapping


@dataclass(frozen=True, slots=True)
class RemoteOptions(ExecutionOptions):
    """Options of every remote backend; there are always shots.

    `seed` also distinguishes runs: equal work with an equal seed is one job, and is paid for once.
    """

    shots: int | None = 1024

    def __post_init__(self) -> None:
        ExecutionOptions.__post_init__(self)
        if self.shots is None:
            raise InputError("a remote backend was given shots=none", expected="a number of shots")


@dataclass(frozen=True, slots=True)
class JobSettings:
    """Settings of jobs: the journal, hard caps, retries, and the callback for progress.

    A `journal` of None is the user's own (`default_journal`).
    """

    journal: Path | None = None
    limits: Limits = field(default_factory=Limits)
    retry: Retry = field(default_factory=Retry)
    on_progress: Progress | None = None


class RemoteBackend(ExecutingBackend):
    """A backend whose circuits are sampled by a service. Subclasses fill in `provider`.

    Raises
    ------
    JobError: from `expectations` and `estimate`, when a job ends without a result.
    CapabilityError: a cap of `jobs.limits` would be passed; nothing was sent.
    """

    Options: ClassVar[type] = RemoteOptions

    def __init__(self, target: str = "", *, jobs: JobSettings | None = None, **options: Any) -> None:
        super().__init__(target, **options)
        self._jobs = jobs or JobSettings()

    @property
    def jobs(self) -> JobSettings:
        """The settings of its jobs."""
        return self._jobs

    @jobs.setter
    def jobs(self, settings: JobSettings) -> None:
        self._jobs = settings
        runner: JobRunner | None = self.__dict__.get("runner")
        if runner is not None:
            runner.adopt(Journal(settings.journal), settings.limits, settings.retry, settings.on_progress)

    @property
    def has_jobs(self) -> bool:
        """Whether it submits jobs; a device simulated in this process does not."""
        return True

    def journal_in(self, folder: Path) -> None:
        """Keeps the journal in `folder`, unless another place was set."""
        if self.jobs.journal is None:
            self.jobs = replace(self.jobs, journal=folder / FILE_NAME)

    @abstractmethod
    def provider(self) -> Provider:
        """The service, reached with credentials from the environment or the provider's own store."""

    def work(self, circuit: Circuit, angles: Tensor) -> Work:
        """What `_execute` submits: one circuit for each measurement basis, at every row of angles."""
        rows = np.ascontiguousarray(angles.numpy(), dtype=np.float64)
        return Work(
            self._service_spec(), split_by_basis(circuit), rows, self.options.shots, self.options.seed
        )

    def _service_spec(self) -> str:
        """The backend's string without options that change no result or have a field in `Work`."""
        spec = BackendSpec.parse(self.spec)
        elsewhere = {each.name for each in fields(RemoteOptions)}
        options = {key: value for key, value in spec.options.items() if key not in elsewhere}
        return str(replace(spec, options=options))

    def resources(self, circuit: Circuit) -> Resources:
        """Depth and gates of the circuit, compiled for the service."""
        return self.provider().resources(circuit)

    def n_jobs(self, bases: int, rows: int) -> int:
        """The number of jobs: each has at most as many circuits as the service takes."""
        most = max(1, self.provider().max_circuits // bases)
        return -(-rows // most)

    @cached_property
    def runner(self) -> JobRunner:
        """One runner for the life of the backend: caps apply to everything it pays for."""
        jobs, provider = self.jobs, self.provider()
        provider.ready()
        return JobRunner(provider, Journal(jobs.journal), jobs.limits, jobs.retry, jobs.on_progress)

    def _execute(self, circuit: Circuit, angles: Tensor, amplitudes: Tensor | None) -> Estimate:  # noqa: ARG002
        work, rows = self.work(circuit, angles), len(angles)
        counts = self.runner.run(work)
        of_bases = [counts[at * rows : (at + 1) * rows] for at in range(len(work.circuits))]
        return estimate_observables(circuit, [Frequencies.of_counts(each) for each in of_bases])

    def __reduce__(self) -> tuple[Any, ...]:
        # Caps and journal are kept; the progress callback is not.
        settings = replace(self.jobs, on_progress=None)
        return type(self)._again_with, (self.target, to_mapping(self.options), settings)

    @classmethod
    def _again_with(cls, target: str, options: dict[str, Any], jobs: JobSettings) -> RemoteBackend:
        return cls(target, jobs=jobs, **options)
