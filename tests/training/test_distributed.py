"""Two processes train as one does; what they can't train is refused by name."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from built_heads import built_head
from torch import Tensor
from train_in_processes import CASES, CONFIG, train

from hybridqies.backends import QuantumLayer, load_backend
from hybridqies.cli.app import run
from hybridqies.errors import InputError, ModelFolderError
from hybridqies.tensors import load_tensors
from hybridqies.training.checkpoint import CHECKPOINT, snapshot
from hybridqies.training.distributed import Ranks, choose_gpu
from hybridqies.training.history import read_history

TESTS = Path(__file__).parents[1]
HERE = "127.0.0.1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    """What two processes under torchrun wrote."""
    out = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"{HERE}:0", "--local-addr", HERE]
    command += [str(TESTS / "train_in_processes.py"), str(tiny_encoder), str(out)]
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


def saved(folder: Path, case: str, how: str, rank: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    return load_tensors(folder / f"{case}-{how}-{rank}.safetensors")


@pytest.mark.parametrize("case", CASES)
class TestTwoProcesses:
    def test_they_take_the_steps_of_one(self, case: str, folder: Path, tiny_encoder: Path) -> None:
        model, outcome = train(case, tiny_encoder, CONFIG)
        state, record = saved(folder, case, "whole", 0)
        torch.testing.assert_close(state, snapshot(model), atol=1e-9, rtol=1e-7)
        for ours, theirs in zip(record["history"], outcome.history, strict=True):
            for key in ours:
                assert ours[key] == pytest.approx(theirs[key], abs=1e-9), key

    def test_both_hold_the_same_bits(self, case: str, folder: Path) -> None:
        (first, one), (second, other) = (saved(folder, case, "whole", rank) for rank in (0, 1))
        assert all(torch.equal(first[name], second[name]) for name in first)
        assert one["history"] == other["history"]

    def test_a_resumed_training_ends_the_same(self, case: str, folder: Path) -> None:
        for rank in (0, 1):
            whole, resumed = (saved(folder, case, how, rank)[0] for how in ("whole", "resumed"))
            assert all(torch.equal(whole[name], resumed[name]) for name in whole)

    def test_the_first_one_alone_writes_and_reports(self, case: str, folder: Path) -> None:
        assert saved(folder, case, "whole", 0)[1]["seen"] == 3
        assert saved(folder, case, "whole", 1)[1]["seen"] == 0
        assert [record["epoch"] for record in read_history(folder / case / "whole")] == [1, 2, 3]

    def test_another_number_of_processes_is_another_training(
        self, case: str, folder: Path, tiny_encoder: Path
    ) -> None:
        assert (folder / case / "whole" / CHECKPOINT).is_file()
        with pytest.raises(ModelFolderError, match="other settings or data"):
            train(case, tiny_encoder, CONFIG, folder=folder / case / "whole", resume=True)


class TestChoosingAGpu:
    @pytest.fixture
    def current(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """GPUs that were made the current one, by local rank 1 of four processes on two GPUs."""
        found = list[int]()
        for name, value in {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        monkeypatch.setattr(torch.cuda, "set_device", found.append)
        return found

    def test_it_is_that_of_the_local_rank(self, current: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
        choose_gpu("cpu")
        assert current == []
        choose_gpu("cuda")
        assert current == [1]
        monkeypatch.delenv("RANK")
        choose_gpu("cuda:1")
        assert current == [1]

    def test_refusals(self, current: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(InputError, match="device 'cuda:0' was given to several processes"):
            choose_gpu("cuda:0")
        monkeypatch.setenv("LOCAL_RANK", "2")
        with pytest.raises(InputError, match="process 2 of this machine has no GPU of its own: there are 2;"):
            choose_gpu("cuda")
        assert current == []

    def test_a_run_chooses_before_it_makes_a_model(
        self, current: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        class ReachedError(Exception):
            pass

        def prepare(*_: object, **__: object) -> None:
            assert current == [1]
            raise ReachedError

        monkeypatch.setattr("hybridqies.runs.prepare", prepare)
        with pytest.raises(ReachedError):
            run(["train", "--device", "cuda", "--out", str(tmp_path / "run")])


def test_a_process_that_fails_leaves_no_other_waiting(tmp_path: Path) -> None:
    with socket.create_server((HERE, 0)) as probe:
        port = probe.getsockname()[1]
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    about = {"PYTHONPATH": path, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2"}
    about |= {"MASTER_ADDR": HERE, "MASTER_PORT": str(port)}
    command = [sys.executable, str(TESTS / "lose_a_process.py")]
    started = [
        subprocess.Popen(command, env=os.environ | about | {"RANK": rank}, stderr=subprocess.PIPE, text=True)
        for rank in ("0", "1")
    ]
    try:
        said = [each.communicate(timeout=200)[1] for each in started]
    finally:
        for each in started:
            each.kill()
    assert [each.returncode for each in started] == [1, 1]
    assert said[0].splitlines()[-1] == "the disk is full"
    assert said[1].splitlines()[-1].startswith("process 1 lost another process of the training; expected all")


class TestRefusal:
    def test_a_solver(self) -> None:
        Ranks(0, 1).check(built_head("logistic", 7, 3))
        with pytest.raises(InputError, match="2 processes were to train together a model with a solver"):
            Ranks(1, 2).check(built_head("logistic", 7, 3))

    def test_a_paid_backend(self) -> None:
        head = built_head("dressed", 7, 3, n_qubits=2)
        Ranks(1, 2).check(head)
        assert isinstance(head.circuit, QuantumLayer)
        head.circuit.backend = load_backend("ionq:simulator,shots=100")
        with pytest.raises(InputError, match="whose jobs one process has to hand in"):
            Ranks(1, 2).check(head)


@pytest.mark.parametrize(("rows", "shares"), [(7, (4, 3)), (2, (1, 1)), (1, (1, 0))])
def test_a_batch_is_shared_out_whole(rows: int, shares: tuple[int, int]) -> None:
    parts = [Ranks(rank, 2).share(torch.arange(rows)) for rank in (0, 1)]
    assert tuple(map(len, parts)) == shares
    assert torch.equal(torch.cat(parts), torch.arange(rows))
