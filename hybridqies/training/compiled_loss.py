"""The loss of a training step, as Python runs it and compiled by `torch.compile`."""

from __future__ import annotations

import contextlib
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from hybridqies.backends import QuantumLayer
from hybridqies.errors import InputError
from hybridqies.training.config import Precision
from hybridqies.training.numerics import autocast
from hybridqies.training.objectives import Objective, Solvable
from hybridqies.training.rows import Batch

BACKEND = "inductor"
"""The compiler of torch that makes machine code."""
LossOf = Callable[[nn.Module, Batch], Tensor]

_NEEDS = {"cpu": "a C++ compiler such as g++", "cuda": "Triton and a C compiler"}


def check_compilable(model: nn.Module, n_processes: int) -> None:
    """Refuses what cannot be compiled.

    Raises
    ------
    InputError: a circuit, a solver of its own, or several processes.
    """
    faults = {
        "with a circuit, which no compiler of torch sees": any(
            isinstance(part, QuantumLayer) for part in model.modules()
        ),
        "with a solver of its own": isinstance(model, Solvable),
        f"in {n_processes} processes": n_processes > 1,
    }
    for fault, is_there in faults.items():
        if is_there:
            raise InputError(
                f"a compiled training was asked for {fault}",
                expected="a model of torch's own operations, in one process",
                todo="train without compiling",
            )


def make_loss(objective: Objective[Any], precision: Precision, device: torch.device) -> LossOf:
    """The loss of a model on a batch, computed in that precision."""

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        with autocast(precision, device):
            return objective.loss(model, batch)

    return loss


def compile_loss(objective: Objective[Any], precision: Precision, device: torch.device) -> LossOf:
    """The same, compiled where it is first called with a batch of some size.

    Autocast begins and ends inside: a compiled backward pass runs in the autocast that was on around the
    forward pass, and would round the gradients of gates to half precision.
    """
    loss = make_loss(objective, precision, device)
    assert isinstance(loss, types.FunctionType)
    # Torch counts compilations by code object, and runs a code as it is after eight of them.
    own = types.FunctionType(
        loss.__code__.replace(), loss.__globals__, loss.__name__, loss.__defaults__, loss.__closure__
    )
    compiled: LossOf = torch.compile(own, dynamic=False, backend=BACKEND)
    return compiled


@contextlib.contextmanager
def compiling(device: torch.device) -> Iterator[None]:
    """Turns what a compiler raises in here into one line.

    Raises
    ------
    InputError: there is no compiler, or it failed.
    """
    from torch._dynamo.exc import TorchDynamoException

    try:
        with warnings.catch_warnings():
            # Rotary positions and gates are complex, and computed by torch's own kernels.
            warnings.filterwarnings("ignore", "Torchinductor does not support code generation for complex")
            yield
    except TorchDynamoException as error:
        said = str(getattr(error, "inner_exception", error)).strip().splitlines()
        raise InputError(
            f"the training step could not be compiled ({said[0][:200] if said else type(error).__name__})",
            expected=_NEEDS.get(device.type, "a compiler for this device"),
            todo="install it, or train without compiling",
        ) from error
