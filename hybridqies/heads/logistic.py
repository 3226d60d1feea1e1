"""Logistic regression, solved by scikit-learn and held as a linear layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from hybridqies.heads.base import Description, Head, HeadContext, check_labels
from hybridqies.heads.readout import linear_term
from hybridqies.options import within


@dataclass(frozen=True, slots=True)
class LogisticConfig:
    """`C`: the inverse strength of the L2 penalty."""

    C: float = 1.0
    max_iterations: int = 1000

    def __post_init__(self) -> None:
        within(self, "head option", C=(1e-9, 1e9), max_iterations=(1, 1e7))


class LogisticHead(Head):
    """Multinomial logistic regression; with two classes one row of weights, as the literature counts it."""

    name: ClassVar[str] = "logistic"
    Config: ClassVar[type] = LogisticConfig
    is_solved: ClassVar[bool] = True

    def __init__(self, config: LogisticConfig, context: HeadContext) -> None:
        super().__init__(config, context)
        rows = 1 if context.n_classes == 2 else context.n_classes
        self.linear = nn.utils.skip_init(nn.Linear, context.n_inputs, rows)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def solve(self, embeddings: Tensor, labels: Tensor, class_weights: Tensor | None, seed: int) -> None:
        """Solves for the weights with L-BFGS; `labels` (B,) are class indices."""
        from sklearn.linear_model import LogisticRegression

        check_labels(labels, self.n_classes)
        weights = None if class_weights is None else dict(enumerate(class_weights.tolist()))
        model = LogisticRegression(
            C=self.config.C, max_iter=self.config.max_iterations, class_weight=weights, random_state=seed
        )
        model.fit(embeddings.cpu().numpy().astype(np.float64), labels.cpu().numpy())
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(model.coef_))
            self.linear.bias.copy_(torch.from_numpy(model.intercept_))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Logits (B, K) for embeddings (B, D)."""
        scores: Tensor = self.linear(embeddings)
        return scores if self.n_classes > 2 else torch.cat([torch.zeros_like(scores), scores], dim=1)

    def describe(self) -> Description:
        """(D + 1) values, times K when there are more than two classes."""
        return Description(self.name, (linear_term("linear", self.linear),))
