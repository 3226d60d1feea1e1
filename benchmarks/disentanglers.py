"""One weight of a language model as circuits and an MPO: kept energy by bond and depth, beside its controls.

    python benchmarks/disentanglers.py MODEL    # the table in docs/concepts/disentanglers.md
    python benchmarks/disentanglers.py MODEL --layer model.layers.0.self_attn.k_proj --sweeps 10

MODEL is a folder of transformers or a GGUF file, which transformers reads with the package gguf.
The controls are depth 0 (the MPO alone), the plain SVD with as many parameters, and a Gaussian matrix.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from torch import Tensor

from hybridqies.tensornet import disentangle


def main() -> None:
    arguments = read_arguments()
    torch.set_num_threads(1)
    weight = load(arguments.model, arguments.layer).double()
    print(f"{arguments.layer}: {tuple(weight.shape)}, {arguments.sweeps} sweeps\n")
    draw = torch.Generator().manual_seed(0)
    gaussian = torch.randn(weight.shape, generator=draw, dtype=torch.float64)
    print("| matrix | χ | depth | gates | MPO | with angles | kept | leaked | SVD of that size | CPU s |")
    print("|---" * 10 + "|")
    cases = [("weight", weight, chi, depth) for chi in arguments.bonds for depth in arguments.depths]
    ends = (min(arguments.depths), max(arguments.depths))
    cases += [("Gaussian", gaussian, max(arguments.bonds), depth) for depth in ends]
    for name, matrix, chi, depth in cases:
        print("|", name, "|", " | ".join(row(matrix, chi, depth, arguments.sweeps)), "|", flush=True)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="a folder of transformers or a GGUF file")
    parser.add_argument("--layer", default="model.layers.10.self_attn.k_proj")
    parser.add_argument("--bonds", type=int, nargs="+", default=[1, 2, 10])
    parser.add_argument("--depths", type=int, nargs="+", default=[0, 1, 2, 4])
    parser.add_argument("--sweeps", type=int, default=40)
    return parser.parse_args()


def load(path: Path, layer: str) -> Tensor:
    from transformers import AutoModelForCausalLM

    where = (path.parent, path.name) if path.suffix == ".gguf" else (path, None)
    model = AutoModelForCausalLM.from_pretrained(where[0], gguf_file=where[1])
    weight: Tensor = model.get_submodule(layer).get_parameter("weight").detach()
    return weight


def row(matrix: Tensor, chi: int, depth: int, sweeps: int) -> list[str]:
    started = time.process_time()
    found = disentangle(matrix, chi, depth, sweeps)
    seconds = time.process_time() - started
    count = found.count_parameters()
    return [
        f"{chi}",
        f"{depth}",
        f"{found.n_gates}",
        f"{found.mpo.n_parameters:,}",
        f"{count:,.0f}",
        f"{found.kept_energy:.5f}",
        f"{found.leaked_energy:.5f}",
        f"{energy_of_svd(matrix, count):.5f}",
        f"{seconds:.0f}",
    ]


def energy_of_svd(matrix: Tensor, parameters: float) -> float:
    """What the SVD keeps with at most as many parameters; between ranks, linearly."""
    energies = torch.linalg.svdvals(matrix).square()
    rank = parameters / sum(matrix.shape)
    whole = int(rank)
    kept = energies[:whole].sum() + (rank - whole) * energies[whole]
    return float(kept / energies.sum())


if __name__ == "__main__":
    main()
