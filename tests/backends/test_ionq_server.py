from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from http.client import IncompleteRead, RemoteDisconnected
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends.ionq_server import IonQServer
from backends.ionq_service import BACKENDS, TOKEN, simulate
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector

BELL = [{"gate": "h", "target": 0}, {"gate": "cnot", "control": 0, "target": 1}]


@pytest.fixture
def server():
    with IonQServer(seed=4) as running:
        running.service.polls = 0
        yield running


def ask(server: IonQServer, method: str, path: str, body: Any = None, token: str = TOKEN) -> Any:
    headers = {"Authorization": f"apiKey {token}"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.loads(answer.read())


def code_of(server: IonQServer, *request: Any, **options: Any) -> int:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(server, *request, **options)
    caught.value.close()
    return caught.value.code


def job(backend: str = "simulator", **changes: Any) -> dict[str, Any]:
    given = {"type": "ionq.circuit.v1", "backend": backend, "shots": 1000, "name": "bell"}
    return given | {"input": {"gateset": "qis", "qubits": 2, "circuit": BELL}} | changes


def several(*circuits: list[dict[str, Any]], qubits: int = 2, **changes: Any) -> dict[str, Any]:
    entries = [{"name": str(at), "circuit": each} for at, each in enumerate(circuits)]
    given = {"gateset": "qis", "qubits": qubits, "circuits": entries}
    return job(type="ionq.multi-circuit.v1", input=given, **changes)


def test_its_simulator_agrees_with_qiskit_on_every_gate():
    ours, theirs = [], QuantumCircuit(3)
    names = {"si": "sdg", "ti": "tdg", "v": "sx", "vi": "sxdg", "not": "x"}
    for at, name in enumerate(("h", "x", "not", "y", "z", "s", "si", "t", "ti", "v", "vi")):
        for qubit, angle in ((at % 3, 0.3 + at), ((at + 1) % 3, 1.1 - at)):
            ours.append({"gate": "ry", "targets": [qubit], "rotation": angle})
            theirs.ry(angle, qubit)
        ours.append({"gate": name, "target": at % 3})
        getattr(theirs, names.get(name, name))(at % 3)
    for at, name in enumerate(("rx", "ry", "rz")):
        ours.append({"gate": name, "targets": [at], "rotation": 0.4 + at})
        getattr(theirs, name)(0.4 + at, at)
        ours.append({"gate": name, "targets": [at], "controls": [(at + 2) % 3], "rotation": 0.9})
        getattr(theirs, f"c{name}")(0.9, (at + 2) % 3, at)
    for at, name in enumerate(("xx", "yy", "zz")):
        ours.append({"gate": name, "targets": [(at + 1) % 3, at], "rotation": 0.7 + at})
        getattr(theirs, f"r{name}")(0.7 + at, (at + 1) % 3, at)
    ours += [{"gate": "swap", "targets": [2, 0]}, {"gate": "x", "targets": [1], "controls": [2, 0]}]
    theirs.swap(2, 0)
    theirs.ccx(2, 0, 1)
    expected = Statevector(theirs).probabilities()
    np.testing.assert_allclose(simulate(ours, 3), expected, rtol=0, atol=1e-14)


def test_a_job_goes_from_submitted_to_completed_as_it_is_polled(server):
    server.service.polls = 4
    created = ask(server, "POST", "/jobs", job(metadata={"who": "me"}))
    assert created["status"] == "submitted"
    path = f"/jobs/{created['id']}"
    assert code_of(server, "GET", path + "/results/probabilities") == 404
    seen = [ask(server, "GET", path)["status"] for _ in range(5)]
    assert seen == ["ready", "ready", "started", "completed", "completed"]
    assert ask(server, "GET", path)["metadata"] == {"who": "me"}
    assert ask(server, "GET", path + "/results/probabilities") == pytest.approx({"0": 0.5, "3": 0.5})


def test_a_job_can_take_seconds(server):
    server.service.seconds = 0.2
    path = f"/jobs/{ask(server, 'POST', '/jobs', job())['id']}"
    assert ask(server, "GET", path)["status"] == "started"
    time.sleep(0.25)
    assert ask(server, "GET", path)["status"] == "completed"


def test_every_circuit_of_a_job_is_a_child_with_results_of_its_own(server):
    flips = [[{"gate": "x", "target": qubit}] for qubit in range(3)]
    created = ask(server, "POST", "/jobs", several(*flips, qubits=3))
    shown = ask(server, "GET", f"/jobs/{created['id']}")
    assert len(shown["child_job_ids"]) == 3
    url = shown["results"]["probabilities"]["url"].removeprefix("/v0.4")
    together = ask(server, "GET", url)
    assert [together[child] for child in shown["child_job_ids"]] == [{"1": 1.0}, {"2": 1.0}, {"4": 1.0}]
    child = shown["child_job_ids"][1]
    assert ask(server, "GET", f"/jobs/{child}")["parent_job_id"] == created["id"]
    assert ask(server, "GET", f"/jobs/{child}/results/probabilities") == {"2": 1.0}


def test_the_list_is_paged_and_newest_first(server):
    ids = [ask(server, "POST", "/jobs", job(name=str(at)))["id"] for at in range(7)]
    first = ask(server, "GET", "/jobs?limit=3")
    second = ask(server, "GET", f"/jobs?limit=3&next={first['next']}")
    third = ask(server, "GET", f"/jobs?limit=3&next={second['next']}")
    assert [row["id"] for page in (first, second, third) for row in page["jobs"]] == ids[::-1]
    assert third["next"] is None
    assert [row["id"] for row in ask(server, "GET", f"/jobs?ids={ids[2]}")["jobs"]] == [ids[2]]
    assert ask(server, "GET", "/jobs?target=qpu.aria-1")["jobs"] == []
    assert len(ask(server, "GET", "/jobs?status=completed")["jobs"]) == 7


def test_noise_and_hardware_give_fractions_of_shots(server):
    noisy = job(noise={"model": "aria-1", "seed": 3}, shots=200)
    for body in (noisy, job("qpu.forte-1", shots=200)):
        created = ask(server, "POST", "/jobs", body)
        found = ask(server, "GET", f"/jobs/{created['id']}/results/probabilities")
        assert sum(found.values()) == pytest.approx(1)
        assert all(value * 200 == pytest.approx(round(value * 200)) for value in found.values())
        assert found["0"] != 0.5


def test_jobs_can_be_cancelled_until_they_are_final_and_deleted(server):
    server.service.polls = 1
    one, two = (ask(server, "POST", "/jobs", job())["id"] for _ in range(2))
    assert ask(server, "PUT", f"/jobs/{one}/status/cancel") == {"id": one, "status": "canceled"}
    assert ask(server, "GET", f"/jobs/{one}")["status"] == "canceled"
    assert ask(server, "GET", f"/jobs/{two}")["status"] == "completed"
    ask(server, "PUT", f"/jobs/{two}/status/cancel")
    assert ask(server, "GET", f"/jobs/{two}")["status"] == "completed"
    ask(server, "DELETE", f"/jobs/{two}")
    assert code_of(server, "GET", f"/jobs/{two}") == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"shots": 0},
        {"shots": 2_000_000},
        {"backend": "qpu.abacus"},
        {"extra": 1},
        {"type": "ionq.other"},
        {"metadata": {"a": 1}},
        {"noise": {"model": "rumour"}},
        {"input": {"gateset": "qis", "qubits": 1, "circuit": [{"gate": "z", "target": 0, "rotation": 1}]}},
        {"input": {"gateset": "qis", "qubits": 1, "circuit": [{"gate": "u", "target": 0}]}},
        {"input": {"gateset": "native", "qubits": 1, "circuit": []}},
        {"input": {}},
    ],
)
def test_payloads_outside_the_schema_are_refused(server, changes):
    assert code_of(server, "POST", "/jobs", job(**changes)) == 400
    assert server.service.jobs == {}


def test_only_backends_may_be_read_without_a_key(server):
    assert code_of(server, "POST", "/jobs", job(), token="wrong") == 401
    assert code_of(server, "GET", "/jobs", token="") == 401
    assert ask(server, "GET", "/backends/simulator", token="")["qubits"] == 29
    assert len(ask(server, "GET", "/backends", token="")) == len(BACKENDS)
    assert code_of(server, "GET", "/backends/qpu.abacus") == 404
    assert ask(server, "GET", "/backends/simulator/characterizations") == {"characterizations": []}
    assert code_of(server, "GET", "/nothing") == 404


@pytest.mark.parametrize("code", [429, 500, 503])
def test_an_ordered_refusal_leaves_no_job_behind(server, code):
    server.service.control({"faults": [{"kind": str(code), "on": "submit"}]})
    ask(server, "GET", "/jobs")
    assert code_of(server, "POST", "/jobs", job()) == code
    assert server.service.jobs == {}
    ask(server, "POST", "/jobs", job())


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize("kind", ["drop", "hang", "500"])
def test_an_answer_can_be_lost_before_and_after_the_job_was_accepted(server, kind, accepted):
    fault = {"kind": kind, "on": "submit", "accepted": accepted, "seconds": 0.05}
    server.service.control({"faults": [fault]})
    with pytest.raises((ConnectionError, RemoteDisconnected, urllib.error.URLError)) as caught:
        ask(server, "POST", "/jobs", job())
    if isinstance(caught.value, urllib.error.HTTPError):
        caught.value.close()
    assert len(server.service.jobs) == accepted


def test_answers_can_be_cut_short(server):
    server.service.control({"faults": [{"kind": "truncate"}, {"kind": "garble"}]})
    with pytest.raises(IncompleteRead):
        ask(server, "POST", "/jobs", job())
    with pytest.raises(json.JSONDecodeError):
        ask(server, "POST", "/jobs", job())
    assert len(server.service.jobs) == 2


def test_jobs_can_fail_or_stay_in_the_queue(server):
    server.service.control({"faults": [{"kind": "fail"}, {"kind": "stuck"}]})
    failing, stuck = (ask(server, "POST", "/jobs", job())["id"] for _ in range(2))
    shown = ask(server, "GET", f"/jobs/{failing}")
    assert (shown["status"], shown["failure"]["code"]) == ("failed", "QuantumComputerError")
    assert {ask(server, "GET", f"/jobs/{stuck}")["status"] for _ in range(5)} == {"ready"}


def test_a_key_can_expire(server):
    ask(server, "GET", "/jobs")
    server.service.control({"faults": [{"kind": "expire"}]})
    assert [code_of(server, "GET", "/jobs") for _ in range(3)] == [401] * 3
    server.service.control({"expired": False})
    ask(server, "GET", "/jobs")


def test_chances_are_drawn_from_the_seed():
    seen = []
    for _ in range(2):
        with IonQServer(seed=11) as running:
            running.service.control({"random": [{"kind": "429", "rate": 0.5, "on": "list"}]})
            answers = []
            for _ in range(20):
                try:
                    ask(running, "GET", "/jobs")
                    answers.append(200)
                except urllib.error.HTTPError as error:
                    error.close()
                    answers.append(error.code)
            seen.append(answers)
    assert seen[0] == seen[1]
    assert set(seen[0]) == {200, 429}


@pytest.mark.parametrize("name", ["simulator", "qpu.forte-1"])
def test_the_real_client_runs_its_own_jobs_on_it(server, monkeypatch, name):
    client = pytest.importorskip("qiskit_ionq")
    monkeypatch.setenv("IONQ_API_URL", server.url)
    monkeypatch.setenv("IONQ_API_KEY", TOKEN)
    circuits = [QuantumCircuit(3) for _ in range(3)]
    for qubit, circuit in enumerate(circuits):
        circuit.x(qubit)
        circuit.measure_all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        backend = client.IonQProvider().get_backend(name)
        result = backend.run(circuits, shots=1000).result(wait=0.01)
    assert backend.num_qubits == BACKENDS[name]
    likely = [max(counts, key=counts.get) for counts in result.get_counts()]
    assert likely == ["001", "010", "100"]


def test_as_a_program_it_serves_and_is_controlled_over_http(tmp_path):
    port = tmp_path / "port"
    order = json.dumps({"polls": 0, "faults": [{"kind": "503", "on": "list"}]})
    command = [sys.executable, "-m", "backends.ionq_server", "--port-file", str(port), "--control", order]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[1])
    try:
        for _ in range(1000):
            if port.exists():
                break
            time.sleep(0.01)
        root = f"http://127.0.0.1:{port.read_text()}"
        body = json.dumps({"faults": [{"kind": "429", "times": 2}]}).encode()
        with urllib.request.urlopen(f"{root}/control", timeout=5) as answer:
            assert json.loads(answer.read()) == {"jobs": [], "requests": {}, "faults_left": 1}
        with urllib.request.urlopen(f"{root}/control", data=body, timeout=5) as answer:
            assert json.loads(answer.read())["faults_left"] == 1
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
