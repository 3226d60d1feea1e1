"""Jobs at IBM Quantum, through its own client, in Batch mode: found again by a tag, and failures named."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from hybridqies.backends.jobs.provider import (
    Counts,
    JobError,
    JobState,
    JobStatus,
    TransientError,
    UncertainError,
    Work,
    cancel_unless_final,
)
from hybridqies.backends.jobs.scrubbing import scrub
from hybridqies.backends.resources import Resources
from hybridqies.backends.transpiler import Transpiler
from hybridqies.circuit import Circuit
from hybridqies.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from qiskit_ibm_runtime import Batch, QiskitRuntimeService

T = TypeVar("T")

_STATES = {
    "INITIALIZING": JobState.QUEUED,
    "QUEUED": JobState.QUEUED,
    "RUNNING": JobState.RUNNING,
    "DONE": JobState.COMPLETED,
    "ERROR": JobState.FAILED,
    "CANCELLED": JobState.CANCELLED,
}
# Circuits times shots that a job may have, by IBM's documentation, and circuits that keep its upload small.
_MOST_EXECUTIONS, _MOST_CIRCUITS = 10_000_000, 1_000
# IBM closes a batch that has been idle for a minute; a new one is opened well before.
_BATCH_SECONDS = 30.0
_LONGEST = 400


class Suppression(Protocol):
    """The options of a backend that the provider needs."""

    @property
    def shots(self) -> int | None:
        """Shots a circuit."""

    @property
    def dynamical_decoupling(self) -> bool:
        """Whether idle qubits are kept from drifting by pulses that cancel."""

    @property
    def twirling(self) -> bool:
        """Whether errors of two-qubit gates and of readout are averaged to Pauli errors."""


class IBMProvider:
    """Jobs on the QPU called `target`; the network is used by requests alone.

    The client finds the account in its own store or in QISKIT_IBM_TOKEN and QISKIT_IBM_INSTANCE; nothing
    of it is kept here. The client sends a POST again after a 5xx answer, which IBM's API guarantees to be
    safe; all other doubts are the caller's to settle, by `find`. `service` stands in for the client's own.
    """

    def __init__(
        self, target: str, options: Suppression, service: QiskitRuntimeService | None = None
    ) -> None:
        self.target = target
        self.options = options
        self.max_circuits = max(1, min(_MOST_CIRCUITS, _MOST_EXECUTIONS // (options.shots or 1)))
        self._given = service
        self._batch: Batch | None = None
        self._used = 0.0

    def ready(self) -> None:
        """Refuses what would fail at the first request, without making one.

        Raises
        ------
        MissingExtraError: qiskit-ibm-runtime is not installed.
        InputError: the client has no account.
        """
        try:
            from qiskit_ibm_runtime import QiskitRuntimeService
        except ImportError:
            raise MissingExtraError(f"backend 'ibm:{self.target}'", "ibm") from None
        named = self._given or os.environ.get("QISKIT_IBM_TOKEN", "").strip()
        if not named and not QiskitRuntimeService.saved_accounts():
            raise InputError(
                f"backend 'ibm:{self.target}' found no account",
                expected="one in qiskit-ibm-runtime's store, or QISKIT_IBM_TOKEN in the environment",
                todo="see QiskitRuntimeService.save_account",
            )

    def resources(self, circuit: Circuit) -> Resources:
        """What a measured circuit takes once it is compiled for the QPU."""
        return self._transpiler.resources(circuit)

    def submit(self, key: str, work: Work) -> str:
        """Hands in one job, a PUB for each of the work's circuits, tagged with `key`."""
        needed, offered = work.circuits[0].n_qubits, self._device.num_qubits
        if needed > offered:
            raise JobError(f"{needed} qubits were asked of {self.target!r}, which has {offered}")
        pubs: list[tuple[Any, ...]] = []
        for circuit in work.circuits:
            compiled = self._ask(partial(self._transpiler, circuit), lost=TransientError)
            rows = work.angles[:, [each.index for each in compiled.parameters]]
            # Without parameters a PUB is one circuit, however many rows are asked for.
            pubs += [(compiled, rows)] if rows.shape[1] else [(compiled,)] * len(rows)
        batch = self._open_batch()

        def run() -> str:
            job = _sampler(batch, self._sampler_options(key)).run(pubs, shots=work.shots)
            return str(job.job_id())

        job_id = self._ask(run, lost=UncertainError)
        self._used = time.monotonic()
        return job_id

    def find(self, key: str) -> str | None:
        """The id of the newest job that is tagged with `key`, or None."""
        name = self._device.name
        jobs = self._ask(
            lambda: self._service.jobs(limit=1, backend_name=name, job_tags=[key]), TransientError
        )
        return str(jobs[0].job_id()) if jobs else None

    def status(self, job_id: str) -> JobStatus:
        """Where the job stands, and IBM's reason where it failed."""

        def ask() -> tuple[Any, str]:
            job = self._service.job(job_id)
            found = job.status()
            return found, (job.error_message() or "") if str(found) == "ERROR" else ""

        found, reason = self._ask(ask, lost=TransientError)
        # The client's jobs answer with a string, those of its local mode with Qiskit's own enumeration.
        state = _STATES.get(getattr(found, "name", found))
        if state is None:
            raise JobError(f"IBM job {job_id} is in the unknown state {found!r}")
        return JobStatus(state, self._safe(reason))

    def counts(self, job_id: str, work: Work) -> Sequence[Counts]:
        """The outcomes of a completed job."""
        result = self._ask(lambda: self._service.job(job_id).result(), lost=TransientError)
        counts = [each for pub in result or () for each in _counts_of(pub)]
        if len(counts) != len(work):
            raise JobError(f"IBM job {job_id} ran {len(counts)} circuits, and {len(work)} were asked for")
        return counts

    def cancel(self, job_id: str) -> None:
        """Asks IBM to stop the job; one that is final stays as it is."""
        cancel_unless_final(
            lambda: self._ask(lambda: self._service.job(job_id).cancel(), lost=TransientError),
            lambda: self.status(job_id),
        )

    @cached_property
    def _service(self) -> QiskitRuntimeService:
        from qiskit_ibm_runtime import QiskitRuntimeService

        return self._given or self._ask(QiskitRuntimeService, lost=TransientError)

    @cached_property
    def _device(self) -> Any:
        # The service first, so that it is not asked for inside its own error handling.
        service = self._service
        return self._ask(lambda: service.backend(self.target), lost=TransientError)

    @cached_property
    def _transpiler(self) -> Transpiler:
        return Transpiler(self._device.target)

    def _open_batch(self) -> Batch:
        """The batch of the last jobs, if it is still open; a failure here has submitted nothing."""
        from qiskit_ibm_runtime import Batch

        if self._batch is None or time.monotonic() - self._used > _BATCH_SECONDS:
            device = self._device
            self._batch = self._ask(lambda: Batch(backend=device), lost=TransientError)
            self._used = time.monotonic()
        return self._batch

    def _sampler_options(self, key: str) -> dict[str, Any]:
        chosen: dict[str, Any] = {"environment": {"job_tags": [key]}}
        if self.options.dynamical_decoupling:
            chosen["dynamical_decoupling"] = {"enable": True}
        if self.options.twirling:
            chosen["twirling"] = {"enable_gates": True, "enable_measure": True}
        return chosen

    def _ask(self, ask: Callable[[], T], lost: type[JobError]) -> T:
        """The answer to one request; `lost` is what it means when there is none."""
        try:
            return ask()
        except JobError:
            raise
        except Exception as error:  # The client raises its own, Qiskit's and the network's errors.
            problem = _meaning(error, lost)
        # Raised outside of the handler: the client's exception holds the request and its headers.
        raise type(problem)(self._safe(str(problem)))

    def _safe(self, text: str) -> str:
        """`text` without the account's token."""
        # Not by the property: the service may be what failed to come about.
        service = self._given or self.__dict__.get("_service")
        account = (service.active_account() or {}) if service else {}
        token = str(account.get("token") or "")
        # Cut only then, lest half of the token be left.
        return scrub(text, [token])[:_LONGEST]


def _sampler(batch: Batch, options: dict[str, Any]) -> Any:
    """The client's sampler under the name it has in all of its versions."""
    from qiskit_ibm_runtime import SamplerV2

    with warnings.catch_warnings():
        # From 0.50 on it announces its successor, which will take this name and these options.
        warnings.simplefilter("ignore", DeprecationWarning)
        return SamplerV2(mode=batch, options=options)


def _counts_of(pub: Any) -> Iterator[Counts]:
    """A PUB's outcomes row by row; Qiskit writes classical bit 0, our qubit 0, last."""
    bits = pub.data.meas
    for at in range(bits.size):
        found = (bits.reshape(bits.size) if bits.shape else bits).get_counts(at if bits.shape else None)
        yield {outcome[::-1]: count for outcome, count in found.items()}


def _meaning(error: Exception, lost: type[JobError]) -> JobError:
    """The error that an exception of the client means: refused, not taken, or unknown."""
    from qiskit.exceptions import QiskitError

    chain = list(_chain(error))
    code = next((each.status_code for each in chain if getattr(each, "status_code", None)), None)
    text = str(getattr(error, "message", error))
    if any(type(each).__name__ in ("NewConnectionError", "ConnectTimeout") for each in chain):
        return TransientError("IBM Quantum cannot be reached; nothing was sent")
    if any(type(each).__name__ in ("IBMNotAuthorizedError", "IBMAccountError") for each in chain):
        code = 401
    if code == 429:
        return TransientError(f"IBM Quantum takes no requests now (HTTP 429): {text}")
    if code in (401, 403):
        return JobError(f"IBM Quantum refused the account: {text}; save a valid token for qiskit-ibm-runtime")
    if code is not None and 400 <= code < 500 and code != 408:
        return JobError(f"IBM Quantum refused a request (HTTP {code}): {text}")
    if code is not None or not isinstance(error, QiskitError):
        return lost(f"IBM Quantum's answer was lost ({type(error).__name__}): {text}")
    return JobError(f"qiskit-ibm-runtime refuses: {text}")


def _chain(error: BaseException | None) -> Iterator[Any]:
    """The error and its causes, also where the client hides them (`from None`)."""
    while error is not None:
        yield error
        # urllib3's cause is an argument of the exception of requests.
        reason = getattr(error.args[0] if error.args else None, "reason", None)
        if isinstance(reason, BaseException):
            yield reason
        error = error.__cause__ or error.__context__
