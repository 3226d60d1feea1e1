"""Trials on a Ray cluster of several nodes: the numbers of a local run, with nodes and drivers lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from study.studies import plan_of

from hybridqies.cli.app import run
from hybridqies.errors import InputError, MissingExtraError
from hybridqies.runs.config import DataOptions
from hybridqies.study.conduct import run_study
from hybridqies.study.context import Source, TrialContext
from hybridqies.study.kinds.sweep import SWEEP, SweepPlan, sweep_trials
from hybridqies.study.places import cluster
from hybridqies.study.places.cluster import Cluster, run_on_node
from hybridqies.study.places.in_process import InProcess
from hybridqies.study.plan_file import plan_to_toml
from hybridqies.study.trials.dispatch import Counts, run_trials
from hybridqies.study.trials.journal import StudyState, TrialJournal
from hybridqies.study.trials.kind import trial_kind
from hybridqies.study.trials.outcome import TrialFailure
from hybridqies.study.trials.trial import Trial, TrialRecord

pytestmark = pytest.mark.usefixtures("own_cache")
needs_ray = pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray, of the extra `cluster`, is not installed"
)
# Ray takes 127.0.0.1 for any address of the machine, and then listens on all of them.
LOOPBACK = "127.0.0.2"


class Nodes:
    """A Ray cluster on this machine: a head without CPUs, and nodes of one or more that come and go."""

    def __init__(self, folder: Path) -> None:
        from ray._private.utils import get_ray_address_file
        from ray.cluster_utils import Cluster as LocalCluster

        # A lost node is noticed after five of them.
        checks = {"health_check_initial_delay_ms": 500, "health_check_period_ms": 500}
        self._room: dict[str, Any] = {"object_store_memory": 80 * 2**20, "node_ip_address": LOOPBACK}
        head = {
            "num_cpus": 0,
            "include_dashboard": False,
            "temp_dir": str(folder),
            "_system_config": checks,
            **self._room,
        }
        # Ray writes the address of a cluster there, and takes it that the folder is there.
        Path(get_ray_address_file(None)).parent.mkdir(parents=True, exist_ok=True)
        self._cluster = LocalCluster(initialize_head=True, head_node_args=head)
        self.address: str = self._cluster.address

    def add(self, cpus: int = 1, gpus: int = 0) -> Any:
        """Starts a node; its GPUs are numbers to Ray, and need not be there."""
        return self._cluster.add_node(num_cpus=cpus, num_gpus=gpus, **self._room)

    def lose(self, node: Any) -> None:
        """Kills every process of a node, as when its machine loses power."""
        self._cluster.remove_node(node, allow_graceful=False)

    def at_work(self, node: Any) -> list[int]:
        """The processes of a node that are at a trial."""
        (raylet,) = node.all_processes["raylet"]
        titles = Path("/proc").glob("[0-9]*/cmdline")
        return [int(path.parent.name) for path in titles if _is_at_work(path, str(raylet.process.pid))]

    def lose_all(self) -> None:
        """Leaves the head alone, once it has noticed."""
        for node in list(self._cluster.worker_nodes):
            self._cluster.remove_node(node)
        self._cluster.wait_for_nodes()

    def end(self) -> None:
        """Ends every process of the cluster; a driver that a test left behind leaves first."""
        import ray

        ray.shutdown()
        self._cluster.shutdown()


def _is_at_work(title: Path, parent: str) -> bool:
    try:
        own = title.read_text().startswith("ray::run_on_node")
        return own and (title.parent / "stat").read_text().rpartition(")")[2].split()[1] == parent
    except OSError:
        return False


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[Nodes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Paths of Unix sockets are short.
        folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
        nodes = Nodes(folder)
        try:
            yield nodes
        finally:
            nodes.end()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def nodes(ray_cluster: Nodes) -> Iterator[Nodes]:
    """The cluster with no node yet."""
    yield ray_cluster
    ray_cluster.lose_all()


@pytest.fixture
def data(reviews: Path) -> DataOptions:
    return DataOptions(str(reviews), per_class=20, validation_fraction=0.3)


@pytest.fixture
def plan(data: DataOptions, tiny_encoder: Path) -> SweepPlan:
    """Six trials, of which two fail."""
    options = {
        "two-module": {"encoders": 1, "encoder.layers": 1},
        "mlp-48": {"training.learning_rate": 100.0, "training.weight_decay": 100.0},
    }
    arms, seeds = ("two-module", "mlp-48", "logistic"), (0, 1)
    return plan_of(arms=arms, seeds=seeds, qubits=(2,), data=data, encoder=str(tiny_encoder), options=options)


@pytest.fixture
def trial(plan: SweepPlan) -> Trial:
    return sweep_trials(plan, TrialContext.load(plan.source))[0]


def run_locally(plan: SweepPlan, folder: Path) -> StudyState:
    context = TrialContext.load(plan.source)
    with TrialJournal(folder) as journal:
        run_trials(sweep_trials(plan, context), journal, InProcess(context))
    return TrialJournal(folder).state()


def same(one: StudyState, other: StudyState) -> bool:
    """Whether two studies have the same numbers and the same failures."""
    errors = [{key: each.error for key, each in state.failures.items()} for state in (one, other)]
    return (
        errors[0] == errors[1]
        and one.records.keys() == other.records.keys()
        and all(record.same_numbers(other.records[key]) for key, record in one.records.items())
    )


def recorded_twice(folder: Path) -> bool:
    events = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()[1:]]
    keys = [each["key"] for each in events if each["event"] in ("done", "failed")]
    return len(keys) != len(set(keys))


def wait_until(true: Callable[[], object]) -> None:
    while not true():
        time.sleep(0.05)


@needs_ray
def test_a_node_lost_on_the_way_changes_no_number(nodes: Nodes, plan: SweepPlan, tmp_path: Path) -> None:
    first, lost = nodes.add(), list[Counts]()
    nodes.add()

    def lose(counts: Counts) -> None:
        if not lost:
            wait_until(lambda: nodes.at_work(first))
            nodes.lose(first)
            lost.append(counts)

    result = run_study(SWEEP, plan, tmp_path / "ray", cluster=nodes.address, on_counts=lose)
    # The whole head on one node, two seeds of the perceptron on the other.
    assert lost[0].running == 3
    assert (result["done"], result["failed"]) == (4, 2)
    state = TrialJournal(tmp_path / "ray").state()
    assert same(state, run_locally(plan, tmp_path / "local"))
    assert set(state.claims.values()) == {1}
    assert not recorded_twice(tmp_path / "ray")


class TestRefusals:
    """One line each, before anything is embedded."""

    def test_ray_is_an_extra(self, data: DataOptions, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cluster, "find_spec", lambda _: None)
        with pytest.raises(MissingExtraError, match=r"pip install 'hybridqies\[cluster\]'"):
            Cluster("127.0.0.1:6379", Source(data, "none"))

    @needs_ray
    @pytest.mark.parametrize(
        ("address", "told"),
        [
            ("auto", "--cluster was given 'auto'; expected HOST:PORT"),
            ("ray://127.0.0.1:10001", "--cluster was given 'ray://127.0.0.1:10001'"),
            ("127.0.0.1:9", "nothing answers at 127.0.0.1:9: "),
            ("127.0.0.1:70000", "nothing answers at 127.0.0.1:70000: "),
        ],
    )
    def test_an_address_where_nothing_is(
        self, address: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "sweep"
        assert run(["sweep", "--encoder", "no-such-encoder", "--cluster", address, "--out", str(out)]) == 2
        complaint = capsys.readouterr().err
        assert told in complaint
        assert complaint.count("\n") == 1
        assert not out.exists()

    @needs_ray
    def test_something_else_that_listens(self, data: DataOptions, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cluster, "_JOIN_SECONDS", 1.0)
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = f"127.0.0.1:{server.getsockname()[1]}"
            with pytest.raises(InputError, match=f"no Ray cluster answered at {address} for 1 s"):
                Cluster(address, Source(data, "none"))

    def test_local_workers_beside_a_cluster(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        flags = ["sweep", "--cluster", "127.0.0.1:6379", "--workers", "2", "--out", str(tmp_path / "sweep")]
        assert run(flags) == 2
        assert "--workers was given with --cluster" in capsys.readouterr().err

    @needs_ray
    @pytest.mark.skipif(torch.cuda.is_available(), reason="the GPU is there")
    def test_groups_on_gpus_take_one_each(self, nodes: Nodes, plan: SweepPlan, trial: Trial) -> None:
        source = replace(plan.source, device="cuda")
        nodes.add(3)
        with pytest.raises(InputError, match="has no GPU"):
            Cluster(nodes.address, source)
        nodes.add(3, gpus=2)
        with Cluster(nodes.address, source) as executor:
            assert (executor.places, executor.free) == (2, 2)
            executor.submit([trial])
            assert executor.free == 1
            # Ray's GPUs are numbers, and the node finds none.
            with pytest.raises(InputError, match=r"cannot run this study: .*device 'cuda' is not there"):
                executor.collect()

    @needs_ray
    def test_a_cluster_without_a_cpu(self, nodes: Nodes, data: DataOptions) -> None:
        with pytest.raises(InputError, match="has no CPU"):
            Cluster(nodes.address, Source(data, "none"))


class TestOnANode:
    """What a node does with a trial, without a cluster."""

    @pytest.fixture
    def about(self, plan: SweepPlan, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        monkeypatch.chdir(Path.cwd())
        described: dict[str, Any] = json.loads(cluster.describe(plan.source))
        return described

    def outcome(self, about: dict[str, Any], trial: Trial) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(run_on_node(json.dumps(about), json.dumps([trial.to_mapping()])))
        return answer

    def test_paths_are_meant_from_where_the_study_was_started(
        self, about: dict[str, Any], trial: Trial, reviews: Path
    ) -> None:
        about["folder"], about["source"]["data"]["source"] = str(reviews.parent), reviews.name
        record = trial_kind("head").outcome(self.outcome(about, trial)["outcomes"][0])
        assert isinstance(record, TrialRecord)
        assert record.key == trial.key

    def test_what_a_node_lacks_is_told_and_is_no_outcome(
        self, about: dict[str, Any], trial: Trial, tmp_path: Path
    ) -> None:
        here = socket.gethostname()
        assert "this node has hybridqies" in self.outcome(about | {"version": "hybridqies 0"}, trial)["error"]
        data = about["source"]["data"] | {"source": str(tmp_path / "none.csv")}
        missing = about | {"source": about["source"] | {"data": data}}
        assert self.outcome(missing, trial)["error"].startswith(f"{here}: ")
        folder = about | {"folder": str(tmp_path / "none")}
        assert str(tmp_path / "none") in self.outcome(folder, trial)["error"]
        told = self.outcome(about, replace(trial, data_fingerprint="0" * 64))["error"]
        assert "the data is not what the study began with" in told


@needs_ray
@pytest.mark.slow
class TestOverAWholeStudy:
    def test_language_models_have_the_numbers_of_here(self, nodes: Nodes, tmp_path: Path) -> None:
        from hybridqies.study.decoders.trial import DecoderJournal
        from hybridqies.study.kinds.scale import SCALE, ScalePlan

        nodes.add()
        text = tmp_path / "text.txt"
        text.write_text(" ".join(str(at * at) for at in range(400)))
        plan = ScalePlan(
            arms=("tap",),
            sizes=("6k",),
            texts={"squares": {"train": str(text)}},
            n_tokens=(1024,),
            rates=(0.01,),
            context=16,
        )
        run_study(SCALE, plan, tmp_path / "ray", cluster=nodes.address)
        run_study(SCALE, plan, tmp_path / "local")
        found, here = (DecoderJournal(tmp_path / name).state().records for name in ("ray", "local"))
        assert len(here) == 3
        assert {key: each.test["loss"] for key, each in found.items()} == {
            key: each.test["loss"] for key, each in here.items()
        }

    def test_a_node_that_cannot_load_ends_the_study_in_one_line(
        self, nodes: Nodes, data: DataOptions, trial: Trial
    ) -> None:
        nodes.add()
        with Cluster(nodes.address, Source(data, "no-such-encoder")) as executor:
            executor.submit([trial])
            with pytest.raises(
                InputError, match=r"a node of the cluster cannot run this study: .*no-such-enc"
            ):
                executor.collect()

    def test_a_trial_whose_process_is_lost_every_time_has_failed(
        self, nodes: Nodes, plan: SweepPlan, trial: Trial, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cluster, "_RETRIES", 0)
        node = nodes.add()
        with Cluster(nodes.address, plan.source) as executor:
            executor.submit([trial])
            wait_until(lambda: nodes.at_work(node))
            (worker,) = nodes.at_work(node)
            os.kill(worker, signal.SIGKILL)
            (outcome,) = executor.collect()
            assert isinstance(outcome, TrialFailure)
            assert outcome.error.startswith("its process was lost in each of 1 tries: ")

    def test_the_only_node_goes_and_another_has_to_run_its_trial_again(
        self, nodes: Nodes, plan: SweepPlan, tmp_path: Path
    ) -> None:
        first, lost = nodes.add(), list[Counts]()

        def lose(counts: Counts) -> None:
            # A trial was handed in the moment before: it cannot be through.
            if counts.done == 2 and not lost:
                lost.append(counts)
                nodes.lose(first)
                nodes.add()

        run_study(SWEEP, plan, tmp_path / "ray", cluster=nodes.address, on_counts=lose)
        assert [counts.running for counts in lost] == [1]
        assert same(TrialJournal(tmp_path / "ray").state(), run_locally(plan, tmp_path / "local"))
        assert not recorded_twice(tmp_path / "ray")

    def test_drivers_killed_and_drivers_side_by_side(
        self, nodes: Nodes, plan: SweepPlan, tmp_path: Path
    ) -> None:
        """A kill -9 of the command and the loss of a node; then two commands finish the study together."""
        plan = replace(plan, seeds=tuple(range(4)))
        out = tmp_path / "ray"
        (tmp_path / "study.toml").write_text(plan_to_toml(plan))
        lost = nodes.add()
        nodes.add()
        main = [sys.executable, "-c", "from hybridqies.cli import main; main()", "sweep"]
        flags = ["--out", str(out), "--cluster", nodes.address, "--json"]
        with subprocess.Popen([*main, str(tmp_path / "study.toml"), *flags]) as driver:
            wait_until(lambda: len(TrialJournal(out).state().records) >= 2)
            driver.send_signal(signal.SIGKILL)
        begun = TrialJournal(out).state()
        assert len(begun.records) + len(begun.failures) < len(plan.seeds) * len(plan.arms)
        pair = [
            subprocess.Popen([*main, "--resume", *flags], stdout=subprocess.PIPE, text=True) for _ in range(2)
        ]
        before = len(begun.records)
        wait_until(lambda: len(TrialJournal(out).state().records) > before)
        nodes.lose(lost)
        results = [json.loads(driver.communicate(timeout=240)[0]) for driver in pair]
        assert [driver.returncode for driver in pair] == [0, 0]
        assert [(each["done"], each["failed"]) for each in results] == [(8, 4), (8, 4)]
        assert same(TrialJournal(out).state(), run_locally(plan, tmp_path / "local"))
        assert not recorded_twice(out)
