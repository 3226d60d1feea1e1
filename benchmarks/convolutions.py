"""A four-layer CNN on small images: what factorising its kernels costs, and what training restores.

    python benchmarks/convolutions.py cifar10_subset.npz    # the tables in docs/concepts/convolutions.md
    python benchmarks/convolutions.py cifar10_subset.npz --epochs 1 --recovery 1

The file holds x_train and x_test, (N, 32, 32, 3) bytes, and their labels y_train and y_test.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hybridqies.convolutions import METHODS, KernelShape, compress_convolutions, find_method
from hybridqies.training import CrossEntropy, Labelled, SelectOn, TrainingConfig, fit

CHANNELS = (3, 32, 64, 128, 128)
LAYERS = tuple(f"conv{at}" for at in range(4))
TOGETHER = ("tucker", "cp", "mps", "oh|iw")
TOGETHER_KEEP = 0.187


class Network(nn.Sequential):
    """Four blocks of convolution, normalisation and ReLU, pooled, and a linear layer: 242,474 parameters."""

    def __init__(self, n_classes: int = 10) -> None:
        super().__init__()
        for at, (into, out) in enumerate(itertools.pairwise(CHANNELS)):
            self.add_module(f"conv{at}", nn.Conv2d(into, out, 3, padding=1, bias=False))
            self.add_module(f"norm{at}", nn.BatchNorm2d(out))
            self.add_module(f"relu{at}", nn.ReLU())
            if at < 3:
                self.add_module(f"pool{at}", nn.MaxPool2d(2))
        self.add_module("mean", nn.AdaptiveAvgPool2d(1))
        self.add_module("flat", nn.Flatten())
        self.add_module("linear", nn.Linear(CHANNELS[-1], n_classes))


def main() -> None:
    arguments = read_arguments()
    torch.set_num_threads(1)
    training, test = load(arguments.data)
    model, seconds = train_network(training, arguments.epochs, arguments.seed)
    count = sum(each.numel() for each in model.parameters())
    score = accuracy(model, test)
    print(f"{count:,} parameters, {arguments.epochs} epochs: {score:.1f} %, {seconds:.0f} CPU s")
    print(f"\none layer at {arguments.keep:.0%} of its kernel, without training: accuracy (energy kept)\n")
    print("| method |", " | ".join(LAYERS), "|")
    print("|---" * 5 + "|")
    for method in METHODS:
        print(f"| {shown(method)} |", " | ".join(cells(model, method, arguments.keep, test)), "|", flush=True)
    print("\nlayers 1 to 3 together\n")
    print("| method | of their kernels | before | after | CPU s |")
    print("|---" * 5 + "|")
    for method in TOGETHER:
        print("|", " | ".join(recover(model, method, arguments, training, test)), "|", flush=True)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="the .npz file")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--recovery", type=int, default=3, help="epochs after the cut")
    parser.add_argument("--keep", type=float, default=0.1, help="share of one layer's kernel")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def load(path: Path) -> tuple[Labelled, Labelled]:
    """Training and test rows, each channel shifted and scaled as in training."""
    with np.load(path) as data:
        images = {
            part: torch.from_numpy(data[f"x_{part}"]).permute(0, 3, 1, 2) / 255 for part in ("train", "test")
        }
        labels = {part: torch.from_numpy(data[f"y_{part}"].astype(np.int64)) for part in ("train", "test")}
    mean = images["train"].mean(dim=(0, 2, 3), keepdim=True)
    deviation = images["train"].std(dim=(0, 2, 3), keepdim=True)
    scaled = {part: (each - mean) / deviation for part, each in images.items()}
    return Labelled(scaled["train"], labels["train"]), Labelled(scaled["test"], labels["test"])


def train_network(training: Labelled, epochs: int, seed: int) -> tuple[Network, float]:
    torch.manual_seed(seed)
    model = Network()
    started = time.process_time()
    train(model, training, TrainingConfig(epochs=epochs, seed=seed))
    return model, time.process_time() - started


def train(model: nn.Module, training: Labelled, config: TrainingConfig) -> None:
    """With flipped copies beside the images, and the last epoch kept."""
    both = Labelled(torch.cat([training.inputs, training.inputs.flip(-1)]), training.labels.repeat(2))
    config = replace(config, batch_size=64, select_on=SelectOn.LAST)
    fit(model, both, None, CrossEntropy.of(config, both), config)


def shown(method: str) -> str:
    """As Markdown has it inside a table."""
    return f"`{method}`".replace("|", "\\|")


def accuracy(model: nn.Module, test: Labelled) -> float:
    model.eval()
    with torch.no_grad():
        found: Tensor = torch.cat([model(images).argmax(dim=1) for images in test.inputs.split(250)])
    return 100 * float((found == test.labels).double().mean())


def cells(model: nn.Module, method: str, keep: float, test: Labelled) -> list[str]:
    """One cell for each layer that is cut alone; a * marks a smallest chain that is above the share."""
    texts = []
    for layer in LAYERS:
        cut = copy.deepcopy(model)
        least = smallest_share(model.get_submodule(layer), method)
        (report,) = compress_convolutions(cut, method, max(keep, least), [layer])
        mark = "*" if least > keep else ""
        texts.append(f"{accuracy(cut, test):.1f} % ({report.kept_energy:.2f}){mark}")
    return texts


def smallest_share(conv: nn.Module, method: str) -> float:
    """What the smallest chain has of the layer's kernel, rounded up."""
    shape, found = KernelShape(*conv.weight.shape), find_method(method)
    return math.ceil(1000 * found.count(shape, found.ranks_of_size(shape, 1)) / shape.size) / 1000


def recover(
    model: nn.Module, method: str, arguments: argparse.Namespace, training: Labelled, test: Labelled
) -> list[str]:
    cut = copy.deepcopy(model)
    reports = compress_convolutions(cut, method, TOGETHER_KEEP, LAYERS[1:])
    share = sum(each.parameters for each in reports) / sum(each.parameters_before for each in reports)
    before, started = accuracy(cut, test), time.process_time()
    config = TrainingConfig(epochs=arguments.recovery, learning_rate=0.001, seed=arguments.seed)
    train(cut, training, config)
    seconds, after = time.process_time() - started, accuracy(cut, test)
    return [shown(method), f"{share:.1%}", f"{before:.1f} %", f"{after:.1f} %", f"{seconds:.0f}"]


if __name__ == "__main__":
    main()
