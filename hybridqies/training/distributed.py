"""Training in several processes at once: each takes its share of every batch, and gradients are averaged."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hybridqies.backends import QuantumLayer, RemoteBackend
from hybridqies.errors import InputError
from hybridqies.training.objectives import Solvable

_LETTING_GO = 0.1
"""Seconds for another thread to do what takes it microseconds."""


def choose_gpu(device: str) -> None:
    """Under torchrun, makes the GPU of this process's local rank the current one: before models are made.

    Raises
    ------
    InputError: a GPU by number, more processes on this machine than it has GPUs, or no LOCAL_RANK.
    """
    if torch.device(device).type != "cuda" or not _is_under_torchrun():
        return
    local = _local_rank()
    if torch.device(device).index is not None:
        raise InputError(
            f"device {device!r} was given to several processes",
            expected="cuda: each process takes its own GPU",
        )
    count = torch.cuda.device_count()
    if local >= count:
        raise InputError(
            f"process {local} of this machine has no GPU of its own: there are {count}",
            expected="at most one process a GPU",
            todo="use a smaller --nproc-per-node",
        )
    torch.cuda.set_device(local)


def _local_rank() -> int:
    given = os.environ.get("LOCAL_RANK", "")
    if not given.isdecimal():
        raise InputError(
            f"RANK is set, and LOCAL_RANK is {given!r}" if given else "RANK is set, and LOCAL_RANK is not",
            expected="the number of each process on its machine, which decides its GPU",
            todo="start them with torchrun",
        )
    return int(given)


def _is_under_torchrun() -> bool:
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


@contextlib.contextmanager
def join_processes(device: str = "cpu") -> Iterator[None]:
    """Joins the processes that `torchrun` started; alone it does nothing.

    On "cuda" they communicate through NCCL, each with the GPU of its local rank as its current device; on
    "cpu" through Gloo.

    Raises
    ------
    InputError: as `choose_gpu`; or, on leaving, where another process ended before this one.
    """
    if not _is_under_torchrun():
        yield
        return
    from torch import distributed

    choose_gpu(device)
    on_gpus = torch.device(device).type == "cuda"
    distributed.init_process_group("nccl" if on_gpus else "gloo")
    try:
        yield
    except RuntimeError as error:
        # Gloo and NCCL name themselves when the other end of a connection is gone.
        if not any(name in str(error) for name in ("gloo", "Gloo", "NCCL")):
            raise
        # Gloo's thread takes the interpreter's lock to drop the work that failed. Were the model freed first,
        # which waits for that thread with the lock held, neither would ever go on.
        time.sleep(_LETTING_GO)
        raise InputError(
            f"process {os.environ['RANK']} lost another process of the training",
            expected="all of them to the end",
            todo="see what the other one said",
        ) from error
    finally:
        distributed.destroy_process_group()


@dataclass(frozen=True, slots=True)
class Ranks:
    """One process of the `size` that train together; `rank` 0 alone writes and reports."""

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> Ranks:
        """The default process group of torch, or one process where there is none."""
        from torch import distributed

        if not (distributed.is_available() and distributed.is_initialized()):
            return cls()
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def is_first(self) -> bool:
        """Whether it is this process that writes."""
        return self.rank == 0

    def check(self, model: nn.Module) -> None:
        """Refuses what can't be trained by several processes.

        Raises
        ------
        InputError: naming what it is.
        """
        if self.size == 1:
            return
        told = f"{self.size} processes were to train together"
        if isinstance(model, Solvable):
            raise InputError(f"{told} a model with a solver of its own", todo="run it in one process")
        for part in model.modules():
            if isinstance(part, QuantumLayer) and isinstance(part.backend, RemoteBackend):
                raise InputError(
                    f"{told} on backend {part.backend.label!r}, whose jobs one process has to hand in",
                    todo="run it in one process",
                )

    def wrap(self, model: nn.Module, sample: Callable[[], Tensor]) -> nn.Module:
        """The model as it is called in training: its backward pass averages gradients over processes.

        `sample` computes a loss, which tells whether the model has parameters that it does not depend on.
        """
        if self.size == 1:
            return model
        return nn.parallel.DistributedDataParallel(model, find_unused_parameters=_has_unused(model, sample))

    def share(self, rows: Tensor) -> Tensor:
        """The part of a batch that is this process's; empty where there are fewer rows than processes."""
        return rows.tensor_split(self.size)[self.rank]

    def total(self, value: float, device: torch.device) -> float:
        """The sum of a number over processes."""
        return self._agree([value], device)[0] if self.size > 1 else value

    def of_first(self, values: tuple[float, float], device: torch.device) -> tuple[float, float]:
        """The numbers that the first process has, so that no decision differs between processes."""
        if self.size == 1:
            return values
        mine = values if self.is_first else (0.0, 0.0)
        first, second = self._agree(list(mine), device)
        return first, second

    def check_same(self, flag: bool, what: str, device: torch.device) -> None:
        """Refuses a condition that holds in some processes only.

        Raises
        ------
        InputError: it does; `what` says what it is.
        """
        count = self.total(float(flag), device)
        if count not in (0.0, float(self.size)):
            raise InputError(
                f"{int(count)} of {self.size} processes {what}",
                expected="all or none",
                todo="use a folder that every process can reach",
            )

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            from torch import distributed

            distributed.barrier()

    def _agree(self, values: list[float], device: torch.device) -> list[float]:
        from torch import distributed

        summed = torch.tensor(values, dtype=torch.float64, device=device)
        distributed.all_reduce(summed)
        result: list[float] = summed.tolist()
        return result


def unsynchronised(called: nn.Module, last: bool) -> AbstractContextManager[object]:
    """Keeps gradients to this process until the `last` part of a step."""
    if isinstance(called, nn.parallel.DistributedDataParallel) and not last:
        return called.no_sync()
    return nullcontext()


def _has_unused(model: nn.Module, sample: Callable[[], Tensor]) -> bool:
    """Whether some trained parameters have no part in a loss, such as the pooler of a text encoder."""
    was_training = model.training
    model.eval()
    trained = [each for each in model.parameters() if each.requires_grad]
    gradients = torch.autograd.grad(sample(), trained, allow_unused=True)
    model.train(was_training)
    return any(each is None for each in gradients)
