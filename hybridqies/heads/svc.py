"""A support-vector classifier, solved by scikit-learn and held as its support vectors."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from hybridqies.heads.base import HeadContext
from hybridqies.heads.support_vectors import SupportVectorHead, gaussian, scale_rule
from hybridqies.options import within


class Kernel(enum.Enum):
    """The kernels that the literature compares with."""

    RBF = "rbf"
    LINEAR = "linear"


@dataclass(frozen=True, slots=True)
class SVCConfig:
    """`C` as in scikit-learn; gamma is its "scale" rule, 1 / (D · variance), from the training set."""

    C: float = 1.0
    kernel: Kernel = Kernel.RBF

    def __post_init__(self) -> None:
        within(self, "head option", C=(1e-9, 1e9))


class SVCHead(SupportVectorHead):
    """Support-vector machines on the embeddings themselves, one for each pair of classes."""

    name: ClassVar[str] = "svc"
    Config: ClassVar[type] = SVCConfig

    gamma: Tensor

    def __init__(self, config: SVCConfig, context: HeadContext) -> None:
        super().__init__(config, context, context.n_inputs)
        self.register_buffer("gamma", torch.ones(()))

    def solve(self, embeddings: Tensor, labels: Tensor, class_weights: Tensor | None, seed: int) -> None:
        """Solves the dual problem; `labels` (B,) are class indices."""
        values = embeddings.cpu().numpy().astype(np.float64)
        gamma = scale_rule(values)
        support = self._fit(
            values, labels, class_weights, seed, embeddings, kernel=self.config.kernel.value, gamma=gamma
        )
        self.vectors = torch.from_numpy(values[support]).to(embeddings)
        self.gamma = torch.tensor(gamma, dtype=torch.float64).to(embeddings)

    def kernel(self, embeddings: Tensor) -> Tensor:
        """Gaussian or linear."""
        if self.config.kernel is Kernel.RBF:
            return gaussian(embeddings, self.vectors, self.gamma)
        return embeddings @ self.vectors.T
