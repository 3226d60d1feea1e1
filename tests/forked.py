"""Forked processes: they may be killed like any other, and need not import everything again."""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

import torch

from hybridqies.errors import InputError
from hybridqies.training.distributed import join_processes

_HERE = "127.0.0.1"


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code, or minus the signal that killed it, and what it wrote."""

    code: int
    out: str
    err: str


def run_forked(act: Callable[[], int | None], folder: Path) -> Ended:
    """Calls `act` in a forked process, whose output goes to files in `folder`; it returns the exit code."""
    (ended,) = run_together([(act, folder)])
    return ended


def run_together(acts: Sequence[tuple[Callable[[], int | None], Path]]) -> list[Ended]:
    """Does the same for several at the same time, each with a folder of its own."""
    children: list[int] = []
    statuses: list[int] = []
    try:
        for act, folder in acts:
            child = os.fork()
            if child == 0:
                _act(act, folder)
            children.append(child)
        while children:
            statuses.append(os.waitpid(children[0], 0)[1])
            del children[0]
    except BaseException:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        raise
    return [_read(folder, status) for (_, folder), status in zip(acts, statuses, strict=True)]


def _read(folder: Path, status: int) -> Ended:
    out, err = ((folder / name).read_text(encoding="utf-8") for name in ("out", "err"))
    return Ended(os.waitstatus_to_exitcode(status), out, err)


def _act(act: Callable[[], int | None], folder: Path) -> NoReturn:
    code = 99
    try:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        for descriptor, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), descriptor)
        sys.stdout, sys.stderr = (os.fdopen(each, "w", encoding="utf-8") for each in (1, 2))
        # A shell that starts a test run in the background has children ignore the interrupt.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # What the parent has started in threads is missing here.
        torch.set_num_threads(1)
        code = act() or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run_two(act: Callable[[], object], folder: Path) -> list[Ended]:
    """Calls `act` in two forked processes that train together, in the environment that torchrun gives them.

    tests/runs/test_torchrun.py has torchrun itself start them, which takes three times as long.
    """
    with socket.create_server((_HERE, 0)) as probe:
        port = probe.getsockname()[1]
    about = {"MASTER_ADDR": _HERE, "MASTER_PORT": str(port), "WORLD_SIZE": "2", "GLOO_SOCKET_IFNAME": "lo"}

    def join(rank: int) -> int:
        os.environ.update(about, RANK=str(rank), LOCAL_RANK=str(rank))
        try:
            with join_processes():
                act()
        except InputError as error:
            print(error, file=sys.stderr)
            return 1
        return 0

    folders = [folder / str(rank) for rank in (0, 1)]
    for each in folders:
        each.mkdir()
    return run_together([(partial(join, rank), folders[rank]) for rank in (0, 1)])
