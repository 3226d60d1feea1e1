"""A program that a test starts twice: each process trains adapters on its half of a batch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from adapter_rows import METHODS, ROWS, Case
from torch import Tensor, distributed
from torch.nn.functional import mse_loss
from torch.nn.parallel import DistributedDataParallel

from hybridqies.tensors import save_tensors


def train(method: str, rank: int = 0, processes: int = 1) -> dict[str, Tensor]:
    """The adapter's tensors after three steps on this process's share of the rows."""
    case = Case(method, ROWS["perceptron"])
    torch.manual_seed(0)
    model = case.adapted()
    trained = DistributedDataParallel(model) if processes > 1 else model
    inputs = case.row.inputs()[:4].chunk(processes)[rank]
    targets = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3).chunk(processes)[rank]
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        mse_loss(trained(inputs), targets).backward()
        optimizer.step()
    named: Any = model.named_parameters()
    return {name: each.detach() for name, each in named if each.requires_grad}


def main(rank: int, folder: Path) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'meet'}", rank=rank, world_size=2)
    for method in METHODS:
        save_tensors(folder / f"{method}-{rank}.safetensors", train(method, rank, 2), {})
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
