"""Was it the head or the tuned encoder? Every head on every tuned encoder, few-shot, under one protocol.

    python benchmarks/tuning.py --data DATA/sst2 --out studies/sst2    # the table in docs/results.md
    python benchmarks/tuning.py --data DATA/trec6 --per-class 64 --out studies/trec6
    python benchmarks/tuning.py --data DATA/sst2 --seeds 1 --ways lora/linear --out studies/quick

It is one `hybridqies sweep` and two tables of its result: accuracies, and what a head adds to logistic
regression on the same encoder, seed by seed. Where --out holds the study already, the command goes on with
it; --heads and --ways then have to be those of its plan. Learning rates of the ways by linear were chosen
from two each, by the validation loss of a seed that is not in the study.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hybridqies.cli.app import run
from hybridqies.study.statistics.intervals import spread

# LoRA of rank 16 has about as many parameters as QuanTA on 12 x 8 x 4 (147,456 and 150,528 with MiniLM).
WAYS: dict[str, dict[str, object]] = {
    "lora/linear": {"tune.rank": 16, "training.rates.adapter": 0.001},
    "quanta/linear": {"tune.axes": "12,8,4", "training.rates.adapter": 0.003},
    "circuit/linear": {"training.rates.adapter": 0.03},
    "full/linear": {"training.rates.encoder": 5e-5},
    "full/supcon": {"training.rates.encoder": 3e-5},
}
HEADS = ("logistic", "two-module", "dressed")
PLAIN = "logistic"


def main() -> None:
    """Runs the study, or what is missing of it, and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--per-class", type=int, default=256)
    parser.add_argument("--qubits", type=int, default=9)
    parser.add_argument("--seeds", default="5")
    parser.add_argument("--epochs", type=int, default=100, help="of the heads; tuning has 6")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--heads", default=",".join(HEADS))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    ways, heads = given.ways.split(","), given.heads.split(",")
    flags = ["--workers", given.workers, "--out", given.out]
    if (given.out / "study.toml").is_file():  # its plan is the study's, whatever the flags say now
        flags.append("--resume")
    else:
        flags += ["--data", given.data, "--per-class", given.per_class, "--qubits", given.qubits]
        flags += ["--seeds", given.seeds, *arms(heads, ways), "--set", f"training.epochs={given.epochs}"]
    code = run(["sweep", *map(str, flags)])
    if code:
        raise SystemExit(code)
    cells = {cell["arm"]: cell for cell in json.loads((given.out / "study.json").read_text())["cells"]}
    print("\n".join([*accuracies(cells, heads, ways), "", *additions(cells, heads, ways)]))


def arms(heads: Sequence[str], ways: Sequence[str]) -> list[str]:
    """The flags that name every head, alone and on every tuned encoder, with the options of tuning."""
    names = [name_of(head, way) for head in heads for way in ("", *ways)]
    options = [
        (f"{name_of(head, way)}.{key}", value)
        for head in heads
        for way in ways
        for key, value in WAYS[way].items()
    ]
    return [
        "--arms",
        ",".join(names),
        *(word for key, value in options for word in ("--set", f"{key}={value}")),
    ]


def name_of(head: str, way: str) -> str:
    """The arm of a head on an encoder that is tuned that way, or frozen."""
    return f"{head}+{way}" if way else head


def accuracies(cells: Mapping[str, Any], heads: Sequence[str], ways: Sequence[str]) -> list[str]:
    """Rows of a Markdown table: mean and 95 % interval over seeds, and seconds of a trial with its tuning."""
    lines = [f"| encoder | {' | '.join(heads)} | seconds with {heads[0]} |", "|---" * (len(heads) + 2) + "|"]
    for way in ("", *ways):
        own = [cells[name_of(head, way)] for head in heads]
        values = [interval(list(cell["accuracies"].values())) for cell in own]
        lines.append(f"| {way or 'frozen'} | {' | '.join(values)} | {own[0]['seconds']['mean']:.0f} |")
    return lines


def additions(cells: Mapping[str, Any], heads: Sequence[str], ways: Sequence[str]) -> list[str]:
    """Rows of a Markdown table: what each head adds to logistic regression on the same encoder."""
    others = [head for head in heads if head != PLAIN]
    if PLAIN not in heads or not others:
        return []
    columns = [f"{PLAIN}, tuned − frozen", *(f"{head} − {PLAIN}" for head in others)]
    lines = [f"| encoder | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for way in ("", *ways):
        base = cells[name_of(PLAIN, way)]
        values = [difference(base, cells[PLAIN]) if way else ""]
        values += [difference(cells[name_of(head, way)], base) for head in others]
        lines.append(f"| {way or 'frozen'} | {' | '.join(values)} |")
    return lines


def difference(cell: Mapping[str, Any], base: Mapping[str, Any]) -> str:
    """The paired difference over the seeds that both have, in points."""
    own, other = cell["accuracies"], base["accuracies"]
    return interval([own[seed] - other[seed] for seed in own if seed in other], signed=True)


def interval(values: Sequence[float], *, signed: bool = False) -> str:
    """Mean and half the width of its 95 % interval, in points."""
    found = spread([100 * value for value in values])
    margin = "" if found.high is None else f" ± {found.high - found.mean:.1f}"
    return f"{found.mean:{'+' if signed else ''}.1f}{margin}"


if __name__ == "__main__":
    main()
