"""IBM: snapshots simulated here, and jobs through the real client on a snapshot in the service's place."""

from __future__ import annotations

import inspect
import warnings
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
import torch
from references import inputs_of
from strategies import case_of

pytest.importorskip("qiskit_ibm_runtime")

from qiskit_ibm_runtime import Batch, QiskitRuntimeService, RuntimeJobV2, SamplerV2, runtime_job_v2
from qiskit_ibm_runtime.api.exceptions import RequestsApiError
from qiskit_ibm_runtime.exceptions import IBMNotAuthorizedError, IBMRuntimeError, RuntimeInvalidStateError
from qiskit_ibm_runtime.fake_provider.local_service import QiskitRuntimeLocalService
from requests import ConnectionError as NetworkError
from requests import ReadTimeout
from urllib3.exceptions import MaxRetryError, NewConnectionError

from hybridqies.backends import JobSettings, dry_run, ibm_provider, load_backend
from hybridqies.backends.device_snapshots import load_snapshot
from hybridqies.backends.ibm import IBM, IBMOptions
from hybridqies.backends.ibm_provider import IBMProvider
from hybridqies.backends.jobs import Journal, Limits, Retry
from hybridqies.backends.jobs.provider import JobError, JobState, TransientError, UncertainError, Work
from hybridqies.backends.measurement_bases import split_by_basis
from hybridqies.circuit import Circuit, PauliString, Weight, feature, gate, load_circuit
from hybridqies.errors import CapabilityError, InputError, UnknownNameError

DOUBLE = torch.float64
SECRET = "a-token-that-nobody-may-see"
FAR = 4


class Service:
    """The methods of QiskitRuntimeService that are used, over jobs of the client's local mode."""

    def __init__(self):
        self.held: dict[str, tuple[object, list[str]]] = {}
        self.asked: list[str] = []
        self.fails: dict[str, Exception] = {}

    def backend(self, name):
        self._asked("backend")
        return load_snapshot("fake_manila")

    def job(self, job_id):
        self._asked("job")
        return self.held[job_id][0]

    def jobs(self, limit=10, *, backend_name=None, job_tags=None):
        self._asked("jobs")
        found = [job for job, tags in self.held.values() if set(job_tags) <= set(tags)]
        return found[::-1][:limit]

    def active_account(self):
        return {"channel": "ibm_quantum_platform", "token": SECRET}

    def _asked(self, what):
        self.asked.append(what)
        if what in self.fails:
            raise self.fails[what]


@pytest.fixture
def service(monkeypatch):
    """A service that keeps what the local mode runs; the client itself passes no tags there."""
    found = Service()
    run, build = QiskitRuntimeLocalService._run, SamplerV2.__init__
    tags: list[str] = []

    def built(self, mode=None, options=None):
        tags[:] = options["environment"]["job_tags"]
        build(self, mode=mode, options=options)

    def kept(self, *, inputs, **options):
        found._asked("run")
        inputs.setdefault("options", {})["simulator"] = {"seed_simulator": 7}
        job = run(self, inputs=inputs, **options)
        found.held[job.job_id()] = (job, list(tags))
        return job

    monkeypatch.setattr(SamplerV2, "__init__", built)
    monkeypatch.setattr(QiskitRuntimeLocalService, "_run", kept)
    return found


def work_of(circuit: Circuit, rows: int = 2, shots: int = 500) -> Work:
    angles = np.linspace(0.1, 3, rows * circuit.n_weights).reshape(rows, circuit.n_weights)
    return Work("ibm:ibm_manila", split_by_basis(circuit), angles, shots, 0)


def flipped() -> Circuit:
    """Qubit 0 is turned over, qubit 1 by a weight, qubit 2 not; read in Z and in X."""
    words = ("ZIZ", "IIX")
    gates = [gate("X", 0), gate("RY", 1, Weight(0))]
    return Circuit.of(3, gates, map(PauliString.parse, words), name="flipped")


def provider_of(service, **options) -> IBMProvider:
    return IBMProvider("ibm_manila", IBMOptions(**options), service)


def test_a_job_goes_the_whole_way_through_the_real_client(service):
    provider, work = provider_of(service), work_of(flipped(), rows=3)
    job_id = provider.submit("some-key", work)
    assert provider.find("some-key") == job_id
    assert provider.find("another-key") is None
    service.job(job_id).result()
    assert provider.status(job_id).state is JobState.COMPLETED
    counts = provider.counts(job_id, work)
    assert len(counts) == len(work) == 6
    for at, each in enumerate(counts):
        assert sum(each.values()) == 500
        ones = [sum(count for bits, count in each.items() if bits[qubit] == "1") for qubit in range(3)]
        assert ones[0] > 400
        assert ones[1] == pytest.approx(500 * np.sin(work.angles[at % 3, 0] / 2) ** 2, abs=120)
        assert (ones[2] < 100) if at < 3 else (150 < ones[2] < 350)


def test_circuits_without_weights_are_run_for_every_row(service):
    provider = provider_of(service)
    work = Work("ibm:x", (Circuit.of(2, [gate("X", 1)]),), np.zeros((3, 0)), 100, 0)
    counts = provider.counts(provider.submit("key", work), work)
    assert [max(each, key=each.get) for each in counts] == ["01"] * 3


def test_jobs_that_follow_each_other_share_a_batch(service, monkeypatch):
    opened = []
    build = Batch.__init__
    monkeypatch.setattr(Batch, "__init__", lambda self, backend: opened.append(self) or build(self, backend))
    now = [0.0]
    monkeypatch.setattr("hybridqies.backends.ibm_provider.time", SimpleNamespace(monotonic=lambda: now[0]))
    provider, work = provider_of(service), work_of(flipped())
    for now[0] in (0.0, 20.0, 40.0, 100.0):
        provider.submit(f"key-{now[0]}", work)
    assert len(opened) == 2
    assert all(isinstance(each, Batch) for each in opened)


def test_error_suppression_is_passed_through():
    """By the client's own options, which refuse names that they do not know."""
    chosen = provider_of(Service(), dynamical_decoupling=True, twirling=True)._sampler_options("key")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        sampler = SamplerV2(mode=load_snapshot("fake_manila"), options=chosen)
    assert sampler.options.dynamical_decoupling.enable is True
    assert (sampler.options.twirling.enable_gates, sampler.options.twirling.enable_measure) == (True, True)
    assert sampler.options.environment.job_tags == ["key"]
    assert set(provider_of(Service())._sampler_options("key")) == {"environment"}


def api_error(code, message="no"):
    """What the client raises over an answer: its own error, which hides the one with the code."""
    try:
        try:
            raise RequestsApiError(f"{message} {SECRET}", code)
        except RequestsApiError as error:
            raise IBMRuntimeError(f"Failed to run program: {error}") from None
    except IBMRuntimeError as error:
        return error


def network_error(kind):
    reason = NewConnectionError(None, "refused")
    return NetworkError(MaxRetryError(None, "/jobs", reason)) if kind == "connect" else ReadTimeout("late")


# What happened to a request, what that means for a submission, and for a question.
FAILURES = {
    "429": (api_error(429), TransientError, TransientError),
    "500": (api_error(500), UncertainError, TransientError),
    "503": (api_error(-1), UncertainError, TransientError),
    "400": (api_error(400), JobError, JobError),
    "403": (api_error(403), JobError, JobError),
    "401": (IBMNotAuthorizedError(f"401 {SECRET}"), JobError, JobError),
    "connect": (network_error("connect"), TransientError, TransientError),
    "read": (network_error("read"), UncertainError, TransientError),
    "garbled": (KeyError("id"), UncertainError, TransientError),
    "client": (IBMRuntimeError("too many qubits"), JobError, JobError),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_failures_are_named_and_tell_no_secret(service, failure):
    error, of_submission, of_question = FAILURES[failure]
    provider, work = provider_of(service), work_of(flipped())
    job_id = provider.submit("first", work)
    service.fails = {"run": error}
    requests = {"jobs": lambda: provider.find("key"), "job": lambda: provider.status(job_id)}
    with pytest.raises(of_submission) as caught:
        provider.submit("key", work)
    assert type(caught.value) is of_submission
    for name, ask in requests.items():
        service.fails = {name: error}
        with pytest.raises(of_question) as asked:
            ask()
        assert type(asked.value) is of_question
        assert SECRET not in str(asked.value)
        assert "\n" not in str(asked.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_backend_that_cannot_be_fetched_has_submitted_nothing(service):
    service.fails = {"backend": api_error(500)}
    with pytest.raises(TransientError):
        provider_of(service).submit("key", work_of(flipped()))
    assert not service.held


def job_that(status, reason="", error=None):
    def cancel():
        if error:
            raise error

    return SimpleNamespace(status=lambda: status, error_message=lambda: reason, cancel=cancel)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("INITIALIZING", JobState.QUEUED),
        ("QUEUED", JobState.QUEUED),
        ("RUNNING", JobState.RUNNING),
        ("DONE", JobState.COMPLETED),
        ("CANCELLED", JobState.CANCELLED),
        ("ERROR", JobState.FAILED),
    ],
)
def test_every_status_of_the_client_has_a_state(service, status, state):
    service.held["1"] = (job_that(status, f"broke down {SECRET}"), [])
    found = provider_of(service).status("1")
    assert found.state is state
    assert found.reason == ("broke down ***" if status == "ERROR" else "")


def test_the_client_knows_no_other_status():
    assert set(get_args(runtime_job_v2.JobStatus)) == set(ibm_provider._STATES)


def test_an_unknown_status_and_missing_results_are_errors(service):
    provider, work = provider_of(service), work_of(flipped())
    service.held["1"] = (job_that("PAUSED"), [])
    with pytest.raises(JobError, match="unknown state 'PAUSED'"):
        provider.status("1")
    job_id = provider.submit("key", work)
    with pytest.raises(JobError, match="ran 4 circuits, and 6 were asked for"):
        provider.counts(job_id, work_of(flipped(), rows=3))


def test_cancelling_leaves_final_jobs_as_they_are(service):
    late = RuntimeInvalidStateError("Job cannot be cancelled")
    service.held["done"] = (job_that("DONE", error=late), [])
    service.held["stuck"] = (job_that("RUNNING", error=late), [])
    service.held["queued"] = (job_that("QUEUED"), [])
    provider = provider_of(service)
    provider.cancel("done")
    provider.cancel("queued")
    with pytest.raises(JobError, match="cannot be cancelled"):
        provider.cancel("stuck")


def test_the_client_has_what_is_used_of_it():
    """A client that changes its signatures is noticed here, before a job is."""
    wanted = {
        QiskitRuntimeService.job: {"job_id"},
        QiskitRuntimeService.jobs: {"limit", "backend_name", "job_tags"},
        QiskitRuntimeService.backend: {"name"},
        QiskitRuntimeService.active_account: set(),
        QiskitRuntimeService.saved_accounts: set(),
        SamplerV2.__init__: {"mode", "options"},
        SamplerV2.run: {"pubs", "shots"},
        Batch.__init__: {"backend"},
    }
    for method, names in wanted.items():
        assert names <= set(inspect.signature(method).parameters)
    for name in ("status", "result", "cancel", "error_message", "job_id"):
        parameters = list(inspect.signature(getattr(RuntimeJobV2, name)).parameters.values())[1:]
        assert all(each.default is not inspect.Parameter.empty for each in parameters)


def test_a_missing_account_is_refused_before_the_network_is_asked(monkeypatch):
    monkeypatch.delenv("QISKIT_IBM_TOKEN", raising=False)
    monkeypatch.setattr(QiskitRuntimeService, "saved_accounts", staticmethod(dict))
    monkeypatch.setattr(QiskitRuntimeService, "__init__", lambda *_: pytest.fail("it asked"))
    backend = load_backend("ibm:ibm_torino")
    circuit = Circuit.of(1, [gate("X", 0)])
    with pytest.raises(InputError, match=r"found no account; .*QISKIT_IBM_TOKEN"):
        backend.estimate(circuit, torch.zeros(1, 0), torch.zeros(0))
    monkeypatch.setattr(QiskitRuntimeService, "saved_accounts", staticmethod(lambda: {"mine": {}}))
    backend.provider().ready()  # type: ignore[attr-defined]
    monkeypatch.setattr(QiskitRuntimeService, "saved_accounts", staticmethod(dict))
    monkeypatch.setenv("QISKIT_IBM_TOKEN", SECRET)
    backend.provider().ready()  # type: ignore[attr-defined]


def test_jobs_stay_within_the_services_limits():
    assert provider_of(Service(), shots=4096).max_circuits == 1000
    assert provider_of(Service(), shots=100_000).max_circuits == 100
    assert provider_of(Service(), shots=20_000_000).max_circuits == 1


def test_the_backend_of_a_device_journals_its_jobs_and_pays_once(service, tmp_path):
    circuit = load_circuit("long-range-reupload", 3)
    features, weights, _ = inputs_of(case_of(circuit, seed=1, batch=2))
    exact = load_backend("aer:density_matrix,device=fake_manila").expectations(circuit, features, weights)

    def evaluated():
        backend = IBM(
            "ibm_manila", jobs=JobSettings(tmp_path / "jobs.jsonl", Limits(), Retry(poll_seconds=0.01))
        )
        backend._provider = IBMProvider("ibm_manila", backend.options, service)
        return backend.estimate(circuit, features, weights)

    first, second = evaluated(), evaluated()
    assert torch.equal(first.values, second.values)
    assert len(service.held) == 1
    assert bool(((first.values - exact).abs() <= FAR * first.standard_errors).all())
    (record,) = Journal(tmp_path / "jobs.jsonl").records().values()
    assert record.state is JobState.COMPLETED
    assert SECRET not in (tmp_path / "jobs.jsonl").read_text()


def test_too_many_qubits_for_the_device_are_refused_before_anything_is_sent(service):
    wide = Circuit.of(6, [gate("RY", 5, Weight(0))])
    with pytest.raises(JobError, match="6 qubits were asked of 'ibm_manila', which has 5"):
        provider_of(service).submit("key", work_of(wide))
    assert "run" not in service.asked


def test_a_snapshot_is_sampled_with_its_noise():
    circuit = load_circuit("long-range-reupload", 3)
    features, weights, _ = inputs_of(case_of(circuit, seed=1, batch=3))
    backend = load_backend("ibm:fake_manila")
    found = backend.estimate(circuit, features, weights)
    exact = load_backend("aer:density_matrix,device=fake_manila").expectations(circuit, features, weights)
    assert bool(((found.values - exact).abs() <= FAR * found.standard_errors).all())
    assert backend.options.shots == 4096
    assert torch.equal(
        found.values, load_backend("ibm:fake_manila").estimate(circuit, features, weights).values
    )
    other = load_backend("ibm:fake_manila,seed=1").estimate(circuit, features, weights)
    assert not torch.equal(found.values, other.values)


def test_wide_circuits_on_a_snapshot_go_by_trajectories():
    circuit = Circuit.of(13, [gate("RY", 0, feature(0)), gate("CNOT", (0, 12))])
    features = torch.tensor([[0.0]], dtype=DOUBLE)
    found = load_backend("ibm:fake_torino,shots=50").estimate(circuit, features, torch.zeros(0, dtype=DOUBLE))
    assert float(found.values.mean()) > 0.7


def test_targets_are_told_apart_by_their_names():
    assert load_backend("ibm").target == "fake_torino"
    manila = load_backend("ibm:fake_manila")
    assert manila.capabilities.max_qubits == 5
    assert not manila.capabilities.hardware
    assert not manila.capabilities.costs_money
    device = load_backend("ibm:ibm_torino")
    assert device.capabilities.hardware
    assert device.capabilities.costs_money
    with pytest.raises(UnknownNameError, match="fake_torinoo"):
        load_backend("ibm:fake_torinoo")
    with pytest.raises(InputError, match="shots"):
        load_backend("ibm:fake_torino,shots=none")
    with pytest.raises(CapabilityError, match="error suppression was asked of backend 'ibm:fake_manila'"):
        load_backend("ibm:fake_manila,twirling=true")


def test_a_dry_run_tells_the_compiled_circuit_and_sends_nothing(service):
    circuit = load_circuit("long-range-reupload", 4)
    local = dry_run(load_backend("ibm:fake_manila"), circuit, 1821)  # type: ignore[arg-type]
    device = IBM("ibm_manila", shots=4096)
    device._provider = IBMProvider("ibm_manila", device.options, service)
    remote = dry_run(device, circuit, 1821)
    assert (local.depth, local.two_qubit_gates) == (remote.depth, remote.two_qubit_gates)
    assert local.two_qubit_gates > circuit.two_qubit_gates()
    assert (local.jobs, remote.jobs) == (1, 2)
    assert "run" not in service.asked
