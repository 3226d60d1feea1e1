"""From an embedding to what an encoder takes: an amplitude vector, or angles."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hybridqies.errors import InputError
from hybridqies.options import within

_MOST_PROJECTED = 2**28


class Fit(enum.Enum):
    """How D numbers become 2**Q amplitudes."""

    PAD = "pad"
    TRUNCATE = "truncate"
    PROJECT = "project"


class ConstantAt(enum.Enum):
    """Where in the padding the constant stands: in its last entry, or spread evenly over all of it."""

    LAST = "last"
    SPREAD = "spread"


@dataclass(frozen=True, slots=True)
class AmplitudeOptions:
    """`centre` subtracts the training mean; `constant` is the norm of constant entries beside the embedding.

    The expectation of an amplitude-encoded vector is a quadratic form, even in
    the vector; constant entries give it linear terms. Spread over the padding they
    meet more of the vector within few layers than a single entry does. `permute` gives
    each encoder its own fixed order of the entries, so that the same ansatz reaches
    different functions of the embedding in each. An encoder that takes angles uses `centre`
    and `permute` alone: every number is an angle of its own.
    """

    fit: Fit = Fit.PAD
    centre: bool = True
    constant: float = 1.0
    constant_at: ConstantAt = ConstantAt.SPREAD
    permute: bool = True

    def __post_init__(self) -> None:
        within(self, "head option", constant=(0.0, 1e6))


class ScaledVector(nn.Module):
    """Embeddings (B, D), centred and scaled to unit root-mean-square norm over the training set."""

    mean: Tensor
    scale: Tensor

    def __init__(self, options: AmplitudeOptions, n_inputs: int) -> None:
        super().__init__()
        self.options = options
        self.projection: nn.Parameter | None = None
        self.register_buffer("mean", torch.zeros(n_inputs))
        self.register_buffer("scale", torch.ones(()))

    def adapt(self, embeddings: Tensor) -> None:
        """Takes mean and scale from the training embeddings (B, D)."""
        if self.options.centre:
            self.mean.copy_(embeddings.mean(dim=0))
        spread = (embeddings - self.mean).square().sum(dim=1).mean().sqrt()
        # Rows that are all equal have nothing to scale.
        self.scale.copy_(spread.reciprocal() if spread > 0 else torch.ones_like(spread))

    def forward(self, embeddings: Tensor) -> Tensor:
        """The embeddings (B, D), centred and scaled as the training set was."""
        return (embeddings - self.mean) * self.scale


class AngleVector(ScaledVector):
    """Embeddings (B, D) to angles in radians (B, F), scaled; what is left of F stays 0.

    Raises
    ------
    InputError: more numbers than angles.
    """

    def __init__(self, options: AmplitudeOptions, n_inputs: int, n_angles: int) -> None:
        super().__init__(options, n_inputs)
        if n_inputs > n_angles:
            raise InputError(
                f"an embedding of {n_inputs} numbers was to be uploaded as {n_angles} angles",
                expected=f"at most {n_angles} numbers",
                todo="use an encoder recipe with the option 'inputs', such as product-encoder",
            )
        self.left = n_angles - n_inputs

    def forward(self, embeddings: Tensor) -> Tensor:
        """Angles (B, F)."""
        return nn.functional.pad(super().forward(embeddings), (0, self.left))


class AmplitudeVector(ScaledVector):
    """Embeddings (B, D) to unnormalised amplitudes (B, 2**Q).

    They have unit root-mean-square norm before `constant` is added, so that it means the same everywhere.

    Raises
    ------
    InputError: PAD and the embedding (with its constant) does not fit.
    """

    def __init__(
        self, options: AmplitudeOptions, n_inputs: int, n_qubits: int, generator: torch.Generator | None
    ) -> None:
        super().__init__(options, n_inputs)
        self.size = 2**n_qubits
        room = self.size - (1 if options.constant else 0)
        if options.fit is Fit.PAD and n_inputs > room:
            raise InputError(
                f"an embedding of {n_inputs} numbers was to be padded to {n_qubits} qubits",
                expected=f"at most {room} numbers{' beside the constant' if options.constant else ''}",
                todo="use more qubits, or fit=truncate or fit=project",
            )
        self.n_kept = room if options.fit is Fit.PROJECT else min(room, n_inputs)
        if options.fit is Fit.PROJECT:
            if room * n_inputs > _MOST_PROJECTED:
                raise InputError(
                    f"a projection of {n_inputs} numbers onto {n_qubits} qubits was asked for",
                    expected=f"at most {_MOST_PROJECTED:,} weights in it",
                    todo="use fewer qubits, or fit=pad",
                )
            spread = n_inputs**-0.5
            self.projection = nn.Parameter(
                torch.empty(room, n_inputs).normal_(0, spread, generator=generator)
            )

    def forward(self, embeddings: Tensor) -> Tensor:
        """Amplitudes (B, 2**Q), not yet of unit norm."""
        values = super().forward(embeddings)
        if self.projection is not None:
            values = values @ self.projection.T
        amplitudes = values.new_zeros(values.shape[0], self.size)
        amplitudes[:, : self.n_kept] = values[:, : self.n_kept]
        if self.options.constant:
            entries = self.size - self.n_kept if self.options.constant_at is ConstantAt.SPREAD else 1
            amplitudes[:, -entries:] = self.options.constant / math.sqrt(entries)
        return amplitudes
