"""Jobs at IonQ that go well: circuits, results, keys, the queue."""

from __future__ import annotations

import numpy as np
import pytest
import qiskit
import torch
from backends.ionq_work import VARIABLES, every_gate, expectations, flip, measured, work_of

from hybridqies.backends import load_backend
from hybridqies.backends.ionq_provider import BASIS, KEY, IonQOptions, IonQProvider, NoiseModel
from hybridqies.backends.jobs.provider import (
    JobError,
    JobState,
)
from hybridqies.backends.resources import Resources
from hybridqies.circuit import Circuit, Weight, gate

pytest.importorskip("qiskit_ionq")

pytestmark = pytest.mark.usefixtures("no_warning_escapes")


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
