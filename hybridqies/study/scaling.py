"""Scaling of inputs, fitted on the training part alone and the same for every arm."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from hybridqies.errors import InputError
from hybridqies.study.head_plan import Scaling
from hybridqies.training import Labelled, Rows


@dataclass(frozen=True, slots=True)
class Scaler:
    """Subtracts `mean` (D,) from inputs (B, D) and divides by `deviation` (D,)."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def fit(cls, training: Rows) -> Scaler:
        """Fitted to the training inputs; a column that never changes is only centred."""
        inputs = _numbers(training)
        deviation = inputs.std(dim=0, correction=0)
        return cls(inputs.mean(dim=0), deviation.where(deviation > 0, deviation.new_ones(())))

    def __call__(self, rows: Rows) -> Rows:
        """The rows with scaled inputs."""
        inputs = (_numbers(rows) - self.mean) / self.deviation
        return Labelled(inputs, rows[slice(None)].labels)


def fit_scaler(scaling: Scaling, training: Rows) -> Scaler | None:
    """The scaler that `scaling` asks for; None where inputs stay as they are.

    Raises
    ------
    InputError: tokens or counts were to be scaled, which an encoder reads.
    """
    return None if scaling is Scaling.NONE else Scaler.fit(training)


def _numbers(rows: Rows) -> Tensor:
    inputs = rows[slice(None)].inputs
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        raise InputError(
            "scaling was asked for whole numbers, which an encoder reads", expected="--scaling none"
        )
    return inputs
