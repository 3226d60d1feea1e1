"""Jobs at IonQ: submitted once, found by their key, their probabilities turned into counts."""

from __future__ import annotations

import enum
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hybridqies.backends.circuit_cache import CircuitCache
from hybridqies.backends.ionq_client import ask_once, connect
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
from hybridqies.backends.remote import RemoteOptions
from hybridqies.backends.resources import Resources
from hybridqies.backends.transpiler import count_resources
from hybridqies.circuit import Circuit
from hybridqies.errors import InputError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit_ionq.ionq_backend import IonQBackend

# Gates that the API documents, with an angle only where it documents one: the client would send a phase gate
# as "z" with a rotation, which the API's schema doesn't know of.
BASIS = ["h", "x", "y", "z", "s", "sdg", "t", "tdg", "sx", "sxdg"]
BASIS += ["rx", "ry", "rz", "cx", "swap", "rxx", "ryy", "rzz"]
KEY = "hybridqies_key"
_STATES = {
    "submitted": JobState.QUEUED,
    "ready": JobState.QUEUED,
    "started": JobState.RUNNING,
    "completed": JobState.COMPLETED,
    "failed": JobState.FAILED,
    "canceled": JobState.CANCELLED,
}
_PAGE, _MOST_PAGES = 100, 200


class NoiseModel(enum.Enum):
    """Whose errors IonQ's simulator imitates."""

    IDEAL = "ideal"
    HARMONY = "harmony"
    ARIA_1 = "aria-1"
    ARIA_2 = "aria-2"
    FORTE_1 = "forte-1"
    FORTE_ENTERPRISE_1 = "forte-enterprise-1"


@dataclass(frozen=True, slots=True)
class IonQOptions(RemoteOptions):
    """Shots, the simulator's noise model, and whether a QPU debiases.

    IonQ debiases jobs of 500 shots or more unless told not to; its averages are no plain samples, so
    that the standard errors of shots don't hold for them. Here it is off unless asked for.
    """

    noise_model: NoiseModel = NoiseModel.IDEAL
    debiasing: bool = False


class IonQProvider:
    """Jobs on `simulator` or on `qpu.<name>`; the network is not used before the first job.

    Credentials are resolved by the client (environment or .env file: IONQ_API_KEY, IONQ_API_URL) anew for
    each request, and kept nowhere.

    Raises
    ------
    InputError: an unknown kind of target, or an option that the target doesn't have.
    """

    # IonQ states no limit. At 100 circuits a request stays within the client's 30 seconds, and the header
    # that the client adds about each circuit well within the 40,000 characters of a metadata value.
    max_circuits = 100

    def __init__(self, target: str = "simulator", options: IonQOptions | None = None) -> None:
        options = options or IonQOptions()
        at_home = target == "simulator"
        if not (at_home or (target.startswith("qpu.") and target != "qpu.")):
            raise InputError(
                f"IonQ target {target!r} was given", expected="simulator, or a QPU as qpu.forte-1"
            )
        if not at_home and options.noise_model is not NoiseModel.IDEAL:
            raise InputError(
                f"noise_model={options.noise_model.value} was given for {target!r}",
                expected="none: a QPU has its own noise",
                todo="use ionq:simulator to imitate it",
            )
        if at_home and options.debiasing:
            raise InputError(
                "debiasing was asked of IonQ's simulator", expected="a QPU, as in ionq:qpu.forte-1"
            )
        self.target = target
        self.options = options
        self._compiled = CircuitCache(self._transpile, by_content=True)
        self._shell: IonQBackend | None = None

    def ready(self) -> None:
        """Refuses what would fail at the first request, without making one.

        Raises
        ------
        MissingExtraError: qiskit-ionq is not installed.
        InputError: no API key, or an address that is none.
        """
        connect()

    def submit(self, key: str, work: Work) -> str:
        """Hands in all circuits as one multi-circuit job that carries `key` in its name and metadata."""
        client = connect()  # It names a package that is missing, which the import below would not.
        from qiskit_ionq.ionq_job import IonQJob

        job = IonQJob(self._backend(), None, client, self._bound(work), self._arguments(key, work))
        # Undecorated: the client itself would send a POST up to five times after 429, 502, 503, 504 and 52x,
        # of which a gateway's 502 and 504 may hide a job that was accepted, and paid.
        answer = ask_once(client, lambda: type(client).submit_job.__wrapped__(client, job), UncertainError)
        if not isinstance(answer.get("id"), str):
            raise UncertainError("IonQ answered a submission without a job id")
        return str(answer["id"])

    def find(self, key: str) -> str | None:
        """The id of the newest job that carries `key`, by all pages of the project's jobs on this target.

        Raises
        ------
        JobError: none of the newest 20,000 jobs carries it and there are more; that is no proof of absence.
        """
        query = {"target": self.target, "limit": str(_PAGE)}
        for _ in range(_MOST_PAGES):
            page = self._get("jobs", query)
            for job in page.get("jobs") or ():
                if job.get("parent_job_id") is None and (job.get("metadata") or {}).get(KEY) == key:
                    return str(job["id"])
            if not page.get("next"):
                return None
            query["next"] = page["next"]
        raise JobError(
            f"none of the newest {_PAGE * _MOST_PAGES:,} IonQ jobs is named {_name_of(key)}; look for it "
            "among the older ones before it is sent again"
        )

    def status(self, job_id: str) -> JobStatus:
        """Where the job stands, by one request."""
        job = self._get(f"jobs/{job_id}")
        state = _STATES.get(str(job.get("status")))
        if state is None:
            raise JobError(f"IonQ job {job_id} is in the unknown state {job.get('status')!r}")
        failure = job.get("failure") or {}
        # The API documents "message"; the client reads "error", as older versions of the API sent.
        parts = (failure.get("code"), failure.get("message") or failure.get("error"))
        return JobStatus(state, ": ".join(str(part) for part in parts if part))

    def counts(self, job_id: str, work: Work) -> Sequence[Counts]:
        """The outcomes of a completed job, by two requests.

        IonQ answers with probabilities. Those of a QPU or a noisy simulation are fractions of `shots` and
        become counts again, by largest remainders. Those of the ideal simulator are exact: `shots`
        samples are drawn from them here, the same ones whenever the same work is asked about.
        """
        job = self._get(f"jobs/{job_id}")
        if job.get("status") != "completed":
            raise JobError(
                f"IonQ job {job_id} is {job.get('status')!r}; there are results once it is 'completed'"
            )
        children = job.get("child_job_ids") or ()
        if len(children) != len(work):
            raise JobError(f"IonQ job {job_id} ran {len(children)} circuits, and {len(work)} were asked for")
        address = ((job.get("results") or {}).get("probabilities") or {}).get("url")
        if not address:
            raise JobError(f"IonQ job {job_id} is completed and offers no probabilities")
        client = connect()
        found = ask_once(
            client, lambda: type(client).get_results.__wrapped__(client, address), lost=TransientError
        )
        missing = [child for child in children if not isinstance(found.get(child), Mapping)]
        if missing:
            raise JobError(f"IonQ job {job_id} gave no probabilities for its circuit {missing[0]}")
        n_qubits = work.circuits[0].n_qubits
        drawn = self.target == "simulator" and self.options.noise_model is NoiseModel.IDEAL
        entropy = int(work.key(), 16)
        counts = []
        for at, child in enumerate(children):
            outcomes, probabilities = _distribution(found[child], n_qubits)
            if drawn:
                shares = np.random.default_rng([entropy, at]).multinomial(work.shots, probabilities)
            else:
                shares = _apportioned(probabilities, work.shots)
            counts.append({bits: int(share) for bits, share in zip(outcomes, shares, strict=True) if share})
        return counts

    def cancel(self, job_id: str) -> None:
        """Asks IonQ to stop the job; one that is final stays as it is."""
        client = connect()

        def ask() -> None:
            ask_once(client, lambda: type(client).cancel_job.__wrapped__(client, job_id), lost=TransientError)

        cancel_unless_final(ask, lambda: self.status(job_id))

    def resources(self, circuit: Circuit) -> Resources:
        """What the circuit takes in IonQ's gates; nothing is asked of the network."""
        return count_resources(self._compiled(circuit))

    def _bound(self, work: Work) -> list[QuantumCircuit]:
        """Every circuit at every row, in the order of `Work`."""
        bound = []
        for circuit in work.circuits:
            compiled = self._compiled(circuit)
            for row in work.angles:
                values = {each: float(row[each.index]) for each in compiled.parameters}
                bound.append(compiled.assign_parameters(values))
                bound[-1].name = str(len(bound) - 1)
        return bound

    def _transpile(self, circuit: Circuit) -> QuantumCircuit:
        """`circuit` in IonQ's gates with its weights unbound, measured; every target takes the same gates."""
        from qiskit import transpile

        from hybridqies.circuit.qiskit import to_qiskit

        return transpile(
            to_qiskit(circuit, measured=True), basis_gates=BASIS, optimization_level=1, seed_transpiler=0
        )

    def _backend(self) -> IonQBackend:
        """The backend object that the client's job needs; this class of it makes no request."""
        from qiskit_ionq.exceptions import IonQTranspileLevelWarning
        from qiskit_ionq.ionq_backend import IonQBackend

        if self._shell is None:
            nobody: Any = None  # A provider of the client's would hold the credentials.
            with warnings.catch_warnings():
                # It warns of Qiskit's default optimization level, which is not the one that is used here.
                warnings.simplefilter("ignore", IonQTranspileLevelWarning)
                self._shell = IonQBackend(
                    provider=nobody,
                    name=f"ionq_{self.target}",
                    description=self.target,
                    gateset="qis",
                    num_qubits=0,
                    simulator=self.target == "simulator",
                )
        return self._shell

    def _arguments(self, key: str, work: Work) -> dict[str, Any]:
        """The client's arguments of a run."""
        arguments: dict[str, Any] = {
            "shots": work.shots,
            "name": _name_of(key),
            "extra_metadata": {KEY: key},
        }
        if self.target == "simulator":
            # The key and not the bare seed, which parts of one work share; the API takes 31 bits.
            seed = int(work.key(), 16) % 2**31
            arguments["extra_query_params"] = {
                "noise": {"model": self.options.noise_model.value, "seed": seed}
            }
        else:
            arguments["job_settings"] = {"error_mitigation": {"debiasing": self.options.debiasing}}
        return arguments

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        from qiskit_ionq.exceptions import IonQAPIError

        client = connect()

        def ask() -> Any:
            fetch: Any = client.get_with_retry  # which tries once, whatever its name says
            answer = fetch(client.make_path(path), params=query, headers=client.api_headers)
            IonQAPIError.raise_for_status(answer)
            return answer.json()

        return ask_once(client, ask, lost=TransientError)


def _name_of(key: str) -> str:
    return f"hybridqies-{key}"


def _distribution(found: Mapping[str, float], n_qubits: int) -> tuple[list[str], NDArray[np.float64]]:
    """Outcomes, qubit 0 first, and their probabilities; IonQ's decimal states have qubit 0 in the lowest bit.

    Raises
    ------
    JobError: states beyond `n_qubits`, or probabilities that are negative or don't add up to one.
    """
    try:
        states = sorted((int(state), float(value)) for state, value in found.items())
    except (TypeError, ValueError):
        raise JobError("IonQ's probabilities are not numbers by decimal state") from None
    outcomes = [format(state, f"0{n_qubits}b")[::-1] for state, _ in states]
    probabilities = np.array([value for _, value in states])
    total = probabilities.sum()
    if not abs(total - 1) < 1e-3 or probabilities.min() < -1e-9 or states[-1][0] >= 2**n_qubits:
        raise JobError(
            f"IonQ's probabilities of {n_qubits} qubits add up to {total:.6g}, or name more qubits"
        )
    probabilities = probabilities.clip(min=0)
    return outcomes, probabilities / probabilities.sum()


def _apportioned(probabilities: NDArray[np.float64], shots: int) -> NDArray[np.int64]:
    """Whole counts that add up to `shots`, each within one of its share; largest remainders go first."""
    shares = probabilities * shots
    whole = np.floor(shares).astype(np.int64)
    largest = np.argsort(whole - shares, kind="stable")
    whole[largest[: shots - whole.sum()]] += 1
    return whole
