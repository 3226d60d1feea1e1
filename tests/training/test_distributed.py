"""Two processes train as one does; what they can't train is refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from built_heads import built_head
from forked import run_two
from torch import Tensor
from train_in_processes import CASES, CONFIG, train, train_all

from hybridqies.backends import QuantumLayer, load_backend
from hybridqies.cli.app import run
from hybridqies.errors import InputError, ModelFolderError
from hybridqies.tensors import load_tensors
from hybridqies.training.checkpoint import CHECKPOINT, snapshot
from hybridqies.training.distributed import Ranks, choose_gpu, join_processes
from hybridqies.training.history import read_history

# Weights and history of each case.
Alone = dict[str, tuple[dict[str, Tensor], Sequence[dict[str, Any]]]]


@pytest.fixture(scope="module")
def alone(tiny_encoder: Path) -> Alone:
    """The weights and the history of each case, trained in this process."""
    found: Alone = {}
    for case in CASES:
        model, outcome = train(case, tiny_encoder, CONFIG)
        found[case] = snapshot(model), outcome.history
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path, alone: Alone) -> Path:
    """What two processes wrote, forked after `alone` has imported and compiled what they need."""
    out = tmp_path_factory.mktemp("two")
    for ended in run_two(lambda: train_all(tiny_encoder, out, Ranks.current().rank), out):
        assert ended.code == 0, ended.err[-3000:]
    return out


def saved(folder: Path, case: str, how: str, rank: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    return load_tensors(folder / f"{case}-{how}-{rank}.safetensors")


@pytest.mark.parametrize("case", CASES)
class TestTwoProcesses:
    def test_they_take_the_steps_of_one(self, case: str, folder: Path, alone: Alone) -> None:
        weights, history = alone[case]
        state, record = saved(folder, case, "whole", 0)
        torch.testing.assert_close(state, weights, atol=1e-9, rtol=1e-7)
        for ours, theirs in zip(record["history"], history, strict=True):
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

    def test_processes_join_on_their_gpus(self, current: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
        told = list[str]()

        def join(name: str) -> None:
            # NCCL takes the GPU that is current when a process joins.
            told.append(f"{name} on {current}")

        monkeypatch.setattr(torch.distributed, "init_process_group", join)
        monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: told.append("left"))
        with join_processes("cuda"):
            assert told == ["nccl on [1]"]
        assert told[1:] == ["left"]
        with join_processes("cpu"):
            assert told[2:] == ["gloo on [1]"]

    def test_a_process_without_a_gpu_joins_none(
        self, current: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torch.distributed, "init_process_group", lambda name: current.append(-1))
        monkeypatch.setenv("LOCAL_RANK", "2")
        refused = pytest.raises(InputError, match="at most one process a GPU; use a smaller --nproc-per-node")
        with refused, join_processes("cuda"):
            pass
        assert current == []

    @pytest.mark.parametrize("given", [None, "first", "-1"])
    def test_a_process_that_does_not_know_its_place(
        self, current: list[int], monkeypatch: pytest.MonkeyPatch, given: str | None
    ) -> None:
        # All processes would take the first GPU.
        if given is None:
            monkeypatch.delenv("LOCAL_RANK")
        else:
            monkeypatch.setenv("LOCAL_RANK", given)
        with pytest.raises(InputError, match=r"LOCAL_RANK .*; start them with torchrun"):
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
    def fail(_: dict[str, Any]) -> None:
        raise InputError("the disk is full")

    # Only the first process reports, and so fails after an epoch, while the second goes on.
    first, second = run_two(lambda: train("language", tmp_path, CONFIG, on_epoch=fail), tmp_path)
    assert (first.code, second.code) == (1, 1)
    assert first.err.splitlines()[-1] == "the disk is full"
    assert second.err.splitlines()[-1].startswith(
        "process 1 lost another process of the training; expected all"
    )


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
