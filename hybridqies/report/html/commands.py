"""The command line that makes a recorded run again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from hybridqies.options import to_mapping
from hybridqies.runs import RunConfig
from hybridqies.training import TrainingConfig
from hybridqies.tuning.spec import TUNE, tuning_settings

# Fields of the data with the flag's own name, and of training with theirs.
_DATA = {
    "source": "data",
    "text_column": "text-column",
    "pair_column": "pair-column",
    "label_column": "label-column",
    "per_class": "per-class",
    "validation_fraction": "validation-fraction",
    "test_fraction": "test-fraction",
}
_TRAINING = {"seed": "seed", "epochs": "epochs", "batch_size": "batch-size", "learning_rate": "lr"}
_OWN = ("task", "encoder", "head", "circuit", "backend", "device")


def train_command(config: RunConfig, out: str = "runs/again") -> str:
    """`hybridqies train` with every flag that is not at its default, a line each."""
    words = [f"--{flag} {shlex.quote(word(value))}" for flag, value in _flags(config)]
    words += ["--drop-empty"] if config.data.drop_empty else []
    pairs = [shlex.quote(f"{key}={word(value)}") for key, value in _settings(config).items()]
    return " \\\n    ".join(
        ["hybridqies train", *words, *(f"--set {pair}" for pair in pairs), f"--out {out}"]
    )


def word(value: Any) -> str:
    """A value as `--set` and flags read it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(map(word, value))
    return str(value)


def _flags(config: RunConfig) -> Iterator[tuple[str, Any]]:
    """The flags that differ from a run without any."""
    usual, given = to_mapping(RunConfig()), to_mapping(config)
    for field, flag in _DATA.items():
        if given["data"][field] != usual["data"][field]:
            yield flag, given["data"][field]
    for field in _OWN:
        if given[field] != usual[field]:
            yield field, given[field]
    if config.n_qubits is not None:
        yield "qubits", config.n_qubits
    if config.tuning:
        yield "tune", config.tuning.method
    if config.compare != RunConfig().compare:
        yield "compare", config.compare or None
    for field, flag in _TRAINING.items():
        if given["training"][field] != usual["training"][field]:
            yield flag, given["training"][field]


def _settings(config: RunConfig) -> dict[str, Any]:
    """What only `--set` says: options of the head, of training and of tuning."""
    found = dict(config.settings)
    training, usual = to_mapping(config.training), to_mapping(TrainingConfig())
    for name, value in _flat(training).items():
        if name not in _TRAINING and value != _flat(usual)[name]:
            found[f"training.{name}"] = value
    return found | {f"{TUNE}.{name}": value for name, value in _flat(tuning_settings(config.tuning)).items()}


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        inner = isinstance(value, Mapping)
        found |= _flat(value, f"{before}{name}.") if inner else {before + name: value}
    return found
