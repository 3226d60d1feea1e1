"""Evaluations at a remote service: journalled, capped, resumed, and without a trace of the key."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("qiskit_ionq")

from backends.ionq_server import IonQServer
from backends.ionq_service import TOKEN

from hybridqies.backends import JobSettings, Rates, dry_run, load_backend
from hybridqies.backends.jobs import Journal, Limits, Retry
from hybridqies.circuit import Circuit, PauliString, feature, gate, load_circuit
from hybridqies.errors import CapabilityError, InputError

QUICK = Retry(settle_seconds=0.05, poll_seconds=0.01, first_seconds=0.01)


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IONQ_API_KEY", TOKEN)
    with IonQServer(seed=1) as running:
        monkeypatch.setenv("IONQ_API_URL", running.url)
        yield running


def loaded(text: str) -> Any:
    """A backend that runs jobs."""
    return load_backend(text)


def backend(folder: Path, options: str = "shots=500", limits: Limits | None = None):
    found: Any = load_backend(f"ionq:simulator,{options}")
    found.jobs = JobSettings(folder / "jobs.jsonl", limits or Limits(), QUICK)
    return found


def mixed() -> Circuit:
    """Observables in two bases, read from a circuit that is not symmetric in its qubits."""
    gates = [gate("RY", 0, feature(0)), gate("CNOT", (0, 1)), gate("RX", 2, 0.4), gate("RZ", 1, 0.3)]
    return Circuit.of(3, gates, [PauliString.parse(each) for each in ("ZII", "XII", "IZZ", "IYX")])


def test_many_rows_in_several_bases_come_back_in_order(server, tmp_path):
    features = torch.linspace(0, 3, 130)[:, None]
    own = backend(tmp_path, "shots=4000")
    found = own.estimate(mixed(), features, torch.zeros(0))
    exact = load_backend("statevector").expectations(mixed(), features, torch.zeros(0))
    assert ((found.values - exact).abs() < 5 * found.standard_errors).all()
    records = Journal(tmp_path / "jobs.jsonl").records()
    bases = 2
    assert len(records) == own.n_jobs(bases, 130) == 3
    assert sum(each.n_circuits for each in records.values()) == 130 * bases


def test_the_same_work_is_paid_for_once_and_another_seed_again(server, tmp_path):
    features = torch.rand(3, 1)
    first = backend(tmp_path).estimate(mixed(), features, torch.zeros(0))
    again = backend(tmp_path).estimate(mixed(), features, torch.zeros(0))
    assert torch.equal(first.values, again.values)
    assert len(server.service.submissions("hybridqies_key")) == 1
    other = backend(tmp_path, "shots=500,seed=1").estimate(mixed(), features, torch.zeros(0))
    assert not torch.equal(first.values, other.values)
    assert len(server.service.submissions("hybridqies_key")) == 2


def test_a_training_step_is_one_submission(server, tmp_path):
    circuit = Circuit.of(2, [gate("RY", 0, feature(0)), gate("CNOT", (0, 1))])
    features = torch.rand(4, 1, requires_grad=True)
    own = backend(tmp_path)
    own.expectations(circuit, features, torch.zeros(0)).sum().backward()
    (record,) = Journal(tmp_path / "jobs.jsonl").records().values()
    assert record.n_circuits == own.n_circuits(circuit, 4) == 12
    torch.testing.assert_close(features.grad, -2 * torch.sin(features.detach()), atol=0.3, rtol=0)


@pytest.mark.parametrize("limits", [Limits(max_shots=999), Limits(max_jobs=1)])
def test_caps_hold_before_anything_is_sent(server, tmp_path, limits):
    own = backend(tmp_path, "shots=10", limits)
    with pytest.raises(CapabilityError, match=r"would pay for (1200 shots|2 jobs)"):
        own.estimate(load_circuit("long-range-reupload", 3), torch.rand(120, 3), torch.rand(18))
    assert not server.service.submissions("hybridqies_key")


def test_without_shots_there_is_nothing_remote():
    with pytest.raises(InputError, match="shots=none; expected a number of shots"):
        load_backend("ionq:simulator,shots=none")


def test_a_dry_run_needs_neither_key_nor_network(monkeypatch, tmp_path):
    monkeypatch.delenv("IONQ_API_KEY", raising=False)
    rates = tmp_path / "rates.toml"
    rates.write_text(
        '["ionq:qpu.*"]\ncurrency = "EUR"\nper_job = 0.5\nper_2q_gate_shot = 0.01\nleast_per_circuit = 3\n'
        '["*"]\nseconds_per_shot = 0.001\n'
    )
    circuit = Circuit.of(3, [gate("CNOT", (0, 1)), gate("CRZ", (1, 2), feature(0))])
    # A controlled RZ becomes an RZ and an RZZ.
    plan = dry_run(loaded("ionq:qpu.forte-1,shots=200"), circuit, 150, Rates.read(rates))
    assert (plan.circuits, plan.total_shots, plan.jobs, plan.two_qubit_gates) == (150, 30_000, 2, 2)
    assert plan.price == pytest.approx(150 * max(3, 200 * 2 * 0.01) + 2 * 0.5)
    assert plan.currency == "EUR"
    other = dry_run(loaded("ionq:simulator,shots=200"), circuit, 1, Rates.read(rates))
    assert other.seconds == pytest.approx(0.2)
    assert other.price == 0.0
    assert dry_run(loaded("ionq:simulator"), circuit, 1).price is None
    assert dry_run(loaded("ionq:simulator"), circuit, np.int64(7)).circuits == 7  # type: ignore[arg-type]


def test_a_dry_run_refuses_what_one_job_cannot_hold(monkeypatch):
    readings = [PauliString(((0, a), (1, b))) for a in "XYZ" for b in "XYZ"]
    circuit = Circuit.of(2, [gate("RY", 0, feature(0))], readings)
    backend: Any = load_backend("ionq:simulator,shots=20")
    assert dry_run(backend, circuit, 3).circuits == 27
    monkeypatch.setattr(type(backend.provider()), "max_circuits", 8)
    told = "9 circuits belong together in one job of ionq:simulator; expected at most 8"
    with pytest.raises(CapabilityError, match=told):
        dry_run(backend, circuit, 3)


@pytest.mark.parametrize(
    "content",
    [
        "[",
        '["a"]\nper_shots = 1',
        '["a"]\nper_shot = "much"',
        '["a"]\nper_shot = -1',
        "a = 1",
        "a = " + "[" * 9999,
    ],
)
def test_rates_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "rates.toml"
    path.write_text(content)
    with pytest.raises(InputError, match="expected"):
        Rates.read(path)


class TestFromTheShell:
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory, reviews, tiny_encoder, cache_folder):
        from hybridqies.cli.app import run

        out = tmp_path_factory.mktemp("trained") / "run"
        flags = ["--qubits", "3", "--epochs", "1", "--compare", "none", "--set", "encoders=1"]
        data = ["--data", str(reviews), "--encoder", str(tiny_encoder), "--out", str(out)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HYBRIDQIES_CACHE", str(cache_folder))
            assert run(["train", *data, *flags]) == 0
        return out

    @pytest.fixture
    def trained(self, model, tmp_path, own_cache):
        """A copy for each test, which may write into it."""
        return Path(shutil.copytree(model, tmp_path / "run"))

    def test_evaluate_leaves_a_journal_and_no_key(self, server, trained, capfd):
        from hybridqies.cli.app import run

        server.service.control({"faults": [{"kind": "429", "on": "submit"}]})
        said = []
        for _ in range(2):
            assert run(["evaluate", str(trained), "--backend", "ionq:simulator,shots=100", "--json"]) == 0
            out, err = capfd.readouterr()
            said.append(json.loads(out))
            assert TOKEN not in out + err
        assert said[0] == said[1]
        low, high = said[0]["shot_noise"]["accuracy_interval"]
        assert low <= said[0]["accuracy"] <= high
        assert set(server.service.submissions("hybridqies_key").values()) == {1}
        assert run(["jobs", "list", "--journal", str(trained), "--json"]) == 0
        assert [row["state"] for row in json.loads(capfd.readouterr().out)] == ["completed"]
        for path in trained.parent.rglob("*"):
            assert not path.is_file() or TOKEN.encode() not in path.read_bytes()

    def test_a_refused_key_is_one_line_without_the_key(self, server, trained, capfd, monkeypatch):
        from hybridqies.cli.app import run

        monkeypatch.setenv("IONQ_API_KEY", "a-key-that-is-wrong")
        assert run(["evaluate", str(trained), "--backend", "ionq:simulator"]) == 2
        out, err = capfd.readouterr()
        assert "refused the API key (HTTP 401)" in err
        assert err.count("\n") == 1
        assert "a-key-that-is-wrong" not in out + err
        for path in trained.parent.rglob("*"):
            assert not path.is_file() or b"a-key-that-is-wrong" not in path.read_bytes()

    def test_a_dry_run_sends_nothing(self, server, trained, capfd):
        from hybridqies.cli.app import run

        command = ["evaluate", str(trained), "--backend", "ionq:simulator,shots=100", "--dry-run"]
        assert run([*command, "--json"]) == 0
        (plan,) = json.loads(capfd.readouterr().out)
        assert (plan["jobs"], plan["total_shots"]) == (1, 100 * plan["circuits"])
        assert run(command) == 0
        assert "nothing was sent" in capfd.readouterr().out
        assert server.service.requests == {}

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            (["--max-shots", "5"], "max_shots was given with backend 'statevector', which costs nothing"),
            (
                ["--journal", "jobs.jsonl"],
                "journal was given with backend 'statevector', which costs nothing",
            ),
            (["--rates", "rates.toml"], "--rates was given without --dry-run"),
        ],
    )
    def test_flags_that_mean_nothing_here(self, trained, capfd, flags, message):
        from hybridqies.cli.app import run

        assert run(["evaluate", str(trained), *flags]) == 2
        assert message in capfd.readouterr().err

    def test_exact_values_are_planned_with_their_work(self, trained, reviews, tiny_encoder, capfd):
        from hybridqies.cli.app import run

        data = ["--data", str(reviews), "--encoder", str(tiny_encoder), "--compare", "none"]
        capfd.readouterr()
        assert run(["train", *data, "--qubits", "3", "--set", "encoders=2", "--dry-run", "--json"]) == 0
        plans = json.loads(capfd.readouterr().out)
        runs = {plan["run_as"]: plan["circuits"] for plan in plans}
        assert len(plans) == len(runs) == 2
        assert all(plan["operations"] > 0 == plan["total_shots"] for plan in plans)
        # Every encoder runs as often as the circuit that reads them.
        encoders, circuit = runs["the whole state of 6 qubits"], runs["the whole state of 3 qubits"]
        assert encoders == 2 * circuit > 0
        assert run(["evaluate", str(trained), "--dry-run"]) == 0
        assert "nothing was run" in capfd.readouterr().out
        assert run(["evaluate", str(trained), "--dry-run", "--backend", "pennylane"]) == 2
        assert "computes exactly in this process: there is nothing to plan" in capfd.readouterr().err

    def test_a_training_is_planned_and_capped_before_it_begins(
        self, server, trained, reviews, tiny_encoder, capfd
    ):
        from hybridqies.cli.app import run

        out = trained.parent / "remote"
        command = [
            "train",
            "--data",
            str(reviews),
            "--encoder",
            str(tiny_encoder),
            "--qubits",
            "2",
            "--epochs",
            "1",
        ]
        command += ["--compare", "none", "--set", "encoders=1", "--set", "reuploads=1", "--out", str(out)]
        command += ["--backend", "ionq:simulator,shots=20,gradient=spsa,directions=1"]
        capfd.readouterr()
        assert run([*command, "--dry-run", "--json"]) == 0
        (plan,) = json.loads(capfd.readouterr().out)
        assert run([*command, "--max-shots", str(plan["total_shots"] - 1)]) == 2
        assert f"would pay for {plan['total_shots']} shots" in capfd.readouterr().err
        assert server.service.requests == {}
        assert not out.exists()
        assert run([*command, "--max-shots", str(plan["total_shots"]), "--max-jobs", str(plan["jobs"])]) == 0
        records = Journal(out / "jobs.jsonl").records().values()
        assert sum(each.n_circuits * each.shots for each in records) <= plan["total_shots"]
        assert len(records) <= plan["jobs"]
        result = json.loads((out / "result.json").read_text())
        assert (result["backend"], result["gradient"]) == (plan["backend"], "spsa")
        assert "shot_noise" in result
