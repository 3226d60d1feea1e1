"""Worker processes: the numbers of this process, and what becomes of trials whose worker is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from study.studies import plan_of

from hybridqies.errors import InputError
from hybridqies.runs.config import DataOptions
from hybridqies.study.context import Source, TrialContext
from hybridqies.study.kinds.sweep import SweepPlan, sweep_trials
from hybridqies.study.layout import Cohorts
from hybridqies.study.places import processes
from hybridqies.study.places.in_process import InProcess
from hybridqies.study.places.processes import Processes
from hybridqies.study.protocol import run_cohort
from hybridqies.study.trials.dispatch import run_trials
from hybridqies.study.trials.journal import TrialJournal
from hybridqies.study.trials.trial import Outcome, TrialRecord


class TestGpus:
    """One worker a GPU, with processes that are not started."""

    @pytest.fixture
    def seen(self, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
        found = list[dict[str, str]]()

        class Worker:
            def __init__(self, *_: object, environment: dict[str, str], **__: object) -> None:
                found.append(environment)

            def wait_until_ready(self) -> None:
                pass

            end = wait_until_ready

        monkeypatch.setattr(processes, "_Worker", Worker)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        return found

    @pytest.mark.parametrize(("given", "names"), [("", "01"), ("3,5", "35"), ("a, b", "ab")])
    def test_each_worker_sees_one(
        self, seen: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch, given: str, names: str
    ) -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
        Processes(Source(DataOptions(), "x", device="cuda"), 2, 0).close()
        assert [each["CUDA_VISIBLE_DEVICES"] for each in seen] == list(names)

    def test_workers_on_the_cpu_see_what_this_process_sees(self, seen: list[dict[str, str]]) -> None:
        Processes(Source(DataOptions(), "x"), 3, 0).close()
        assert seen == [{}, {}, {}]

    def test_refusals(self, seen: list[dict[str, str]]) -> None:
        with pytest.raises(InputError, match="3 workers were asked for on 2 GPUs; expected at most one work"):
            Processes(Source(DataOptions(), "x", device="cuda"), 3, 0)
        with pytest.raises(InputError, match="device 'cuda:1' was given for several workers"):
            Processes(Source(DataOptions(), "x", device="cuda:1"), 2, 0)
        assert seen == []

    def test_a_worker_process_refuses_a_gpu_that_is_not_there(self) -> None:
        source = Source(DataOptions(), "x", device="cuda")
        about = {"kind": source.kind, "source": source.to_mapping(), "seed": 0, "tells": False}
        with subprocess.Popen(
            [sys.executable, "-m", "hybridqies.study.places.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
            text=True,
        ) as worker:
            assert worker.stdin is not None
            assert worker.stdout is not None
            print(json.dumps(about), file=worker.stdin, flush=True)
            assert "device 'cuda' is not there" in json.loads(worker.stdout.readline())["error"]


class TestWorkers:
    @pytest.fixture
    def plan(self, reviews: Path, tiny_encoder: Path, own_cache: Path) -> SweepPlan:
        data = DataOptions(str(reviews), per_class=20)
        arms = ("dressed", "logistic")
        return plan_of(arms=arms, options={}, data=data, encoder=str(tiny_encoder), qubits=(2,))

    def test_the_same_numbers_as_here_and_a_killed_worker_s_trial_fails(
        self, plan: SweepPlan, tmp_path: Path
    ) -> None:
        context = TrialContext.load(plan.source)
        planned = sweep_trials(plan, context)
        with TrialJournal(tmp_path / "here") as journal:
            run_trials(planned, journal, InProcess(context))
            here = dict(journal.state().records)
        with Processes(plan.source, 1, 0) as workers, TrialJournal(tmp_path / "there") as journal:
            victim = workers._workers[0].process.pid
            os.kill(victim, signal.SIGKILL)
            run_trials(planned, journal, workers)
            state = journal.state()
        (failure,) = state.failures.values()
        assert failure.error == "the worker process ended with signal 9"
        assert len(state.records) == len(planned) - 1
        for key, record in state.records.items():
            assert record.same_numbers(here[key])

    def test_a_group_whose_worker_is_killed_runs_again_trial_by_trial(
        self, plan: SweepPlan, tmp_path: Path
    ) -> None:
        plan = replace(plan, arms=("dressed", "logistic"), seeds=(0, 1, 2), qubits=(2,))
        context = TrialContext.load(plan.source)
        group = [trial for trial in sweep_trials(plan, context) if trial.arm == "dressed"]
        assert len({Cohorts(context)(trial) for trial in group}) == 1
        with Processes(plan.source, 1, 0) as workers:
            os.kill(workers._workers[0].process.pid, signal.SIGKILL)
            workers.submit(group)
            outcomes, running = list[Outcome](), list[int]()
            while workers.running:
                running.append(workers.running)
                assert not workers.free
                outcomes += workers.collect()
            assert (running, workers.free) == ([3, 2, 1], 1)
        together = {record.key: record for record in run_cohort(group, context)}
        assert len(outcomes) == 3
        for outcome in outcomes:
            assert isinstance(outcome, TrialRecord)
            alone = together[outcome.key]
            assert isinstance(alone, TrialRecord)
            assert outcome.same_numbers(alone)

    def test_workers_end_with_their_parent(self, plan: SweepPlan) -> None:
        code = (
            "import os, sys\n"
            "from hybridqies.study.context import Source\n"
            "from hybridqies.tasks import DataOptions\n"
            "from hybridqies.study.places.processes import Processes\n"
            "workers = Processes(Source(DataOptions(sys.argv[1], per_class=20), sys.argv[2]), 1, 0)\n"
            "print(workers._workers[0].process.pid, flush=True)\n"
            "os.kill(os.getpid(), 9)\n"
        )
        command = [sys.executable, "-c", code, plan.data.source, plan.encoder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        worker = int(done.stdout)
        # Until pytest's timeout, if it never ends.
        while Path(f"/proc/{worker}").exists() and not _is_zombie(worker):
            time.sleep(0.05)

    def test_a_worker_that_is_killed_while_it_starts_is_replaced(
        self, plan: SweepPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        started = kill_the_first(monkeypatch, processes._STARTS - 1)
        context = TrialContext.load(plan.source)
        with Processes(plan.source, 1, 0) as workers, TrialJournal(tmp_path) as journal:
            run_trials(sweep_trials(plan, context), journal, workers)
            assert journal.state().failures == {}
        assert len(started) == processes._STARTS

    def test_one_that_is_killed_again_and_again_is_given_up(
        self, plan: SweepPlan, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        started = kill_the_first(monkeypatch, 99)
        with pytest.raises(InputError, match=r"3 worker processes in a row could not start: .* signal 9"):
            Processes(plan.source, 1, 0)
        assert len(started) == processes._STARTS

    def test_a_worker_that_cannot_start_says_why(self, tiny_encoder: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"could not start: no file or folder .*none\.csv"):
            Processes(Source(DataOptions(str(tmp_path / "none.csv")), str(tiny_encoder)), 1, 0)
        with pytest.raises(InputError, match="0 workers"):
            Processes(Source(DataOptions(), "x"), 0, 0)


def kill_the_first(monkeypatch: pytest.MonkeyPatch, count: int) -> list[int]:
    """Kills so many worker processes as soon as they are started; returns the numbers of all that are."""
    started, start = list[int](), processes._Worker._start

    def start_and_kill(worker: processes._Worker) -> None:
        start(worker)
        started.append(worker.process.pid)
        if len(started) <= count:
            worker.process.kill()

    monkeypatch.setattr(processes._Worker, "_start", start_and_kill)
    return started


def _is_zombie(process: int) -> bool:
    return ") Z " in Path(f"/proc/{process}/stat").read_text()
