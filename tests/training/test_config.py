"""The training configuration refuses what cannot be meant."""

from __future__ import annotations

from typing import Any

import pytest

from hybridqies.errors import InputError, UnknownNameError
from hybridqies.options import from_mapping, to_mapping
from hybridqies.training import (
    ClassWeights,
    Compute,
    Precision,
    Rates,
    Schedule,
    SelectOn,
    TrainingConfig,
)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"epochs": -1}, "'epochs' was given -1; expected 1 to 1,000,000,000"),
        ({"epochs": 0}, "'epochs' was given 0; expected 1 to 1,000,000,000"),
        ({"batch_size": 0}, "'batch_size' was given 0"),
        ({"patience": -1}, "'patience' was given -1"),
        ({"seed": -5}, "'seed' was given -5; expected 0 to 4,294,967,295"),
        ({"learning_rate": 0.0}, "'learning_rate' was given 0.0"),
        ({"learning_rate": -0.1}, "'learning_rate' was given -0.1"),
        ({"learning_rate": "nan"}, "expected a finite number"),
        ({"weight_decay": -1.0}, "'weight_decay' was given -1.0"),
        ({"clip_norm": "inf"}, "expected a finite number"),
        ({"warmup": 1.0}, "'warmup' was given 1.0"),
        ({"label_smoothing": -0.1}, "'label_smoothing' was given -0.1"),
        ({"seed": 2**32}, "'seed' was given 4294967296"),
        ({"rates": {"encoding": -1.0}}, "'encoding' was given -1.0"),
        ({"rates.readout": -1.0}, "'readout' was given -1.0"),
        ({"compute.accumulation": 0}, "'accumulation' was given 0; expected 1 to 1,000,000"),
        ({"epochs": 1.5}, "was given 1.5; expected a whole number"),
        ({"epochs": "many"}, "was given 'many'; expected a whole number"),
    ],
)
def test_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        from_mapping(TrainingConfig, given, what="training option")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ({"epoch": 1}, "epochs"),
        ({"lerning_rate": 1}, "learning_rate"),
        ({"schedule": "cosin"}, "cosine"),
        ({"class_weights": "balance"}, "balanced"),
        ({"select_on": "los"}, "loss"),
        ({"rates.redout": 0.1}, "readout"),
        ({"compute": {"precision": "bf61"}}, "bf16"),
    ],
)
def test_the_nearest_is_offered(given: dict[str, Any], near: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        from_mapping(TrainingConfig, given, what="training option")
    assert caught.value.nearest == near


def test_round_trip() -> None:
    config = TrainingConfig(
        epochs=3, schedule=Schedule.LINEAR, class_weights=ClassWeights.BALANCED, select_on=SelectOn.LOSS
    )
    assert from_mapping(TrainingConfig, to_mapping(config), what="training option") == config


def test_rates_by_dotted_keys_leave_the_others_alone() -> None:
    given = {"rates.readout": "0.5", "compute.precision": "bf16", "rates": {"adapter": 0.1}}
    config = from_mapping(TrainingConfig, given, what="training option")
    assert config.rates == Rates(readout=0.5, adapter=0.1)
    assert config.compute == Compute(precision=Precision.BF16)
    assert config.rates.encoder == 2e-5


def test_an_accumulated_batch_is_never_computed_whole() -> None:
    assert TrainingConfig(batch_size=33, compute=Compute(accumulation=4)).rows_at_once == 9
    assert TrainingConfig(batch_size=33).rows_at_once == 33


@pytest.mark.parametrize(
    ("rows", "batch", "epochs"),
    [
        (1, 32, 100),
        (320, 32, 100),
        (321, 32, 91),
        (800, 32, 40),
        (1600, 32, 20),
        (10**6, 32, 20),
        (0, 1, 100),
    ],
)
def test_epochs_are_chosen_by_the_number_of_rows(rows: int, batch: int, epochs: int) -> None:
    config = TrainingConfig(batch_size=batch)
    assert config.n_epochs(rows) == config.for_rows(rows).epochs == epochs
    given = TrainingConfig(epochs=3, batch_size=batch)
    assert given.for_rows(rows) is given
    assert given.n_epochs(rows) == 3
