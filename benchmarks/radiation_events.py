"""How few counts of Cs-137 each detector finds, with attention beside likelihood ratios and the oracle.

    python benchmarks/radiation_events.py                           # the table in docs/concepts/events.md
    python benchmarks/radiation_events.py --tau 120 --detectors roi spectrum scanned-spectrum oracle

All detectors are measured on the same runs. Attention models are trained on other runs first.
"""

from __future__ import annotations

import argparse
import time

import torch

from hybridqies.events import (
    DETECTORS,
    AttentionConfig,
    Detector,
    Readout,
    Scene,
    as_detector,
    currie_limit,
    find_limits,
    train_detector,
)
from hybridqies.training import TrainingConfig

LEARNT = {f"attention-{readout.value}": readout for readout in Readout}


def main(arguments: list[str] | None = None) -> None:
    """Trains what is to be trained, measures, and prints a row for each detector."""
    given = read_options(arguments)
    torch.set_num_threads(given.threads)
    scene = Scene(tau=given.tau, spread=given.spread)
    chosen = {name: DETECTORS[name] for name in given.detectors if name in DETECTORS}
    for name in given.detectors:
        if name in LEARNT:
            chosen[name] = train(name, scene, given)
    inside = scene.in_roi()
    expected = scene.background * scene.background_spectrum()[inside].sum()
    net = currie_limit(expected)
    report(f"region of interest: {expected:.1f} background counts, Currie {net:.1f} net counts,")
    report(f"which are {net / scene.source_spectrum()[inside].sum():.0f} source counts")
    report(f"tau {given.tau:g} s, spread {given.spread:g}, {given.runs} runs of each kind")
    for each in find_limits(scene, given.sources, given.runs, given.seed, chosen):
        if each.counts is None:
            shares = ", ".join(f"{share:.0%}" for share in each.found)
            report(f"{each.detector:18} does not reach 95 % between the counts; it finds {shares}")
            continue
        interval = f"[{each.low:.1f}, {each.high:.1f}]"
        report(f"{each.detector:18} {each.counts:6.1f} {interval:16} {each.false_alarms:.1%}")


def train(name: str, scene: Scene, given: argparse.Namespace) -> Detector:
    """The attention model of that name, with a line for each epoch."""
    start = time.perf_counter()
    training = TrainingConfig(
        epochs=given.epochs, batch_size=64, learning_rate=1e-3, warmup=0.05, seed=given.seed
    )
    model = train_detector(
        scene,
        AttentionConfig(readout=LEARNT[name]),
        training,
        given.train_runs,
        on_epoch=lambda record: report(
            f"{name} epoch {record['epoch']}: loss {record['train_loss']:.4f}, "
            f"{time.perf_counter() - start:.0f} s"
        ),
    )
    size = sum(each.numel() for each in model.parameters())
    report(f"{name}: {size:,} parameters")
    return as_detector(model)


def report(line: str) -> None:
    """A line of the table, at once."""
    print(line, flush=True)


def read_options(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--tau", type=float, default=30.0)
    parser.add_argument("--spread", type=float, default=0.0)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument(
        "--sources", type=float, nargs="+", default=[20, 30, 40, 50, 60, 80, 100, 120, 150, 200, 300]
    )
    parser.add_argument(
        "--detectors", nargs="+", default=[*DETECTORS, *LEARNT], choices=[*DETECTORS, *LEARNT]
    )
    parser.add_argument("--train-runs", type=int, default=8192)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
