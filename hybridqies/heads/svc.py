"""A support-vector classifier, solved by scikit-learn and held as its support vectors."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from hybridqies.errors import InputError
from hybridqies.heads.base import Description, Head, HeadContext, Term
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


class SVCHead(Head):
    """One-against-one support-vector machines; logits are the summed pairwise decisions.

    Its size is known after solving: one dual coefficient a support vector and
    opposing class, and one intercept a pair of classes. The logits rank
    classes; they are no calibrated log-odds.
    """

    name: ClassVar[str] = "svc"
    Config: ClassVar[type] = SVCConfig
    is_solved: ClassVar[bool] = True

    vectors: Tensor
    dual: Tensor
    intercepts: Tensor
    gamma: Tensor

    def __init__(self, config: SVCConfig, context: HeadContext) -> None:
        super().__init__(config, context)
        k = context.n_classes
        self.n_pairs = k * (k - 1) // 2
        # Pairwise decisions as one row of coefficients a pair, so that they are one matrix product.
        self.register_buffer("vectors", torch.zeros(0, context.n_inputs))
        self.register_buffer("dual", torch.zeros(self.n_pairs, 0))
        self.register_buffer("intercepts", torch.zeros(self.n_pairs))
        self.register_buffer("gamma", torch.ones(()))

    def solve(self, embeddings: Tensor, labels: Tensor, class_weights: Tensor | None, seed: int) -> None:
        """Solves the dual problem; `labels` (B,) are class indices."""
        from sklearn.svm import SVC

        weights = None if class_weights is None else dict(enumerate(class_weights.tolist()))
        values = embeddings.cpu().numpy().astype(np.float64)
        spread = float(values.shape[1] * values.var())
        gamma = 1.0 / spread if spread else 1.0
        model = SVC(
            C=self.config.C,
            kernel=self.config.kernel.value,
            gamma=gamma,
            class_weight=weights,
            random_state=seed,
        )
        model.fit(values, labels.cpu().numpy())
        # scikit-learn turns the sign of a two-class decision, so that positive means class 1.
        turn = -1.0 if self.n_classes == 2 else 1.0
        rows = _pair_rows(np.asarray(model.dual_coef_) * turn, model.n_support_)
        self.vectors = torch.from_numpy(model.support_vectors_).to(embeddings)
        self.dual = torch.from_numpy(rows).to(embeddings)
        self.intercepts = torch.from_numpy(np.asarray(model.intercept_) * turn).to(embeddings)
        self.gamma = torch.tensor(gamma).to(embeddings)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Logits (B, K) for embeddings (B, D): votes, refined by the sums of decisions."""
        if self.vectors.shape[0] == 0:
            raise InputError("the support-vector classifier has not been solved yet", todo="fit it first")
        kernel = embeddings @ self.vectors.T
        if self.config.kernel is Kernel.RBF:
            distances = torch.cdist(embeddings, self.vectors, compute_mode="donot_use_mm_for_euclid_dist")
            kernel = torch.exp(-self.gamma * distances.square())
        decisions = kernel @ self.dual.T + self.intercepts
        if self.n_classes == 2:
            return torch.cat([decisions, -decisions], dim=1) / 2
        return self._votes(decisions)

    def _votes(self, decisions: Tensor) -> Tensor:
        logits = decisions.new_zeros(decisions.shape[0], self.n_classes)
        confidence = torch.zeros_like(logits)
        pairs = ((i, j) for i in range(self.n_classes) for j in range(i + 1, self.n_classes))
        for at, (first, second) in enumerate(pairs):
            wins = (decisions[:, at] > 0).to(logits.dtype)
            logits[:, first] += wins
            logits[:, second] += 1 - wins
            confidence[:, first] += decisions[:, at]
            confidence[:, second] -= decisions[:, at]
        # Confidence only settles ties between votes, as in scikit-learn's one-against-rest decision.
        return logits + confidence / (3 * (confidence.abs() + 1))

    def n_trained(self) -> int:
        """Dual coefficients and intercepts."""
        return int(self.vectors.shape[0]) * (self.n_classes - 1) + self.n_pairs

    def describe(self) -> Description:
        """Counted by support vectors."""
        count, k = int(self.vectors.shape[0]), self.n_classes
        return Description(
            self.name,
            (
                Term("dual coefficients", f"{count} support vectors * ({k} - 1)", count * (k - 1)),
                Term("intercepts", f"{k} * ({k} - 1) / 2", self.n_pairs),
            ),
        )

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: object) -> None:
        # The number of support vectors is part of what was learnt: take the stored shapes.
        for name in ("vectors", "dual"):
            if prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _pair_rows(dual: np.ndarray, n_support: np.ndarray) -> np.ndarray:
    """The packed dual coefficients (K-1, n) of libsvm as one full row a pair of classes (pairs, n)."""
    k = len(n_support)
    ends = np.concatenate([[0], np.cumsum(n_support)])
    rows = []
    for i in range(k):
        for j in range(i + 1, k):
            row = np.zeros(dual.shape[1])
            row[ends[i] : ends[i + 1]] = dual[j - 1, ends[i] : ends[i + 1]]
            row[ends[j] : ends[j + 1]] = dual[i, ends[j] : ends[j + 1]]
            rows.append(row)
    return np.stack(rows)
