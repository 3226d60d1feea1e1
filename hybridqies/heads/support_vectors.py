"""The base of heads with support vectors: pairwise decisions as tensors, and logits from them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from hybridqies.errors import InputError
from hybridqies.heads.base import Description, Head, HeadContext, Term, check_labels


class SupportVectorHead(Head):
    """One-against-one support-vector machines; logits are the summed pairwise decisions.

    Its size is known after solving: one dual coefficient a support vector and
    opposing class, and one intercept a pair of classes. The logits rank
    classes; they are no calibrated log-odds. A subclass sets `vectors` and calls `_keep` in `solve`, and
    says what its kernel is.
    """

    is_solved: ClassVar[bool] = True

    vectors: Tensor
    dual: Tensor
    intercepts: Tensor

    def __init__(self, config: Any, context: HeadContext, width: int) -> None:
        super().__init__(config, context)
        k = context.n_classes
        self.n_pairs = k * (k - 1) // 2
        # Pairwise decisions as one row of coefficients a pair, so that they are one matrix product.
        self.register_buffer("vectors", torch.zeros(0, width))
        self.register_buffer("dual", torch.zeros(self.n_pairs, 0))
        self.register_buffer("intercepts", torch.zeros(self.n_pairs))

    @abstractmethod
    def solve(self, embeddings: Tensor, labels: Tensor, class_weights: Tensor | None, seed: int) -> None:
        """Solves the dual problem; `labels` (B,) are class indices."""

    @abstractmethod
    def kernel(self, embeddings: Tensor) -> Tensor:
        """Kernel values (B, V) of embeddings (B, D) and the V support vectors."""

    def _fit(
        self,
        rows: np.ndarray,
        labels: Tensor,
        class_weights: Tensor | None,
        seed: int,
        like: Tensor,
        **options: Any,
    ) -> np.ndarray:
        """Solves on `rows` (B, ...) and returns which of them are support vectors.

        Coefficients and intercepts are kept in the dtype and on the device of `like`.
        """
        from sklearn.svm import SVC

        check_labels(labels, self.n_classes)
        weights = None if class_weights is None else dict(enumerate(class_weights.tolist()))
        model = SVC(C=self.config.C, class_weight=weights, random_state=seed, **options)
        model.fit(rows, labels.cpu().numpy())
        # scikit-learn turns the sign of a two-class decision, so that positive means class 1.
        turn = -1.0 if self.n_classes == 2 else 1.0
        dual = _pair_rows(np.asarray(model.dual_coef_) * turn, model.n_support_)
        self.dual = torch.from_numpy(dual).to(like)
        self.intercepts = torch.from_numpy(np.asarray(model.intercept_) * turn).to(like)
        support: np.ndarray = model.support_
        return support

    def forward(self, embeddings: Tensor) -> Tensor:
        """Logits (B, K) for embeddings (B, D): votes, refined by the sums of decisions."""
        if self.vectors.shape[0] == 0:
            raise InputError("the support-vector classifier has not been solved yet", todo="fit it first")
        decisions = self.kernel(embeddings) @ self.dual.T + self.intercepts
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

    def make_room(self, tensors: Mapping[str, Tensor]) -> None:
        """Gives its tensors the shapes for as many support vectors as `tensors`, read from a file, have."""
        count = len(tensors["vectors"]) if tensors.get("vectors", torch.zeros(())).dim() else 0
        self.vectors = self.vectors.new_zeros(count, self.vectors.shape[1])
        self.dual = self.dual.new_zeros(self.n_pairs, count)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: object) -> None:
        # The number of support vectors is part of what was learnt.
        self.make_room({name.removeprefix(prefix): value for name, value in state_dict.items()})
        super()._load_from_state_dict(state_dict, prefix, *rest)


def gaussian(rows: Tensor, vectors: Tensor, gamma: Tensor | float) -> Tensor:
    """exp(-gamma |x - y|^2) of rows (B, D) and vectors (V, D), as (B, V)."""
    distances = torch.cdist(rows, vectors, compute_mode="donot_use_mm_for_euclid_dist")
    return torch.exp(-gamma * distances.square())


def scale_rule(rows: np.ndarray) -> float:
    """scikit-learn's gamma "scale": 1 / (D · variance) of rows (B, D); 1 where they are all equal."""
    spread = float(rows.shape[1] * rows.var())
    return 1.0 / spread if spread else 1.0


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
