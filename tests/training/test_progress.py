"""What a training carries from epoch to epoch."""

from __future__ import annotations

import math

import pytest

from hybridqies.errors import InputError
from hybridqies.training import SelectOn, TrainingConfig
from hybridqies.training.progress import Progress, close_epoch


class Measured:
    def __init__(self, loss: float) -> None:
        self.loss = loss

    def to_mapping(self, prefix: str = "") -> dict[str, float]:
        return {f"{prefix}loss": self.loss}

    def score(self, rule: SelectOn) -> tuple[float, float]:
        return -self.loss, 0.0


def test_a_validation_that_is_no_number_is_refused() -> None:
    """It is neither better nor worse than any other, so no epoch would be kept."""
    progress, config = Progress(), TrainingConfig(epochs=3)
    close_epoch(progress, config, {}, Measured(math.inf), dict)
    assert close_epoch(progress, config, {}, Measured(1.0), dict)["validation_loss"] == 1
    assert progress.best_epoch == 2
    with pytest.raises(InputError, match="measured on validation became nan in epoch 3"):
        close_epoch(progress, config, {}, Measured(math.nan), dict)
