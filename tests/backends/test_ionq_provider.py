from __future__ import annotations

import functools
import itertools
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import qiskit
import torch
from backends.ionq_server import TOKEN, IonQServer

from hybridqies.backends import load_backend
from hybridqies.backends.ionq_provider import BASIS, KEY, IonQOptions, IonQProvider, NoiseModel
from hybridqies.backends.jobs.provider import (
    Counts,
    JobError,
    JobState,
    TransientError,
    UncertainError,
    Work,
)
from hybridqies.backends.resources import Resources
from hybridqies.circuit import GATES, Circuit, PauliString, Weight, gate
from hybridqies.errors import InputError, MissingExtraError

pytest.importorskip("qiskit_ionq")

VARIABLES = ("IONQ_API_KEY", "IONQ_API_TOKEN", "QISKIT_IONQ_API_TOKEN", "QISKIT_IONQ_API_URL")
LOST = [
    {"kind": "drop"},
    {"kind": "drop", "accepted": True},
    {"kind": "hang", "seconds": 0.3},
    {"kind": "hang", "seconds": 0.3, "accepted": True},
    {"kind": "truncate"},
    {"kind": "garble"},
    {"kind": "500"},
    {"kind": "500", "accepted": True},
    {"kind": "502", "accepted": True},
    {"kind": "504"},
    {"kind": "409"},
]


@pytest.fixture(autouse=True)
def _no_warning_escapes():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def server(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with IonQServer(seed=5) as running:
        running.service.polls = 0
        monkeypatch.setenv("IONQ_API_URL", running.url)
        monkeypatch.setenv("IONQ_API_KEY", TOKEN)
        yield running


@pytest.fixture
def impatient(monkeypatch):
    """The real client with a clock that runs faster: its 30 seconds are a fifth of one."""
    import requests

    for verb in ("get", "post", "put"):
        sent: Callable[..., Any] = getattr(requests, verb)
        monkeypatch.setattr(requests, verb, functools.partial(_in_a_hurry, sent))


def _in_a_hurry(sent: Callable[..., Any], *args: Any, **options: Any) -> Any:
    return sent(*args, **{**options, "timeout": 0.2})


def flip(qubit: int, n_qubits: int = 3) -> Circuit:
    """|0...0> with one qubit turned by the weight: a bit flip at pi."""
    return Circuit.of(n_qubits, [gate("RX", qubit, Weight(0))])


def work_of(*circuits: Circuit, angles: Any = ((np.pi,),), shots: int = 50, seed: int = 3) -> Work:
    rows = np.asarray(angles, dtype=np.float64)
    return Work("ionq:simulator", circuits or (flip(0),), rows, shots, seed)


def every_gate(n_qubits: int, seed: int) -> Circuit:
    """Every gate of the set, in random order on random qubits, with weights that are shared and scaled."""
    generator = np.random.default_rng(seed)
    gates = [gate("RY", qubit, 0.4 + 0.3 * qubit) for qubit in range(n_qubits)]
    for name in generator.permutation(list(GATES)):
        kind = GATES[name]
        qubits = tuple(int(q) for q in generator.permutation(n_qubits)[: kind.n_qubits])
        angles = [Weight(int(generator.integers(4)), float(generator.normal())) for _ in kind.angles]
        gates.append(gate(name, qubits, *angles))
    observables = [PauliString.on("Z", qubit) for qubit in range(n_qubits)]
    observables += [PauliString.on("Z", *pair) for pair in itertools.combinations(range(n_qubits), 2)]
    return Circuit(n_qubits, tuple(gates), tuple(observables), 0, 4)


def measured(provider: IonQProvider, work: Work) -> list[Counts]:
    job_id = provider.submit(work.key(), work)
    assert provider.status(job_id).state is JobState.COMPLETED
    return list(provider.counts(job_id, work))


def expectations(circuit: Circuit, counts: Counts) -> list[float]:
    shots = sum(counts.values())
    return [
        sum((-1) ** sum(bits[qubit] == "1" for qubit, _ in each.factors) * n for bits, n in counts.items())
        / shots
        for each in circuit.observables
    ]


def text_of(error: BaseException) -> str:
    return repr(error) + "".join(traceback.format_exception(error))


def test_qubit_0_is_the_first_letter(server):
    circuits = (flip(0), flip(1), flip(2))
    assert measured(IonQProvider(), work_of(*circuits)) == [{"100": 50}, {"010": 50}, {"001": 50}]


def test_results_come_by_circuit_and_then_by_row(server):
    work = work_of(flip(0, 2), flip(1, 2), angles=[[np.pi], [0], [3 * np.pi]])
    seen = [next(iter(counts)) for counts in measured(IonQProvider(), work)]
    assert seen == ["10", "00", "10", "01", "00", "01"]
    assert server.service.submissions(KEY) == {work.key(): 1}


@pytest.mark.parametrize("seed", range(3))
def test_values_of_random_circuits_agree_with_the_native_engine(server, seed):
    circuit = every_gate(4, seed)
    angles = np.random.default_rng(seed).normal(size=(2, 4))
    work = work_of(circuit, angles=angles, shots=1_000_000)
    exact = load_backend("statevector").expectations(
        circuit, torch.zeros(2, 0, dtype=torch.float64), torch.tensor(angles)
    )
    seen = [expectations(circuit, counts) for counts in measured(IonQProvider(), work)]
    # Five standard errors of a million shots, whose variance is 1 at most.
    np.testing.assert_allclose(seen, exact, rtol=0, atol=5e-3)


def test_samples_of_the_ideal_simulator_depend_on_the_work_alone(server):
    circuit = Circuit.of(2, [gate("H", 0), gate("RX", 1, Weight(0))])
    work = work_of(circuit, angles=[[0.7], [0.7]], shots=1000)
    first, second = measured(IonQProvider(), work), measured(IonQProvider(), work)
    assert first == second
    assert first[0] != first[1]
    other = work_of(circuit, angles=[[0.7], [0.7]], shots=1000, seed=4)
    assert measured(IonQProvider(), other) != first


@pytest.mark.parametrize(
    ("target", "options"),
    [("simulator", IonQOptions(noise_model=NoiseModel.ARIA_1)), ("qpu.forte-1", IonQOptions())],
)
def test_fractions_of_shots_become_counts_again(server, target, options):
    work = work_of(every_gate(3, 1), angles=np.ones((3, 4)), shots=997)
    provider = IonQProvider(target, options)
    job_id = provider.submit("label", work)
    provider.status(job_id)
    counts = provider.counts(job_id, work)
    assert [sum(each.values()) for each in counts] == [997] * 3
    children = server.service.jobs[job_id].children
    for seen, child in zip(counts, children, strict=True):
        fractions = server.service.jobs[child].probabilities
        expected = {int(state): round(value * 997) for state, value in fractions.items()}
        assert {int(bits[::-1], 2): n for bits, n in seen.items()} == expected


def test_probabilities_that_are_no_fractions_are_rounded_to_all_shots(server):
    provider, work = IonQProvider("qpu.aria-1"), work_of(flip(0, 2), shots=10)
    job_id = provider.submit("label", work)
    (child,) = server.service.jobs[job_id].children
    server.service.jobs[child].probabilities = {"0": 1 / 3, "1": 1 / 3, "2": 0.25, "3": 1 / 12}
    assert provider.counts(job_id, work) == [{"00": 3, "10": 3, "01": 3, "11": 1}]


def test_a_qpu_is_told_to_debias_or_not_and_a_simulator_its_noise(server):
    IonQProvider("qpu.forte-1").submit("a", work_of())
    IonQProvider("qpu.forte-1", IonQOptions(debiasing=True)).submit("b", work_of())
    IonQProvider("simulator", IonQOptions(noise_model=NoiseModel.FORTE_1)).submit("c", work_of())
    bodies = [job.body for job in server.service.jobs.values() if job.parent is None]
    assert [body.get("settings") for body in bodies[:2]] == [
        {"error_mitigation": {"debiasing": False}},
        {"error_mitigation": {"debiasing": True}},
    ]
    assert "noise" not in bodies[0]
    assert bodies[2]["noise"]["model"] == "forte-1"
    assert "settings" not in bodies[2]


def test_nothing_is_asked_of_the_network_but_the_job_itself(server):
    provider = IonQProvider()
    provider.ready()
    provider.resources(flip(0))
    assert server.service.requests == {}
    provider.submit("label", work_of())
    assert server.service.requests == {"submit": 1}


def test_a_circuit_is_transpiled_once(server, monkeypatch):
    calls = []
    transpile = qiskit.transpile
    monkeypatch.setattr(qiskit, "transpile", lambda *a, **k: calls.append(a) or transpile(*a, **k))
    provider = IonQProvider()
    for at in range(3):
        provider.submit(str(at), work_of(flip(0), flip(1), angles=[[0.1], [at]]))
    provider.resources(flip(1))
    assert len(calls) == 2


def test_a_dry_run_needs_no_key_and_counts_after_transpilation(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    entangled = Circuit.of(2, [gate("H", 0), gate("CRZ", (0, 1), Weight(0)), gate("RXX", (0, 1), Weight(0))])
    provider = IonQProvider("qpu.forte-1")
    # A controlled RZ is an RZ and an RZZ, of half its angle each; measurements are left out.
    assert provider.resources(flip(0, 2)) == Resources(depth=1, gates_1q=1, gates_2q=0)
    assert provider.resources(entangled) == Resources(depth=3, gates_1q=2, gates_2q=2)
    assert {"p", "cp", "u"}.isdisjoint(BASIS)


def test_a_job_is_found_by_its_key_on_any_page(server, monkeypatch):
    monkeypatch.setattr("hybridqies.backends.ionq_provider._PAGE", 3)
    provider = IonQProvider()
    ids = {str(at): provider.submit(str(at), work_of(flip(0), flip(1))) for at in range(5)}
    assert {key: provider.find(key) for key in ids} == ids
    assert provider.find("5") is None
    assert IonQProvider("qpu.aria-1").find("0") is None


def test_of_jobs_with_one_key_the_newest_is_found(server):
    provider = IonQProvider()
    _, newest = (provider.submit("twice", work_of()) for _ in range(2))
    assert provider.find("twice") == newest


def test_absence_is_not_claimed_while_there_are_older_jobs(server, monkeypatch):
    monkeypatch.setattr("hybridqies.backends.ionq_provider._PAGE", 2)
    monkeypatch.setattr("hybridqies.backends.ionq_provider._MOST_PAGES", 2)
    provider = IonQProvider()
    for at in range(3):
        provider.submit(str(at), work_of())
    with pytest.raises(JobError, match="none of the newest 4 IonQ jobs is named hybridqies-0"):
        provider.find("0")


def test_a_job_is_followed_from_the_queue_to_its_end(server):
    server.service.polls = 4
    provider = IonQProvider()
    job_id = provider.submit("label", work_of())
    seen = [provider.status(job_id).state.value for _ in range(4)]
    assert seen == ["queued", "queued", "running", "completed"]


def test_a_failed_job_tells_why_and_has_no_counts(server):
    server.service.control({"faults": [{"kind": "fail"}]})
    provider = IonQProvider()
    job_id = provider.submit("label", work_of())
    status = provider.status(job_id)
    assert status.state is JobState.FAILED
    assert status.reason == "QuantumComputerError: the ion chain was lost"
    with pytest.raises(JobError, match="is 'failed'"):
        provider.counts(job_id, work_of())


def test_a_stuck_job_can_be_cancelled_and_a_final_one_stays(server):
    server.service.control({"faults": [{"kind": "stuck"}]})
    provider = IonQProvider()
    stuck, done = (provider.submit(key, work_of()) for key in "ab")
    assert provider.status(stuck).state is JobState.QUEUED
    for each in (stuck, done):
        provider.cancel(each)
    assert provider.status(stuck).state is JobState.CANCELLED
    assert provider.status(done).state is JobState.COMPLETED
    server.service.control({"faults": [{"kind": "400", "on": "cancel"}]})
    provider.cancel(done)


@pytest.mark.parametrize("code", ["429", "503"])
def test_a_submission_that_was_not_taken_is_transient_and_was_sent_once(server, code):
    server.service.control({"faults": [{"kind": code, "on": "submit"}]})
    provider = IonQProvider()
    with pytest.raises(TransientError, match=f"HTTP {code}.*try again later"):
        provider.submit("label", work_of())
    assert server.service.requests == {"submit": 1}
    provider.submit("label", work_of())
    assert server.service.submissions(KEY) == {"label": 1}


@pytest.mark.parametrize("fault", LOST, ids=lambda fault: "-".join(map(str, fault.values())))
def test_a_submission_without_an_answer_is_uncertain_and_can_be_found(server, impatient, fault):
    server.service.control({"faults": [{**fault, "on": "submit"}]})
    provider = IonQProvider()
    with pytest.raises(UncertainError) as caught:
        provider.submit("label", work_of())
    assert TOKEN not in text_of(caught.value)
    assert server.service.requests == {"submit": 1}
    (accepted,) = server.service.submissions(KEY).values() or (0,)
    assert accepted == (fault.get("accepted", False) or fault["kind"] in ("truncate", "garble"))
    assert (provider.find("label") is not None) == accepted


@pytest.mark.parametrize("kind", ["drop", "hang", "truncate", "garble", "409", "429", "500", "503"])
@pytest.mark.parametrize("verb", ["status", "list", "results", "cancel"])
def test_any_other_request_that_fails_is_transient_and_was_sent_once(server, impatient, verb, kind):
    provider, work = IonQProvider(), work_of()
    job_id = provider.submit("label", work)
    asked = {
        "status": lambda: provider.status(job_id),
        "list": lambda: provider.find("label"),
        "results": lambda: provider.counts(job_id, work),
        "cancel": lambda: provider.cancel(job_id),
    }[verb]
    server.service.control({"faults": [{"kind": kind, "on": verb, "seconds": 0.3}]})
    with pytest.raises(TransientError):
        asked()
    assert server.service.requests[verb] == 1
    asked()


def test_a_server_that_is_not_there_is_transient(server, monkeypatch):
    with IonQServer() as gone:
        monkeypatch.setenv("IONQ_API_URL", gone.url)
    provider = IonQProvider()
    for call in (lambda: provider.submit("label", work_of()), lambda: provider.find("label")):
        with pytest.raises(TransientError, match="cannot be reached; nothing was sent"):
            call()


@pytest.mark.parametrize("code", ["400", "403", "404"])
def test_a_refusal_is_permanent_and_says_why(server, code):
    server.service.control({"faults": [{"kind": code}]})
    with pytest.raises(JobError, match=f"HTTP {code}.*try again later") as caught:
        IonQProvider().submit("label", work_of())
    assert type(caught.value) is JobError


def test_an_expired_key_is_permanent_is_not_shown_and_can_be_renewed(server, monkeypatch):
    provider, work = IonQProvider(), work_of()
    job_id = provider.submit("label", work)
    server.service.control({"faults": [{"kind": "expire"}]})
    calls = (
        lambda: provider.submit("again", work),
        lambda: provider.find("label"),
        lambda: provider.status(job_id),
        lambda: provider.counts(job_id, work),
        lambda: provider.cancel(job_id),
    )
    for call in calls:
        with pytest.raises(JobError, match=r"refused the API key .HTTP 401.*IONQ_API_KEY") as caught:
            call()
        assert type(caught.value) is JobError
        assert "apiKey ***" in str(caught.value)
        assert TOKEN not in text_of(caught.value)
    assert TOKEN not in repr(provider) + repr(vars(provider))
    server.service.expired, server.service.token = False, "renewed"
    monkeypatch.setenv("IONQ_API_KEY", "renewed")
    assert provider.status(job_id).state is JobState.COMPLETED


@pytest.mark.parametrize(
    ("code", "body", "problem"),
    [
        (400, {"error": "a bare word"}, r"answer was lost .AttributeError"),
        (201, ["unexpected"], "not a JSON object"),
        (201, {"status": "submitted"}, "without a job id"),
    ],
)
def test_an_answer_that_cannot_be_read_leaves_a_submission_uncertain(
    server, monkeypatch, code, body, problem
):
    handler = server.RequestHandlerClass
    plain = handler.reply
    monkeypatch.setattr(handler, "reply", lambda self, *_: plain(self, code, body))
    with pytest.raises(UncertainError, match=problem):
        IonQProvider().submit("label", work_of())


def test_what_the_client_itself_refuses_is_permanent(server):
    work, provider = work_of(), IonQProvider()
    foreign = qiskit.QuantumCircuit(3)
    foreign.u(0.1, 0.2, 0.3, 0)
    foreign.measure_all()
    provider._compiled[work.circuits[0].digest()] = foreign
    with pytest.raises(JobError, match="client refuses the job: gate 'u' is not supported") as caught:
        provider.submit("label", work)
    assert type(caught.value) is JobError
    assert server.service.requests == {}


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ({"0": 0.5}, "add up to 0.5"),
        ({}, "add up to 0"),
        ({"8": 1.0}, "or name more qubits"),
        ({"0": 1.5, "1": -0.5}, "add up to 1"),
        ({"0": float("nan")}, "add up to nan"),
        ({"zero": 1.0}, "not numbers by decimal state"),
        ("none", "gave no probabilities for its circuit"),
    ],
)
def test_results_that_make_no_sense_are_refused(server, found, problem):
    provider, work = IonQProvider(), work_of()
    job_id = provider.submit("label", work)
    (child,) = server.service.jobs[job_id].children
    server.service.jobs[child].probabilities = found
    with pytest.raises(JobError, match=problem):
        provider.counts(job_id, work)


def test_a_state_that_nobody_documented_is_named(server, monkeypatch):
    job_id = IonQProvider().submit("label", work_of())
    monkeypatch.setattr(server.service, "status_of", lambda job: "pondering")
    with pytest.raises(JobError, match="unknown state 'pondering'"):
        IonQProvider().status(job_id)


def test_a_completed_job_without_results_is_refused(server, monkeypatch):
    job_id = IonQProvider().submit("label", work_of())
    show = server.service.show
    monkeypatch.setattr(server.service, "show", lambda job: {**show(job), "results": None})
    with pytest.raises(JobError, match="completed and offers no probabilities"):
        IonQProvider().counts(job_id, work_of())


def test_results_of_other_work_are_refused(server):
    provider = IonQProvider()
    job_id = provider.submit("label", work_of())
    with pytest.raises(JobError, match="ran 1 circuits, and 2 were asked for"):
        provider.counts(job_id, work_of(angles=[[0.0], [1.0]]))


@pytest.mark.parametrize(
    ("target", "options", "problem"),
    [
        ("aria-1", None, "IonQ target 'aria-1' was given; expected simulator, or a QPU as qpu.forte-1"),
        ("qpu.aria-1", IonQOptions(noise_model=NoiseModel.ARIA_1), "a QPU has its own noise"),
        ("simulator", IonQOptions(debiasing=True), "debiasing was asked of IonQ's simulator"),
    ],
)
def test_what_a_target_does_not_have_is_refused_at_once(target, options, problem):
    with pytest.raises(InputError, match=problem):
        IonQProvider(target, options)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("IONQ_API_KEY", "", "found no API key; expected one in the environment variable IONQ_API_KEY"),
        ("IONQ_API_KEY", f"{TOKEN}\n", "IonQ's API key holds blanks"),
        ("IONQ_API_URL", "api.ionq.co/v0.4", "IONQ_API_URL is 'api.ionq.co/v0.4'"),
    ],
)
def test_credentials_that_cannot_work_are_refused_before_anything_is_sent(
    server, monkeypatch, name, value, problem
):
    monkeypatch.setenv(name, value)
    for call in (IonQProvider().ready, lambda: IonQProvider().submit("label", work_of())):
        with pytest.raises(InputError, match=problem) as caught:
            call()
        assert TOKEN not in text_of(caught.value)
    assert server.service.requests == {}


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    for name in ("helpers", "ionq_client", "ionq_job"):
        monkeypatch.setitem(sys.modules, f"qiskit_ionq.{name}", None)
    for call in (IonQProvider().ready, lambda: IonQProvider().submit("label", work_of())):
        with pytest.raises(MissingExtraError, match=r"hybridqies\[ionq\]"):
            call()
