"""Runs that pay: one journal and one account for all heads, kept when a job fails or a run is replaced."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("qiskit_ionq")

from backends.ionq_server import IonQServer
from backends.ionq_service import TOKEN

from hybridqies.backends.jobs import Journal, Limits
from hybridqies.cli.app import run
from hybridqies.errors import CapabilityError
from hybridqies.runs import DataOptions, RunConfig, execute, plan_training, prepare
from hybridqies.training import TrainingConfig

pytestmark = pytest.mark.usefixtures("own_cache")
IONQ = "ionq:simulator,shots=20,gradient=spsa,directions=1"
SMALL = ["--qubits", "2", "--set", "encoders=1", "--set", "reuploads=1", "--compare", "none"]


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    """Drawing a run takes longer than these trainings."""
    monkeypatch.setattr("hybridqies.report.write_pictures", lambda _: None)


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IONQ_API_KEY", TOKEN)
    with IonQServer(seed=2) as running:
        running.service.control({"polls": 0})
        monkeypatch.setenv("IONQ_API_URL", running.url)
        yield running


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory, sentences: Any) -> Path:
    """A CSV file of 24 sentences, 4 of which will be drawn for validation."""
    file = tmp_path_factory.mktemp("data") / "few.csv"
    rows = [f"{text},{label}\n" for text, label in zip(*sentences(24), strict=True)]
    file.write_text("text,label\n" + "".join(rows))
    return file


@pytest.fixture(scope="module")
def common(few: Path, tiny_encoder: Path) -> list[str]:
    return ["train", "--data", str(few), "--encoder", str(tiny_encoder), "--epochs", "1"]


@pytest.fixture
def data(common: list[str], out: Path) -> list[str]:
    return [*common, "--out", str(out)]


@pytest.fixture
def train(data: list[str]) -> list[str]:
    """The words of a small training on two qubits."""
    return [*data, *SMALL]


@pytest.fixture(scope="module")
def trained(common: list[str], tmp_path_factory: pytest.TempPathFactory, cache_folder: Path) -> Path:
    """A run of the exact simulator."""
    return finished([*common, *SMALL], tmp_path_factory, cache_folder)


@pytest.fixture(scope="module")
def classical(common: list[str], tmp_path_factory: pytest.TempPathFactory, cache_folder: Path) -> Path:
    """A run without a circuit."""
    return finished([*common, "--head", "logistic", "--compare", "none"], tmp_path_factory, cache_folder)


def finished(command: list[str], folders: pytest.TempPathFactory, cache: Path) -> Path:
    folder = folders.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYBRIDQIES_CACHE", str(cache))
        assert run([*command, "--out", str(folder)]) == 0
    return folder


def paid(folder: Path) -> tuple[int, int]:
    """Shots and jobs in the journal of a run."""
    records = Journal(folder).records().values()
    return sum(each.n_circuits * each.shots for each in records), len(records)


def accepted(server: IonQServer) -> dict[str, int]:
    """How often the service has accepted the job of each name."""
    return dict(server.service.submissions("hybridqies_key"))


def planned(command: list[str], capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    capfd.readouterr()
    assert run([*command, "--dry-run", "--json"]) == 0
    rows: list[dict[str, Any]] = json.loads(capfd.readouterr().out)
    return rows


def fail(server: IonQServer, monkeypatch: pytest.MonkeyPatch, nth: int) -> None:
    """Has the service accept the `nth` job, and give up on it."""
    submit = server.service.submit
    sent: list[str] = []

    def failing(body: dict[str, Any], fate: str) -> dict[str, Any]:
        sent.append(fate)
        return submit(body, "fail" if len(sent) == nth else fate)

    monkeypatch.setattr(server.service, "submit", failing)


class TestComparedHeads:
    def test_they_are_planned_capped_and_journalled_as_one_run(self, server, train, out, capfd):
        command = [*train, "--backend", IONQ, "--compare", "dressed,logistic"]
        main, dressed = planned(command, capfd)
        assert (main["head"], dressed["head"]) == ("two-module", "dressed")
        shots, jobs = main["total_shots"] + dressed["total_shots"], main["jobs"] + dressed["jobs"]
        assert run([*command, "--max-shots", str(shots - 1)]) == 2
        assert f"would pay for {shots} shots" in capfd.readouterr().err
        assert accepted(server) == {}
        assert not out.exists()
        assert run([*command, "--max-shots", str(shots), "--max-jobs", str(jobs)]) == 0
        assert main["total_shots"] < paid(out)[0] <= shots
        assert len(accepted(server)) == paid(out)[1] <= jobs
        assert [path.parent for path in out.rglob("jobs.jsonl")] == [out]

    def test_a_cap_holds_for_all_of_them_together(self, server, few, tiny_encoder, out):
        config = RunConfig(
            data=DataOptions(str(few)),
            encoder=str(tiny_encoder),
            n_qubits=2,
            settings={"encoders": 1, "reuploads": 1},
            compare=("dressed",),
            backend=IONQ,
            training=TrainingConfig(epochs=1),
        )
        prepared = prepare(config)
        main, _ = plan_training(prepared)
        most = main.total_shots + 1
        with pytest.raises(CapabilityError, match=f"expected at most {most} "):
            execute(prepared, out, limits=Limits(max_shots=most))
        assert (out / "result.json").is_file()
        assert not (out / "compare" / "dressed" / "result.json").exists()
        assert 0 < paid(out)[0] <= most

    def test_a_quantum_head_beside_a_classical_one_is_capped(self, server, data, out, capfd):
        command = [*data, "--head", "logistic", "--compare", "dressed", "--backend", IONQ]
        (plan,) = planned(command, capfd)
        assert run([*command, "--max-jobs", str(plan["jobs"] - 1)]) == 2
        assert f"would pay for {plan['jobs']} jobs" in capfd.readouterr().err
        assert accepted(server) == {}


class TestKept:
    def test_a_failed_job_strands_nothing(self, server, train, out, capfd, monkeypatch):
        fail(server, monkeypatch, 2)
        command = [*train, "--backend", IONQ]
        assert run([*command, "--max-jobs", "99"]) == 2
        said = capfd.readouterr().err
        pattern = r"hybridqies (jobs resume [^;]+); then continue with: hybridqies (train .+)\n$"
        match = re.search(pattern, said)
        assert match is not None, said
        again, resume = map(shlex.split, match.groups())
        assert resume == ["train", "--resume", "--out", str(out), "--max-jobs", "99"]
        assert not (out / "metrics.jsonl").exists()
        assert run(command) == 2
        assert "is not empty" in capfd.readouterr().err
        assert run(again) == 0
        assert run(resume) == 0
        assert (out / "result.json").is_file()
        # The failed job alone has a second attempt.
        assert set(accepted(server).values()) == {1}
        assert len(accepted(server)) == paid(out)[1] + 1

    def test_a_run_that_is_replaced_leaves_its_journal(self, server, train, out, capfd):
        command = [*train, "--backend", IONQ]
        assert run(command) == 0
        assert run(["evaluate", str(out), "--split", "train"]) == 0
        before = accepted(server), paid(out)
        assert run([*command, "--overwrite"]) == 0
        assert run(["evaluate", str(out), "--split", "train"]) == 0
        assert (accepted(server), paid(out)) == before

    def test_after_an_interrupt_the_caps_are_told(self, server, train, out, capfd, monkeypatch):
        def interrupt(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("hybridqies.runs.execution.fit", interrupt)
        caps = ["--max-shots", "1000000", "--max-jobs", "50"]
        assert run([*train, "--backend", IONQ, *caps]) == 130
        hint = capfd.readouterr().err
        assert hint.endswith(f"continue with: hybridqies train --resume --out {out} {' '.join(caps)}\n")


class TestPaidBackendOfAFolder:
    """A run's folder names a backend, and does not decide alone what is paid for."""

    @pytest.fixture
    def begun(self, server, train, out, capfd, monkeypatch):
        """The command that goes on with a run that was stopped before anything was paid for."""

        def interrupt(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("hybridqies.backends.ionq.IonQ.may_cost", classmethod(lambda *_: True))
        with monkeypatch.context() as patch:
            patch.setattr("hybridqies.runs.execution.fit", interrupt)
            assert run([*train, "--backend", IONQ]) == 130
        hint = capfd.readouterr().err
        return shlex.split(hint.partition("continue with: hybridqies ")[2])

    def test_going_on_names_it(self, begun, out):
        assert begun == ["train", "--resume", "--out", str(out), "--backend", IONQ]

    def test_it_takes_the_callers_word(self, begun, server, out, capfd, tmp_path):
        rates = tmp_path / "rates.toml"
        rates.write_text('["ionq:*"]\nper_job = 0.3\n')
        resume = begun[:4]
        for more, price in (([], "no price is configured"), (["--rates", str(rates)], "0.3 USD per job")):
            assert run([*resume, *more]) == 2
            said = capfd.readouterr().err
            assert f"this run was saved with backend {IONQ!r}, which may cost money ({price}" in said
            assert said.count("\n") == 1
        assert run([*resume, "--backend", "statevector"]) == 2
        assert f"was given for a run that was started on {IONQ!r}" in capfd.readouterr().err
        assert accepted(server) == {}

    def test_it_has_a_cap_by_default(self, begun, server, out, capfd, monkeypatch):
        monkeypatch.setattr("hybridqies.backends.consent.RECORDED_LIMITS", Limits(max_jobs=0))
        assert run(begun) == 2
        assert "would pay for 1 jobs; expected at most 0" in capfd.readouterr().err
        assert accepted(server) == {}
        assert run([*begun, "--max-jobs", "99"]) == 0
        assert (out / "result.json").is_file()

    def test_a_dry_run_names_the_price_of_a_models_backend(self, begun, server, out, capfd, tmp_path):
        assert run(begun) == 0
        before = accepted(server)
        rates = tmp_path / "rates.toml"
        rates.write_text('["ionq:*"]\nper_job = 0.3\n')
        for command in (["predict", str(out), "a warm film"], ["evaluate", str(out)]):
            assert run([*command, "--dry-run", "--rates", str(rates)]) == 2
            said = capfd.readouterr().err
            assert (
                f"this model was saved with backend {IONQ!r}, which may cost money (0.3 USD per job)" in said
            )
        assert accepted(server) == before


class TestPredict:
    def test_it_is_planned_capped_and_journalled(self, server, trained, tmp_path, capfd):
        command = ["predict", str(trained), "a warm film", "a dull film", "--backend", IONQ]
        (plan,) = planned(command, capfd)
        assert (plan["head"], plan["circuit"]) == ("two-module", "long-range-reupload")
        assert (plan["circuits"], plan["total_shots"], plan["jobs"]) == (2, 40, 1)
        assert run([*command, "--max-shots", "39"]) == 2
        assert "would pay for 40 shots; expected at most 39" in capfd.readouterr().err
        assert accepted(server) == {}
        journal = tmp_path / "elsewhere.jsonl"
        for _ in range(2):
            assert run([*command, "--max-shots", "40", "--max-jobs", "1", "--journal", str(journal)]) == 0
        first, again = capfd.readouterr().out.split("text,label,")[1:]
        assert first == again
        assert paid(journal) == (40, 1)
        assert list(accepted(server).values()) == [1]
        assert not (trained / "jobs.jsonl").exists()

    def test_a_model_of_a_remote_backend_is_capped_too(self, server, train, out, capfd):
        assert run([*train, "--backend", IONQ]) == 0
        before = accepted(server)
        assert run(["predict", str(out), "a warm film", "--max-jobs", "0"]) == 2
        assert "would pay for 1 jobs; expected at most 0" in capfd.readouterr().err
        assert accepted(server) == before


class TestDryRun:
    @pytest.mark.parametrize("command", [["evaluate"], ["predict"]], ids=lambda each: each[0])
    def test_a_cap_that_is_too_low_is_told_after_the_plan(self, server, trained, capfd, command):
        texts = ["a warm film"] if command == ["predict"] else []
        given = [*command, str(trained), *texts, "--backend", IONQ, "--dry-run", "--json"]
        assert run([*given, "--max-shots", "19"]) == 2
        out, err = capfd.readouterr()
        (plan,) = json.loads(out)
        assert f"would pay for {plan['total_shots']} shots; expected at most 19" in err
        assert server.service.requests == {}

    def test_of_a_training(self, server, train, out, capfd):
        assert run([*train, "--backend", IONQ, "--dry-run", "--max-jobs", "1"]) == 2
        said, err = capfd.readouterr()
        assert "nothing was sent" in said
        assert "two-module:" in said
        assert "expected at most 1 (max_jobs)" in err
        assert not out.exists()

    def test_what_it_cannot_heed_is_refused(self, server, trained, capfd):
        given = ["evaluate", str(trained), "--backend", IONQ]
        assert run([*given, "--dry-run", "--journal", "jobs.jsonl"]) == 2
        assert "--journal was given together with --dry-run" in capfd.readouterr().err
        assert run([*given, "--max-jobs", "-1"]) == 2
        assert "max_jobs was given -1; expected 0 or more" in capfd.readouterr().err

    def test_of_sampling_in_this_process(self, trained, train, capfd):
        evaluate = ["evaluate", str(trained), "--split", "validation", "--backend"]
        (plan,) = planned([*evaluate, "statevector,shots=50"], capfd)
        assert (plan["shots"], plan["jobs"]) == (50, 1)
        assert plan["total_shots"] == 50 * plan["circuits"]
        (adjoint,) = planned([*train, "--backend", "statevector,shots=50"], capfd)
        (shift,) = planned([*train, "--backend", "statevector,shots=50,gradient=shift"], capfd)
        # An exact slope takes no circuit; each text does, and those of validation once more at the end.
        assert adjoint["circuits"] == 24 + 4
        assert shift["circuits"] > adjoint["circuits"]


class TestWhatIsNotPaid:
    @pytest.mark.parametrize("command", [["evaluate"], ["predict", "a film"]], ids=lambda each: each[0])
    @pytest.mark.parametrize(
        ("flags", "given"),
        [
            (["--backend", "statevector"], "--backend 'statevector' was given"),
            (["--max-shots", "5"], "max_shots was given"),
            (["--journal", "jobs.jsonl"], "journal was given"),
            (["--dry-run"], "a dry run was asked for"),
        ],
        ids=lambda each: " ".join(each) if isinstance(each, list) else "",
    )
    def test_a_head_without_circuit(self, classical, capfd, command, flags, given):
        assert run([command[0], str(classical), *command[1:], *flags]) == 2
        assert f"{given}, and head 'logistic' runs no circuit" in capfd.readouterr().err

    @pytest.mark.parametrize(
        ("flags", "given"),
        [
            (["--backend", IONQ], f"--backend {IONQ!r} was given"),
            (["--max-jobs", "5"], "max_jobs was given"),
            (["--dry-run"], "a dry run was asked for"),
        ],
        ids=lambda each: each[0] if isinstance(each, list) else "",
    )
    def test_a_training_without_circuit(self, data, out, capfd, flags, given):
        assert run([*data, "--head", "logistic", "--compare", "mlp", *flags]) == 2
        assert f"{given}, and head 'logistic' runs no circuit" in capfd.readouterr().err
        assert not out.exists()

    @pytest.mark.parametrize("backend", ["statevector", "statevector,shots=50", "ibm:fake_manila"])
    def test_caps_on_what_runs_here(self, trained, train, capfd, backend):
        if backend.startswith("ibm"):
            pytest.importorskip("qiskit_ibm_runtime")
        label = backend.partition(",")[0]
        said = f"max_shots was given with backend '{label}', which costs nothing"
        predict = ["predict", str(trained), "a film"]
        for command in (["evaluate", str(trained)], predict, [*predict, "--dry-run"], train):
            assert run([*command, "--backend", backend, "--max-shots", "5"]) == 2
            assert said in capfd.readouterr().err

    def test_an_empty_backend_is_not_the_recorded_one(self, trained, capfd):
        assert run(["evaluate", str(trained), "--backend", ""]) == 2
        assert "--backend was given an empty value" in capfd.readouterr().err
