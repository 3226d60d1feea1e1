"""The command of a recorded run means the very same run."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from hybridqies.cli import train
from hybridqies.cli.app import run
from hybridqies.report.html.commands import train_command
from hybridqies.runs import DataOptions, RunConfig
from hybridqies.training import TrainingConfig
from hybridqies.training.config import Compute, Precision, Rates, Schedule
from hybridqies.tuning.spec import TuneBy, Tuning

CONFIGS = {
    "defaults": RunConfig(),
    "data": RunConfig(
        data=DataOptions("a file's.csv", "body", "kind", "none", 16, 0.25, 0.1, True),
        encoder="other",
        device="cpu",
    ),
    "head": RunConfig(
        head="dressed",
        circuit="iqp",
        n_qubits=5,
        settings={"encoder.layers": 4, "pqc2": False},
        compare=("logistic", "svc"),
        backend="aer,shots=100",
    ),
    "training": RunConfig(
        training=TrainingConfig(
            epochs=7,
            batch_size=16,
            learning_rate=0.01,
            rates=Rates(readout=None, encoder=1e-4),
            schedule=Schedule.LINEAR,
            patience=3,
            seed=5,
            compute=Compute(Precision.BF16, 2, True),
        ),
        compare=(),
    ),
    "tuning": RunConfig(
        tuning=Tuning("lora", ("query", "value"), last=2, by=TuneBy.LINEAR, epochs=3, options={"rank": 16})
    ),
}


class ReachedError(Exception):
    """The configuration was made."""


@pytest.mark.parametrize("case", CONFIGS)
def test_the_command_gives_the_configuration_back(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[RunConfig] = []
    real = train._config

    def note(*given: Any) -> RunConfig:
        made.append(real(*given))
        raise ReachedError

    monkeypatch.setattr(train, "_config", note)
    words = shlex.split(train_command(CONFIGS[case]).replace("\\\n", " "))
    with pytest.raises(ReachedError):
        run(words[1:])
    assert made == [CONFIGS[case]]
