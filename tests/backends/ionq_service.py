"""What IonQ's service does with the jobs that it is sent: checks, simulates, fails as ordered."""

from __future__ import annotations

import dataclasses
import random
import threading
import time
import uuid
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOKEN = "loopback-key-5d0c2b"
BACKENDS = {"simulator": 29, "qpu.aria-1": 25, "qpu.forte-1": 36, "qpu.forte-enterprise-1": 36}
# Chance that a gate on one qubit, and on two, leaves nothing but noise behind.
NOISE = {"ideal": (0.0, 0.0), "aria-1": (0.0005, 0.006), "forte-1": (0.0002, 0.004)}
MOST_QUBITS = 12

_X, _Y, _Z = np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])
_V = np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2
_FIXED = {
    "x": _X,
    "not": _X,
    "cnot": _X,
    "y": _Y,
    "z": _Z,
    "h": np.array([[1, 1], [1, -1]]) / np.sqrt(2),
    "s": np.diag([1, 1j]),
    "si": np.diag([1, -1j]),
    "t": np.diag([1, np.exp(0.25j * np.pi)]),
    "ti": np.diag([1, np.exp(-0.25j * np.pi)]),
    "v": _V,
    "vi": _V.conj().T,
    "swap": np.eye(4)[[0, 2, 1, 3]],
}
_GENERATORS = {"rx": _X, "ry": _Y, "rz": _Z}
_GENERATORS |= {"xx": np.kron(_X, _X), "yy": np.kron(_Y, _Y), "zz": np.kron(_Z, _Z)}
_TOP_LEVEL = {"type", "backend", "shots", "name", "input", "metadata"}
_TOP_LEVEL |= {"noise", "settings", "session_id", "dry_run"}


class RefusedError(Exception):
    """A request that is answered with an HTTP error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclasses.dataclass
class Fault:
    """One way to misbehave, in the next `times` requests of the kind `on`, or in each with chance `rate`.

    kind: 429, 500, 503; hang (for `seconds`, then no answer); drop (no answer); truncate (less than the
    declared length); garble (half the JSON); fail (the submitted job fails); stuck (it stays queued);
    expire (the token is refused from now on). `accepted` serves the request before its answer is lost.
    """

    kind: str
    on: str = "any"
    times: int = 1
    seconds: float = 1.0
    accepted: bool = False
    rate: float = 0.0

    def __post_init__(self) -> None:
        if self.kind in ("fail", "stuck"):
            self.on = "submit"

    @property
    def serves(self) -> bool:
        return self.accepted or self.kind in ("expire", "fail", "stuck", "truncate", "garble")

    def meets(self, verb: str) -> bool:
        return self.on in ("any", verb)


@dataclasses.dataclass
class Job:
    """One accepted job; the circuits of a multi-circuit job are its children."""

    id: str
    body: dict[str, Any]
    number: int
    children: list[str]
    fate: str = ""
    born: float = dataclasses.field(default_factory=time.monotonic)
    polls: int = 0
    cancelled: bool = False
    parent: str | None = None
    gates: list[dict[str, Any]] | None = None
    probabilities: dict[str, float] | None = None


def matrix_of(gate: dict[str, Any]) -> NDArray[Any]:
    """The matrix of one gate on its targets; rotations are exp(-i angle/2 generator)."""
    name = gate["gate"]
    if name in _GENERATORS:
        generator, half = _GENERATORS[name], float(gate["rotation"]) / 2
        turned: NDArray[Any] = np.cos(half) * np.eye(len(generator)) - 1j * np.sin(half) * generator
        return turned
    if name not in _FIXED or "rotation" in gate:
        raise RefusedError(400, f"gate {gate} is not in the gate set")
    fixed: NDArray[Any] = _FIXED[name]
    return fixed


def qubits_of(gate: dict[str, Any], role: str) -> list[int]:
    """The qubits named by `role` or its plural: target, targets, control, controls."""
    return [int(q) for q in gate.get(f"{role}s", [gate[role]] if role in gate else [])]


def simulate(gates: list[dict[str, Any]], n_qubits: int) -> NDArray[np.float64]:
    """Probabilities (2**n,) of a circuit in IonQ's order: qubit 0 is the lowest bit."""
    state = np.zeros((2,) * n_qubits, dtype=complex)
    state[(0,) * n_qubits] = 1
    for gate in gates:
        targets, controls = qubits_of(gate, "target"), qubits_of(gate, "control")
        block = tuple(1 if q in controls else slice(None) for q in range(n_qubits))
        axes = [q - sum(c < q for c in controls) for q in targets]
        matrix = matrix_of(gate).reshape((2,) * 2 * len(targets))
        turned = np.tensordot(matrix, state[block], (range(len(targets), 2 * len(targets)), axes))
        state[block] = np.moveaxis(turned, range(len(targets)), axes)
    return np.abs(state.transpose().reshape(-1)) ** 2


class Service:
    """The state behind the server: jobs, faults in waiting, and what was asked."""

    def __init__(self, seed: int = 0, token: str = TOKEN) -> None:
        self.lock = threading.RLock()
        self.seed = seed
        self.token = token
        self.expired = False
        self.polls, self.seconds = 2, 0.0
        self.jobs: dict[str, Job] = {}
        self.requests: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self.chances: list[Fault] = []
        self.random = random.Random(seed)

    def control(self, order: dict[str, Any]) -> dict[str, Any]:
        """Orders faults (`faults`: in turn; `random`: each with its rate), sets polls, seconds, expired."""
        with self.lock:
            if "faults" in order:
                self.faults = [Fault(**each) for each in order["faults"]]
            if "random" in order:
                self.chances = [Fault(**each) for each in order["random"]]
            for name in ("polls", "seconds", "expired"):
                setattr(self, name, order.get(name, getattr(self, name)))
            accepted = [
                {"id": job.id, "name": job.body.get("name"), "metadata": job.body.get("metadata") or {}}
                for job in self.jobs.values()
                if job.parent is None
            ]
            return {"jobs": accepted, "requests": dict(self.requests), "faults_left": len(self.faults)}

    def next_fault(self, verb: str) -> Fault | None:
        """The fault that this request meets, if any."""
        self.requests[verb] += 1
        for fault in self.faults:
            if fault.meets(verb):
                fault.times -= 1
                if fault.times == 0:
                    self.faults.remove(fault)
                return fault
        for fault in self.chances:
            if fault.meets(verb) and self.random.random() < fault.rate:
                return fault
        return None

    def authorize(self, header: str) -> None:
        # The echo is unkind on purpose: whoever shows it to a user shows the token.
        if self.expired or header != f"apiKey {self.token}":
            raise RefusedError(401, f"key refused or expired: {header}")

    def submit(self, body: dict[str, Any], fate: str) -> dict[str, Any]:
        """Accepts a job, and a child for each circuit of a multi-circuit job."""
        check_payload(body)
        job = self._enter(body, fate)
        for entry in body["input"].get("circuits", []):
            child = self._enter({**body, "name": entry.get("name")}, fate)
            child.parent, child.gates = job.id, entry["circuit"]
            job.children.append(child.id)
        job.gates = body["input"].get("circuit")
        return {"id": job.id, "status": "submitted", "session_id": None}

    def _enter(self, body: dict[str, Any], fate: str) -> Job:
        number = len(self.jobs)
        identity = str(uuid.UUID(int=random.Random(f"{self.seed}/{number}").getrandbits(128), version=4))
        self.jobs[identity] = Job(identity, body, number, [], fate)
        return self.jobs[identity]

    def find(self, job_id: str) -> Job:
        if job_id not in self.jobs:
            raise RefusedError(404, f"no job {job_id}")
        return self.jobs[job_id]

    def status_of(self, job: Job) -> str:
        lead = self.jobs[job.parent] if job.parent else job
        if lead.cancelled:
            return "canceled"
        if lead.fate == "stuck":
            return "ready"
        if lead.polls >= self.polls and time.monotonic() - lead.born >= self.seconds:
            return "failed" if lead.fate == "fail" else "completed"
        return "submitted" if lead.polls == 0 else "ready" if 2 * lead.polls <= self.polls else "started"

    def show(self, job: Job) -> dict[str, Any]:
        """The job as the API describes it."""
        status, body = self.status_of(job), job.body
        tail = "probabilities/aggregated" if job.children else "probabilities"
        url = f"/v0.4/jobs/{job.id}/results/{tail}"
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(1.7e9 + job.number)) + ".000Z"
        failure = {"code": "QuantumComputerError", "message": "the ion chain was lost"}
        fields = ("type", "backend", "name", "metadata", "shots", "noise")
        return {
            "id": job.id,
            "status": status,
            **{name: body.get(name) for name in fields},
            "dry_run": False,
            "parent_job_id": job.parent,
            "child_job_ids": job.children or None,
            "submitted_at": stamp,
            "failure": failure if status == "failed" else None,
            "stats": {"qubits": body["input"]["qubits"], "circuits": len(job.children) or 1},
            "results": {"probabilities": {"url": url}} if status == "completed" else None,
        }

    def poll(self, job_id: str) -> dict[str, Any]:
        job = self.find(job_id)
        job.polls += 1
        return self.show(job)

    def page(self, query: dict[str, str]) -> dict[str, Any]:
        """A page of jobs, newest first, children among them as in the service's own listing."""
        rows = [self.show(job) for job in reversed(self.jobs.values())]
        keep = {"status": "status", "target": "backend", "parent_job_id": "parent_job_id", "ids": "id"}
        for parameter, name in keep.items():
            if parameter in query:
                rows = [row for row in rows if str(row[name]) in query[parameter].split(",")]
        ids = [row["id"] for row in rows]
        start = ids.index(query["next"]) if query.get("next") in ids else 0
        end = start + int(query.get("limit", 25))
        return {"jobs": rows[start:end], "next": ids[end] if end < len(ids) else None}

    def results(self, job_id: str) -> dict[str, Any]:
        """Probabilities by outcome, or by child and outcome; 404 before the job is completed."""
        job = self.find(job_id)
        if self.status_of(job) != "completed":
            raise RefusedError(404, f"job {job_id} has no results")
        if job.children:
            return {child: self.results(child) for child in job.children}
        if job.probabilities is None:
            job.probabilities = self._measure(job)
        return job.probabilities

    def _measure(self, job: Job) -> dict[str, float]:
        """Exact on the ideal simulator, else the fractions of `shots` samples."""
        body, gates = job.body, job.gates or []
        chances = simulate(gates, body["input"]["qubits"])
        noise = body.get("noise") or {}
        at_home = body["backend"] == "simulator"
        model = noise.get("model", "ideal") if at_home else body["backend"].removeprefix("qpu.")
        if (at_home, model) != (True, "ideal"):
            one, two = NOISE.get(model, NOISE["forte-1"])
            pairs = sum(len(qubits_of(g, "target") + qubits_of(g, "control")) > 1 for g in gates)
            kept = (1 - one) ** (len(gates) - pairs) * (1 - two) ** pairs
            chances = kept * chances + (1 - kept) / len(chances)
            seed = noise["seed"] if at_home and noise.get("seed") is not None else self.seed
            generator = np.random.default_rng([seed, job.number])
            drawn = generator.multinomial(body["shots"], chances / chances.sum())
            chances = drawn / body["shots"]
        return {str(at): float(value) for at, value in enumerate(chances) if value > 1e-15}

    def cancel(self, job_id: str) -> dict[str, Any]:
        job = self.find(job_id)
        job.cancelled = self.status_of(job) not in ("completed", "failed")
        return {"id": job_id, "status": "canceled"}

    def delete(self, job_id: str) -> dict[str, Any]:
        for each in [job_id, *self.find(job_id).children]:
            del self.jobs[each]
        return {"id": job_id, "status": "deleted"}

    def submissions(self, name: str) -> Counter[str]:
        """How many jobs were accepted for each value of the metadata entry `name`."""
        return Counter(str(row["metadata"].get(name)) for row in self.control({})["jobs"])


def check_payload(body: dict[str, Any]) -> None:
    """Refuses what the API's schema does."""
    unknown = set(body) - _TOP_LEVEL
    if unknown or body.get("type") not in ("ionq.circuit.v1", "ionq.multi-circuit.v1"):
        raise RefusedError(400, f"unknown fields {sorted(unknown)} or type {body.get('type')}")
    if body.get("backend") not in BACKENDS:
        raise RefusedError(400, f"unknown backend {body.get('backend')}")
    if not 1 <= body.get("shots", 100) <= 1_000_000:
        raise RefusedError(400, f"{body['shots']} shots")
    metadata = body.get("metadata") or {}
    if len(metadata) > 10 or any(not isinstance(v, str) or len(v) > 40_000 for v in metadata.values()):
        raise RefusedError(400, "metadata takes up to 10 strings of up to 40,000 characters")
    model = (body.get("noise") or {}).get("model", "ideal")
    if model not in NOISE:
        raise RefusedError(400, f"unknown noise model {model}")
    given = body["input"]
    if given.get("gateset") != "qis" or not 1 <= given["qubits"] <= MOST_QUBITS:
        raise RefusedError(400, f"gateset {given.get('gateset')} on {given['qubits']} qubits")
    for gates in [entry["circuit"] for entry in given.get("circuits", [])] or [given["circuit"]]:
        for gate in gates:
            matrix_of(gate)


def describe(name: str) -> dict[str, Any]:
    """A backend as the API describes it."""
    if name not in BACKENDS:
        raise RefusedError(404, f"no backend {name}")
    return {
        "backend": name,
        "status": "available",
        "qubits": BACKENDS[name],
        "average_queue_time": 0,
        "last_updated": "2025-06-16T00:00:00Z",
    }
